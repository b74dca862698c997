"""The parts of `faults.py`, one kind of fault a file."""
