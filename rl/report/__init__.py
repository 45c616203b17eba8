"""One HTML file of a run."""
