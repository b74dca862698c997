"""Small widgets and helpers that all tabs of the dock are made of."""
