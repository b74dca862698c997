"""Settings of the documentation.

``python -m sphinx -W -b html docs docs/_build/html`` builds it.
"""

from __future__ import annotations

from importlib.metadata import version as installed_version

project = "napari-dinoprompt"
author = "napari-dinoprompt developers"
release = version = installed_version("napari-dinoprompt")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
]
exclude_patterns = ["_build", "faults"]  # faults: what a program wrote
html_theme = "furo"
html_title = "napari-dinoprompt"

myst_heading_anchors = 3
autosummary_generate = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # shapes and types stand in the docstrings
numpydoc_show_class_members = False
