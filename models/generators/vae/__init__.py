"""Variational and reconstructing autoencoders."""
