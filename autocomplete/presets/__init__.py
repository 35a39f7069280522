"""Loads models from hubs, folders and GGUF files; writes them as local presets. May import model and below."""
