"""Features of pictures, their statistics, and scores."""
