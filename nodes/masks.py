"""Nodes of the menu Trilemma/Masks."""

NODES = {}
