"""Supervised and teacher-driven training of the same policies."""
