"""TensorFlow Lite files: read, write, inject weights, link, run. Knows nothing of Keras."""
