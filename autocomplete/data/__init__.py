"""Texts to train, tune, evaluate and calibrate with. May import common."""
