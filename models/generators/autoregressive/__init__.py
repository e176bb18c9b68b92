"""Models that draw a picture's codes one after the other."""
