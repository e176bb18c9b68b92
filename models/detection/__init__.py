"""Open-vocabulary detection: text and image to boxes."""
