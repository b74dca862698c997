"""What all tabs of the dock are made of."""
