"""Recipes of modes, their calibration, and what each part of a model loses. May import runtime and below."""
