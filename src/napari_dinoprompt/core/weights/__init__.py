"""Weights of networks: found, fetched, read without running anything in them."""
