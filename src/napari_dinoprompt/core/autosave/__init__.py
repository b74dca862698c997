"""Prompts and settings of images, kept on disk for after a crash."""
