"""Experiments of a sweep: what they are, how they run, and what they tell."""
