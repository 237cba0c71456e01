"""How much validation curves jump, counted by hand."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emohelpers import training
from emohelpers.errors import ConfigurationError


def history_of(accuracies, losses=None) -> pd.DataFrame:
    epochs = np.arange(1, len(accuracies) + 1)
    losses = [1 - value for value in accuracies] if losses is None else losses
    return pd.DataFrame({"epoch": epochs, "val_accuracy": accuracies, "val_loss": losses})


@given(st.lists(st.floats(0, 1), min_size=3, max_size=20), st.integers(1, 2))
def test_only_what_a_curve_loses_counts(accuracies, first):
    row = training.steadiness({"one": history_of(accuracies)}, first=first).loc["one"]
    counted = accuracies[first - 1 :]
    falls = [max(0, before - after) for before, after in pairwise(counted)]
    assert row["epochs"] == len(counted)
    assert row["mean_fall"] == pytest.approx(sum(falls) / len(falls))
    assert row["largest_fall"] == pytest.approx(max(falls))
    # Here the loss is 1 less the accuracy: it rises by what that falls.
    assert row["largest_rise_of_loss"] == pytest.approx(max(falls))
    assert (row["best"], row["last"]) == (max(counted), counted[-1])


def test_a_curve_that_only_rises_does_not_jump():
    table = training.steadiness({"rising": history_of([0.1, 0.5, 0.7, 0.71])})
    assert table.loc["rising", ["mean_fall", "largest_fall"]].tolist() == [0, 0]


def test_short_histories_and_missing_columns_are_refused():
    with pytest.raises(ConfigurationError, match="1 epochs from epoch 3 on: expected two or more"):
        training.steadiness({"short": history_of([0.1, 0.2, 0.3])})
    with pytest.raises(ConfigurationError, match="plain: a history without val_loss"):
        training.steadiness({"plain": history_of([0.1] * 5).drop(columns="val_loss")})
