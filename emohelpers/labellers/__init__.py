"""How far labels can be trusted that one person gave to each image.

Three witnesses of it: two people who labelled the same photograph, a person who labelled it twice
(under two names, or in two rows), and a network that learnt from ten raters of other faces.
`study` hears them all, and measures what it is worth to learn only from what they agree on.

Where several raters voted, they judge the labels: `suspects` names those that confident learning
takes for wrong, `compare_suspects` counts how many of them are, and `study_fer2013` does all that
for FER2013 and FER+.
"""

from emohelpers.labellers._network import consensus, opinion_by_class
from emohelpers.labellers._noise import (
    compare_suspects,
    copies_with_two_labels,
    least_sure,
    suspects,
    suspects_by_rule,
    wrong_by_votes,
)
from emohelpers.labellers._noise_study import study_fer2013
from emohelpers.labellers._pairs import agreement_of_pairs, label_pairs, same_image_pairs
from emohelpers.labellers._study import study, study_facial_expressions
from emohelpers.labellers._votes import votes_or_majority

__all__ = [
    "agreement_of_pairs",
    "compare_suspects",
    "consensus",
    "copies_with_two_labels",
    "label_pairs",
    "least_sure",
    "opinion_by_class",
    "same_image_pairs",
    "study",
    "study_facial_expressions",
    "study_fer2013",
    "suspects",
    "suspects_by_rule",
    "votes_or_majority",
    "wrong_by_votes",
]
