"""Generators of every family behind one contract; one file per architecture."""
