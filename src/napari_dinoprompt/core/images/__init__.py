"""Image planes: pixels, grey values, fingerprints, alignment."""
