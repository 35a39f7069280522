"""Training of a small model, and tuning on a text of one's own. May import presets and below."""
