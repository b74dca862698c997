"""The tab *Study*."""
