"""Models from hubs, folders, GGUF files and Hugging Face's format, as one local preset. May import model and below."""
