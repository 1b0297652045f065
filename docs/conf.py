"""How Sphinx builds these pages: ``sphinx-build -W -n docs docs/_build``."""

from cotality.parallel import __version__

project = "cotality-workflow"
author = "The cotality-workflow authors"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
exclude_patterns = ["_build"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False

# What belongs to the standard library has no page here, and the build needs no network. Errors are named without their
# module.
nitpick_ignore_regex = [
    ("py:.*", r"(collections|concurrent|multiprocessing|_?pickle|typing)\..*"),
    ("py:exc", r"(ReferenceMisuse|ResultNotKept|RunCancelled|RunTimeout|UnknownTask|WorkflowFailed)"),
    ("py:exc", r"(Exception|BaseException|[A-Z]\w*Error)(, [A-Z]\w*Error)*"),
]
