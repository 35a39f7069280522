"""Quality and performance of the shipped files. Knows nothing of DVC."""
