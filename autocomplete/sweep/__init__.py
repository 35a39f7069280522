"""Many pipelines side by side as DVC experiments, their table and the best one. May import evaluate and below."""
