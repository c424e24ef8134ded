"""Sphinx: how the documentation is built. `make docs` treats every warning as an error."""

from __future__ import annotations

import sys
from importlib.metadata import version as installed_version
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent / "_ext"), str(Path(__file__).parents[1] / "scripts")]

project = "lottery"
author = "the lottery authors"
project_copyright = author
release = version = installed_version("lottery")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "generated"]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"lottery {release}"
html_show_sphinx = False
html_show_sourcelink = False

# Backticks in docstrings are names of this package where there is one, and plain code elsewhere.
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
