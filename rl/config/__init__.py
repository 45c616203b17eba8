"""Settings of a run: read, merged, checked, planned, explained."""
