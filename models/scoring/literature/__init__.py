"""Scores as others have published them, and how to cite them."""
