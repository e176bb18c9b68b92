"""Promptable segmentation: boxes and points to masks."""
