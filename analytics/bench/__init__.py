"""Benches: ratios of two ways to do the same, measured in scratch databases of their own.

Nothing is imported here: a process that a bench starts reads this before there are any models.
"""
