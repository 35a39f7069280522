"""The language model: presets, tokenizer, decoder, drivers, text."""
