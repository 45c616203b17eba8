"""Other trainers that run our recipe."""
