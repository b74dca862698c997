"""The dock and its panels; computes nothing."""
