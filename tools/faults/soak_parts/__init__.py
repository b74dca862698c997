"""A long session with the dock, and what it does to memory, threads and layers."""
