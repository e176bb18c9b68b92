"""The latent of a picture, found by following derivatives."""
