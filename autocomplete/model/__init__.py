"""The decoder as numbers and weights: its configuration, layers and families. May import tokenizer and below."""
