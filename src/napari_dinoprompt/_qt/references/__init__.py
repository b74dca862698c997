"""The tab *References*: the library, and references applied."""
