"""Sets of features: taken, added up, kept on disk."""
