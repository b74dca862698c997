"""What the fuzzing program and its quick tests are made of."""
