"""The decoder: its configuration, forward pass and weights, and the model families that it covers.

May import tokenizer and below.
"""
