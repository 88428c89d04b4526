"""Benchmarks: questions in, answers recorded, scores out, and a verdict that can be defended.

Scores of different toolkits, and of different versions of one, cannot be put side by side, so the
rules by which answers are asked for, read and counted have names here and never change under one
(`rules`).  What a model answered (`predictions`) and what it is worth (`scoring`) are kept apart:
answers cost hours and are computed once, scores cost seconds and can be computed again by other
rules.
"""
