"""Nodes of the menu Trilemma/Segment."""

NODES = {}
