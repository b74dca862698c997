"""References: made from prompts, joined, saved, kept in a library."""
