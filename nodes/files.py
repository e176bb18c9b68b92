"""Nodes of the menu Trilemma/Files: pictures that come with the pack."""

NODES = {}
