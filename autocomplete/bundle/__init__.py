"""What app teams get: manifest, card, clients, files for LiteRT-LM and Android. May import evaluate and below."""
