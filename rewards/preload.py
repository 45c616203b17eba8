"""Imported by the worker server before it forks: the heavy libraries of the verifiers, warmed up by one comparison of each kind."""

from rewards.verifiers import boxes, math  # noqa: F401
