"""What is open now, and what of it is kept. No Qt, computes nothing."""
