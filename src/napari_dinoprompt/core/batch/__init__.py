"""Many images with one reference: resumable, on one machine or many."""
