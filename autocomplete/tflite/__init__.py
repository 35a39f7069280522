"""Files of LiteRT: read, edited, linked, described. May import common."""
