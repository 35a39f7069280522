"""Text for training, tuning, evaluation and calibration. May import common."""
