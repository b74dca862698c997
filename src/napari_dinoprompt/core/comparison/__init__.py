"""A real stain compared with virtual ones; a kind of figure a file."""
