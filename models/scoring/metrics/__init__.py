"""Numbers from features or from pictures."""
