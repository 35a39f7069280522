""".tflite files: reading, writing, editing, linking, and the conversion of traced functions. May import common."""
