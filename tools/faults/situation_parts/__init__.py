"""Parts of `situations.py`: contents, files, the three roads, the table."""
