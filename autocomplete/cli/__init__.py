"""Commands for people: complete, demo, sweep, release, pull, verify, verify-cache, words. May import every room."""
