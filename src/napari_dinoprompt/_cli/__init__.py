"""What the command does, one command a file; `napari_dinoprompt.cli` collects them.

The numbers come from `core`; here they are written to files and shown. Each command
imports what it needs when it runs: the help has to be there at once.
"""
