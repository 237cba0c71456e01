"""How sure the default network is, and how often right, on FER2013's PublicTest."""

from pathlib import Path

import numpy as np

from emohelpers import datasets, evaluation, load_model


def main(data: Path | None = None) -> None:
    """Print, for each least confidence, the share answered and the accuracy of the answers."""
    if data is None:
        print("needs the real FER2013: --data fer2013.csv")
        return
    faces = datasets.load("fer2013", data).split("validation")
    probabilities = evaluation.predict(load_model(), faces.images)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == faces.labels
    print(f"{'at least':>8} {'answered':>9} {'right':>6}   of {len(faces):,} faces of PublicTest")
    for least in np.arange(0.0, 0.95, 0.1):
        sure = confidence >= least
        print(f"{least:>8.1f} {sure.mean():>9.3f} {right[sure].mean():>6.3f}")


if __name__ == "__main__":
    main()
