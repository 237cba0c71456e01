"""A learning rate for each layer."""

from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

import keras

from emohelpers.errors import ConfigurationError

__all__ = ["rates_by_depth"]


def rates_by_depth(optimizer: Any, model: Any, factors: Mapping[str, float]) -> Any:
    """Let an optimiser take larger or smaller steps in some layers of a network.

    What the first layers of a trained network see is of use for most tasks, what the last ones
    see for few (Howard and Ruder 2018, https://arxiv.org/abs/1801.06146, call it discriminative
    fine-tuning): small steps there and large ones in a new head keep more of what was learnt.

    Parameters
    ----------
    optimizer : keras.optimizers.Optimizer
        Unbuilt. It is changed, and serves for the training of `model` only.
    model : keras.Model
        The network that will be trained.
    factors : mapping of str to float
        What the learning rate is multiplied by, 0 or more, for the layers of each name. A name
        may have wildcards (``"block1_*"``), and that of a layer that holds others, such as
        ``"backbone"``, stands for them all. For each layer the innermost name that fits counts,
        among several for the same layer the first. All other layers have a factor of 1.

    Returns
    -------
    keras.optimizers.Optimizer
        `optimizer`. Its weight decay, which Keras scales by the learning rate, is multiplied
        alike, so that 0 leaves a weight as it is. A network that is saved with it can only be
        loaded with ``compile=False``.

    Raises
    ------
    ConfigurationError
        If a name fits no layer with trainable weights, a factor is not a number of 0 or more, or
        the optimiser is built already, or is Nadam on Torch.

    Examples
    --------
    >>> import keras
    >>> from emohelpers import models, training
    >>> model = models.transfer((48, 48, 1), 4, weights="fer-baseline")
    >>> optimizer = training.rates_by_depth(
    ...     keras.optimizers.Adam(1e-3), model, {"backbone": 0.1, "conv1": 0.01}
    ... )
    >>> model.compile(optimizer, "sparse_categorical_crossentropy")
    """
    for name, factor in factors.items():
        if not 0 <= factor < float("inf"):
            raise ConfigurationError(f"factor {factor} of {name!r}: expected 0 or more")
    kind = type(optimizer)
    if optimizer.built:
        raise ConfigurationError("the optimizer is built already: expected a new one")
    if issubclass(kind, keras.optimizers.Nadam) and hasattr(kind, "_parallel_update_step"):
        # Its step changes what all variables share: one for each factor would be too many.
        raise ConfigurationError(
            "Keras's Nadam on Torch takes one rate: expected another optimizer"
        )
    found: dict[int, str] = {}
    for names, variable in _variables(model, ()):
        fitting = (
            pattern for name in reversed(names) for pattern in factors if fnmatchcase(name, pattern)
        )
        found[id(variable)] = next(fitting, "")
    unused = [name for name in factors if name not in found.values()]
    if unused:
        raise ConfigurationError(
            f"no trainable weight has the factor of {', '.join(map(repr, unused))}: expected names "
            "of layers, of which a name further in or further ahead counts"
        )
    # The class and not a new optimiser: a new one would forget what its weight decay leaves out.
    optimizer.__class__ = type(
        f"{kind.__name__}ByDepth",
        (_ByDepth, kind),
        {
            "factors_by_name": dict(factors),
            "factors_by_id": {key: factors[name] for key, name in found.items() if name},
        },
    )
    return optimizer


def _variables(layer: Any, outer: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Walk the trainable variables with the names of the layers that hold them, outermost first."""
    names = (*outer, layer.name)
    inner = getattr(layer, "layers", [])
    for one in inner:
        yield from _variables(one, names)
    if not inner:
        for variable in layer.trainable_variables:
            yield names, variable


class _ByDepth(keras.optimizers.Optimizer):
    """What an optimiser does differently when each variable has a factor."""

    factors_by_name: Mapping[str, float]
    factors_by_id: Mapping[int, float]
    weight_decay: float | None

    def build(self, variables: list[Any]) -> None:
        super().build(variables)
        self._factors = [self.factors_by_id.get(id(variable), 1.0) for variable in variables]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        factor = self._factors[self._get_variable_index(variable)]
        super().update_step(gradient, variable, learning_rate * factor)

    def _parallel_update_step(
        self, grads: list[Any], variables: list[Any], learning_rate: Any
    ) -> None:
        # What Keras calls in place of `update_step` on Torch: a step of many variables at once.
        for factor, rows in self._rows_by_factor(variables):
            super()._parallel_update_step(
                [grads[row] for row in rows],
                [variables[row] for row in rows],
                learning_rate * factor,
            )

    def _apply_weight_decay(self, variables: list[Any]) -> None:
        decay = self.weight_decay
        if decay is None:
            return
        try:
            for factor, rows in self._rows_by_factor(variables):
                self.weight_decay = decay * factor
                super()._apply_weight_decay([variables[row] for row in rows])
        finally:
            self.weight_decay = decay

    def _rows_by_factor(self, variables: list[Any]) -> Iterable[tuple[float, list[int]]]:
        rows: dict[float, list[int]] = {}
        for row, variable in enumerate(variables):
            factor = self._factors[self._get_variable_index(variable)]
            rows.setdefault(factor, []).append(row)
        return rows.items()

    def get_config(self) -> dict[str, Any]:
        # `emohelpers.training.fit` tells one training from another by it.
        config: dict[str, Any] = super().get_config()
        return {**config, "rates_by_depth": self.factors_by_name}
