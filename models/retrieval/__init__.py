"""Folders of pictures as indexes, searched by what networks make of pictures and prompts."""
