"""Networks that draw faces: an autoencoder with a codebook, a prior, and what they are worth."""

from emohelpers.generation._export import arrays
from emohelpers.generation._likeness import perplexity, psnr
from emohelpers.generation._made import missing_labels, with_made
from emohelpers.generation._memory import nearer_than, nearest
from emohelpers.generation._prior import code_prior
from emohelpers.generation._study import Study, study
from emohelpers.generation._train import Generator, Plan, train
from emohelpers.generation._vq_vae import vq_vae

__all__ = [
    "Generator",
    "Plan",
    "Study",
    "arrays",
    "code_prior",
    "missing_labels",
    "nearer_than",
    "nearest",
    "perplexity",
    "psnr",
    "study",
    "train",
    "vq_vae",
    "with_made",
]
