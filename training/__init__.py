"""Recipes of the starter models: `python -m training.<script>` from the root of the repository."""
