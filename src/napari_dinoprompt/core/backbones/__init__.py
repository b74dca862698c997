"""From crops of an image to feature vectors, and the weights for that."""
