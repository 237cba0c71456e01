"""What a network looks at, and whether such maps deserve to be believed.

`grad_cam`, `integrated_gradients` and `occlusion` make a map for each image; `attention_maps` and
`head_maps` draw what a transformer attends to. `sanity_check` asks whether the map depends on what
the network has learnt at all. `compare_overlap` asks whether it lies where the face moved, which
toy faces know (`emohelpers.datasets.toyfaces.moved_pixels`), and whether a map that knows nothing
of the network does as well. `study` does what can be done of it where nothing but the label is
known.
"""

from emohelpers.explain._attention import Attention, attention, attention_maps, head_maps
from emohelpers.explain._grad_cam import grad_cam
from emohelpers.explain._integrated import integrated_gradients
from emohelpers.explain._occlusion import occlusion
from emohelpers.explain._regions import (
    THIRDS,
    centred_maps,
    compare_overlap,
    edge_maps,
    mass_in_thirds,
    most_moved,
    overlap,
)
from emohelpers.explain._sanity import randomise, rank_correlation, sanity_check
from emohelpers.explain._study import study

__all__ = [
    "THIRDS",
    "Attention",
    "attention",
    "attention_maps",
    "centred_maps",
    "compare_overlap",
    "edge_maps",
    "grad_cam",
    "head_maps",
    "integrated_gradients",
    "mass_in_thirds",
    "most_moved",
    "occlusion",
    "overlap",
    "randomise",
    "rank_correlation",
    "sanity_check",
    "study",
]
