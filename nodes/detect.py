"""Nodes of the menu Trilemma/Detect."""

NODES = {}
