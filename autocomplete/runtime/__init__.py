"""Models of every flavour as Python calls, in the interpreters that ship. May import presets and below."""
