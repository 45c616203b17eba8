"""Scoring answers that are there already: data files and the recorded rollouts of a run.

answers.py   rows of a data file      -> Sample
rollouts.py  a run's own records      -> Sample
scoring.py   samples -> reward workers -> scored.py, one line a row, in order
summary.py   scored lines             -> means, pass@k, shares ungraded
comparison.py  two scored files       -> what changed
"""
