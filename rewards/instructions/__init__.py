"""Verifiable instructions: the constraint families of IFEval (arXiv 2311.07911) and IFBench (arXiv 2507.02833), one small function each."""
