"""The figures of the course as slides and as a list, each with what it shows and how it is made.

`read_figures` reads ``figures.toml``, which lies beside the figures; `index` turns them into the
table of ``presentation_images/README.md``, `build` into a PowerPoint deck, together with the
figures of the published networks and what the README says of the limits of it all.
"""

from emohelpers.deck._deck import build
from emohelpers.deck._figures import Figure, index, read_figures

__all__ = ["Figure", "build", "index", "read_figures"]
