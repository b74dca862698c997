"""The tab *Segment*."""
