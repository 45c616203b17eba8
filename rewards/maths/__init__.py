"""Comparing mathematical answers: text to structure, structure to verdict. Nothing that a model wrote is ever evaluated as code."""
