"""Runs code that a model wrote: no network, no file outside its scratch folder, limits on all else. Imports no other package here."""
