"""Repainting under a mask, by text."""
