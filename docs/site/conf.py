"""The documentation as a site, from the same Markdown: sphinx-build -c docs/site . FOLDER (.ci/site.sh).

The root of the repository is Sphinx' source folder, so that every link holds on the forge and on the site.
Nothing is loaded from other hosts: .ci/site.sh puts mermaid, which draws the diagrams, into $MERMAID.
"""

import os

from icsfeed import __version__

project = "icsfeed"
author = "The icsfeed contributors"
project_copyright = "The icsfeed contributors"
release = version = __version__
language = "en"

root_doc = "docs/site/index"
include_patterns = ["*.md", "docs/*.md", "docs/site/index.md", "benchmarks/README.md"]
exclude_patterns = [".*", "tests", "icsfeed"]
extensions = ["myst_parser", "sphinxcontrib.mermaid"]
myst_heading_anchors = 4
myst_fence_as_directive = ["mermaid"]

html_theme = "furo"
html_title = f"icsfeed {version}"
html_extra_path = ["extra"]
html_static_path = [os.environ["MERMAID"]]
html_copy_source = False
html_show_sourcelink = False
mermaid_use_local = "mermaid.esm.min.mjs"
mermaid_include_elk = False
mermaid_d3_zoom = False
suppress_warnings = ["myst.header"]  # pages may skip a level of headings
