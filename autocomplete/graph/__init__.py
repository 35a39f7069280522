"""The graphs that ship: the core, and the drivers around it with their loops, samplers and tokenizers.

May import model and below.
"""
