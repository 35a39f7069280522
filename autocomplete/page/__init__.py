"""The demo page of a bundle: its site, its server and web/. May import bundle and below."""
