"""Nodes of the menu Trilemma/Inpaint."""

NODES = {}
