"""How far labels can be trusted that one person gave to each image.

Three witnesses of it: two people who labelled the same photograph, a person who labelled it twice
(under two names, or in two rows), and a network that learnt from ten raters of other faces.
`study` hears them all, and measures what it is worth to learn only from what they agree on.
"""

from emohelpers.labellers._network import consensus, opinion_by_class
from emohelpers.labellers._pairs import agreement_of_pairs, label_pairs, same_image_pairs
from emohelpers.labellers._study import study, study_facial_expressions

__all__ = [
    "agreement_of_pairs",
    "consensus",
    "label_pairs",
    "opinion_by_class",
    "same_image_pairs",
    "study",
    "study_facial_expressions",
]
