"""Imported by the worker server before it forks: the heavy libraries of the verifiers, warmed up once for all workers.

What they hold is then no garbage for a worker to look through, call after call: two thirds of what isolation did cost short answers.
"""

import gc

import scipy.optimize  # noqa: F401

from rewards.maths.equality import equal_answers

for _gold, _answer in ((r"\frac{x+2}{7}", r"\frac{x}{7}+\frac{2}{7}"), (r"\sqrt{3}", r"3^{1/2}"), ("(0,1]", r"0<x\leq 1"), ("x=1", "2x=2")):
    equal_answers(_gold, _answer)
gc.collect()
gc.freeze()
