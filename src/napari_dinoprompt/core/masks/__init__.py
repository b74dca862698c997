"""Masks: cleaned, split and numbered, in planes, volumes and blocks."""
