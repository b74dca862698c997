"""Prompts kept for after a crash: written while the user works, and offered back."""
