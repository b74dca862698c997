"""Feature maps: extracted, or computed where they are asked for."""
