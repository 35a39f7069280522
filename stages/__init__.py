"""The pipeline's stages: author, convert, quantize, validate, package, and the tools around them."""
