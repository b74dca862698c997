"""Prompts kept for after a crash, and offered back."""
