"""The tab *References*: the library, and references applied to other images."""
