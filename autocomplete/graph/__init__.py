"""The graphs that ship: the core, its loops, samplers, tokenizers and drivers. May import model and below."""
