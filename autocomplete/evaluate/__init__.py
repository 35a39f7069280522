"""Measures shipped files: quality, parity, contracts, targets, speed, memory. May import quantize and below."""
