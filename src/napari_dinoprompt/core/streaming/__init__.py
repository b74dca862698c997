"""Planes too large to hold: features, similarities and masks, region by region."""
