"""Runs .tflite files as Python calls, in the runtimes that the project ships for. May import presets and below."""
