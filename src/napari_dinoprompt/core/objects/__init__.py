"""The objects of a result: measured, scored, and handed on to other programs."""
