"""What app teams get: manifest, card, clients, archives for LiteRT-LM and Android. May import evaluate and below."""
