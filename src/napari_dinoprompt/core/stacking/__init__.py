"""All planes of a stack, and what is found in them in 3-D."""
