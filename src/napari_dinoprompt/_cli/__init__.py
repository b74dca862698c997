"""What the command does, one job a file; `napari_dinoprompt.cli` only reads options.

The numbers come from `core`; here they are written to files and shown.
"""
