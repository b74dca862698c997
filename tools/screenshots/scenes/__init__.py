"""What tools/screenshots/screenshots.py takes: one file for each kind of scene."""
