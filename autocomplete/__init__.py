"""The library behind stages/, in rooms: each imports only rooms below it in the list of pyproject.toml."""
