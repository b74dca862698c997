"""Tiles of a plane: planned, computed, put together, kept on disk."""
