"""How much a validation curve jumps."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from emohelpers.errors import ConfigurationError

__all__ = ["steadiness"]

_COLUMNS = ("epoch", "val_accuracy", "val_loss")


def steadiness(histories: Mapping[str, pd.DataFrame], *, first: int = 3) -> pd.DataFrame:
    """Compare how much the validation curves of several trainings jump from epoch to epoch.

    A curve that still rises is no fault, so only what it loses is counted: the largest fall and
    the mean fall from one epoch to the next. All epochs are validated on the same images; what is
    left is the network's own movement, for three reasons: weights of one step and not of an
    average of many, a learning rate that never falls, and batch normalisation whose averages lag
    behind the weights.

    Parameters
    ----------
    histories : mapping of str to DataFrame
        Trainings by name: what `emohelpers.training.fit` returns.
    first : int
        The first epoch that counts, from 1: in the very first ones everything moves.

    Returns
    -------
    DataFrame
        A row for each training: ``epochs`` (that count), ``best`` and ``last`` validation accuracy
        (0..1), ``mean_fall`` and ``largest_fall`` of it between consecutive epochs (0..1, 0 where
        it never falls), ``largest_rise_of_loss`` (nats).

    Raises
    ------
    ConfigurationError
        If a history lacks a column, or has fewer than two epochs that count.

    Examples
    --------
    >>> jumpy = {"epoch": [1, 2, 3, 4], "val_accuracy": [0.5, 0.9, 0.6, 0.9]}
    >>> history = pd.DataFrame({**jumpy, "val_loss": [1.0, 0.3, 0.9, 0.3]})
    >>> steadiness({"jumpy": history}, first=1).round(2).iloc[0].to_dict()
    {'epochs': 4.0, 'best': 0.9, 'last': 0.9, 'mean_fall': 0.1, 'largest_fall': 0.3,
     'largest_rise_of_loss': 0.6}
    """
    rows: dict[str, dict[str, Any]] = {}
    for name, history in histories.items():
        missing = [column for column in _COLUMNS if column not in history]
        if missing:
            raise ConfigurationError(f"{name}: a history without {', '.join(missing)}")
        counted = history[history["epoch"] >= first]
        if len(counted) < 2:
            raise ConfigurationError(
                f"{name}: {len(counted)} epochs from epoch {first} on: expected two or more"
            )
        falls = -counted["val_accuracy"].diff().iloc[1:].clip(upper=0) + 0.0
        rows[name] = {
            "epochs": len(counted),
            "best": float(counted["val_accuracy"].max()),
            "last": float(counted["val_accuracy"].iloc[-1]),
            "mean_fall": float(falls.mean()),
            "largest_fall": float(falls.max()),
            "largest_rise_of_loss": max(0.0, float(counted["val_loss"].diff().max())),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("training")
