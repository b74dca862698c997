"""Parts of `hallucinations.py`."""
