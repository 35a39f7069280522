"""Hugging Face's tokenizer.json, read key by key, and its vocabulary. May import tflite, data and common."""
