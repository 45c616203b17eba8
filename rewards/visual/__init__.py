"""What visual answers say: boxes, points, times, tables; and how near they are to the gold."""
