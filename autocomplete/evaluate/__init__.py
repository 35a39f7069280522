"""What is measured on shipped files: quality, parity, contracts, speed, memory. May import quantize and below."""
