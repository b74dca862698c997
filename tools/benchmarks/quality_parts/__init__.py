"""The parts of the quality benchmark, one concept a file."""
