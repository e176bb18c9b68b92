"""Prompts verified by a detector, after GenEval: what was asked for, and whether a picture shows it."""
