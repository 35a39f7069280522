"""Versions of bundles: stamped, signed, published, listed, downloaded. May import bundle and below."""
