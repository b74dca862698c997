"""Prompts and settings of images, kept on disk for after a crash.

Each dock writes a file of its own and holds its lock. Records are kept for 30 days, in
at most 100 files, and offered when their image is opened and has no prompts, the newest
first.
"""
