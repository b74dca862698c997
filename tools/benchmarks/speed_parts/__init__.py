"""The parts of the speed benchmark, one concept a file."""
