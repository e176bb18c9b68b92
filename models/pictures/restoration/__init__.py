"""An edit of a whole picture laid over its original: where it lies, its colours, what it changed, and the blend."""
