"""Parts of `stains.py`."""
