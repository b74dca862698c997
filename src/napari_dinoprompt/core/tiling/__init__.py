"""Tiles of a plane: planned, cropped, put together, kept on disk."""
