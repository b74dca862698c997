"""Similarity of features with prompts, and where it is cut."""
