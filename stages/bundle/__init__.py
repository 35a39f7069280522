"""What app teams pull: manifest and model card. Knows nothing of TensorFlow."""
