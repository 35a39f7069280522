"""Quantizes a core by a recipe: calibration, the quantizer, and the choice of what bears more.

May import runtime and below.
"""
