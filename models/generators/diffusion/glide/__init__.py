"""GLIDE: pictures from prompts, and holes filled by them."""
