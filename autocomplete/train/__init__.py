"""Trains a small model, and tunes a model on the user's own text. May import presets and below."""
