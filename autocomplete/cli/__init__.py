"""Commands for people: complete, demo, sweep, release, pull, verify, verify-cache. May import every room."""
