"""Scores as text, files and pictures."""
