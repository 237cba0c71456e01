"""What every explanation needs of a network: its classes, its scores, and where its maps are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any
from weakref import WeakKeyDictionary

import keras
import numpy as np
from numpy.typing import NDArray

from emohelpers.datasets import EMOTIONS
from emohelpers.errors import ConfigurationError
from emohelpers.evaluation import predict
from emohelpers.preprocessing import resize
from emohelpers.publishing import SavedModel

__all__ = ["ClassName", "Halves", "enlarge", "halves", "of_class", "prepare", "probabilities"]

ClassName = str | int | Sequence[str] | Sequence[int] | NDArray[Any] | None

_POOLING = (keras.layers.MaxPooling2D, keras.layers.AveragePooling2D)


@dataclass(frozen=True)
class Halves:
    """A network, cut at one layer.

    Parameters
    ----------
    below : keras.Model
        From pixels to the maps of that layer, (n, rows, columns, channels).
    above : keras.Model
        From these maps to what `scores` takes.
    scores : callable
        Gives the score of each class, before a softmax or sigmoid.
    """

    below: Any
    above: Any
    scores: Callable[[Any], Any]


# The halves share the layers of the network, and not the network itself, which they would keep.
_cut: WeakKeyDictionary[Any, dict[str | None, Halves]] = WeakKeyDictionary()


def prepare(
    model: Any, images: Any, class_name: ClassName, class_names: Sequence[str] | None
) -> tuple[Any, NDArray[np.float32], NDArray[np.int64]]:
    """Return a network, the images as it takes them, and the class that is asked of each.

    Parameters
    ----------
    model : keras.Model or SavedModel
        Takes pixels in 0..255.
    images : array_like, shape (n, height, width, channels)
        In 0..255.
    class_name : str, int, a sequence of n of them, or None
        None for what the network predicts.
    class_names : sequence of str, optional
        In the order of the network's outputs.

    Raises
    ------
    ConfigurationError
        If the images do not fit the network or are scaled, or a class is not one of its own.
    """
    if isinstance(model, SavedModel):
        class_names = model.class_names if class_names is None else class_names
        model = model.model
    taken, given = model.input_shape, model.output_shape
    if not (isinstance(taken, tuple) and isinstance(given, tuple) and len(given) == 2):
        raise ConfigurationError(
            f"the network takes {taken} and gives {given}: expected one image and one row of "
            "probabilities"
        )
    pixels = np.asarray(images, dtype=np.float32)
    if pixels.ndim != 4 or pixels.shape[1:] != tuple(taken[1:]) or len(pixels) == 0:
        raise ConfigurationError(
            f"images of shape {pixels.shape}: the network takes (n, "
            f"{', '.join(map(str, taken[1:]))}), one or more"
        )
    # An image that is all dark is dark in either scale; whole numbers are grey levels.
    if 0 < pixels.max() <= 1 and np.asarray(images).dtype.kind == "f":
        raise ConfigurationError(
            f"pixels from {pixels.min():g} to {pixels.max():g}: expected 0..255, which the "
            "networks scale themselves"
        )
    n_classes = max(2, given[1])
    if class_names is None and n_classes in (7, 8):
        class_names = EMOTIONS[:n_classes]
    if class_names is not None and len(class_names) != n_classes:
        raise ConfigurationError(
            f"class_names={list(class_names)}: expected {n_classes}, as many as the network knows"
        )
    if class_name is None:
        return model, pixels, predict(model, pixels).argmax(axis=1).astype(np.int64)
    one = isinstance(class_name, str | Integral)
    asked = [class_name] * len(pixels) if one else list(class_name)  # type: ignore[arg-type]
    if len(asked) != len(pixels):
        raise ConfigurationError(
            f"{len(asked)} classes for {len(pixels)} images: expected one for all, or one for each"
        )
    places = [_place(name, class_names, n_classes) for name in asked]
    return model, pixels, np.array(places, np.int64)


def _place(name: Any, class_names: Sequence[str] | None, n_classes: int) -> int:
    if isinstance(name, str):
        if class_names is None:
            raise ConfigurationError(
                f"class_name={name!r}, and a network of {n_classes} classes does not say their "
                "names: expected class_names, or a position"
            )
        if name not in class_names:
            raise ConfigurationError(
                f"class_name={name!r}: expected one of {', '.join(class_names)}"
            )
        return list(class_names).index(name)
    whole = isinstance(name, Integral) and not isinstance(name, bool)
    if not whole or not 0 <= int(name) < n_classes:
        raise ConfigurationError(
            f"class_name={name!r}: expected a name, or a position from 0 to {n_classes - 1}"
        )
    return int(name)


def of_class(scores: Any, classes: NDArray[np.int64]) -> Any:
    """Pick each image's own class, (n, n_classes) to (n,), on any backend."""
    # PyTorch would take an array out of what it differentiates.
    chosen = keras.ops.convert_to_tensor(np.eye(scores.shape[-1], dtype=np.float32)[classes])
    return keras.ops.sum(scores * chosen, axis=-1)


def probabilities(outputs: Any) -> Any:
    """Add the first of two classes where a network gives the probability of the second alone."""
    outputs = keras.ops.cast(outputs, "float32")
    if outputs.shape[-1] > 1:
        return outputs
    return keras.ops.concatenate([1 - outputs, outputs], axis=-1)


def enlarge(maps: NDArray[Any], shape: Sequence[int]) -> NDArray[np.float32]:
    """Interpolate maps of 0 or more to a height and width; the highest value of each becomes 1."""
    large = resize(maps[..., None].astype(np.float32), tuple(shape))[..., 0]
    highest = large.max(axis=(1, 2), keepdims=True)
    return np.divide(large, highest, out=np.zeros_like(large), where=highest > 0)


def halves(model: Any, layer: str | None) -> Halves:
    """Cut a network at a layer that gives maps.

    Parameters
    ----------
    model : keras.Model
        Functional or Sequential; models within it are looked into.
    layer : str, optional
        Its name; without it the last that gives maps and does not pool them.

    Raises
    ------
    ConfigurationError
        If there is no such layer, or part of the answer does not pass through it.
    """
    known = _cut.setdefault(model, {})
    if layer not in known:
        known[layer] = _halves(model, layer)
    return known[layer]


def _halves(model: Any, layer: str | None) -> Halves:
    path = _find(_graph(model), layer)
    if not path:
        wanted = "convolution" if layer is None else f"layer {layer!r} that gives maps"
        raise ConfigurationError(
            f"{model.name} has no {wanted}: expected a network of convolutions, and the name of "
            "one of its layers whose output has rows and columns"
        )
    last = _last_dense(model, path)
    below, above = _split(_graph(model), path, before_last=last is not None)
    if above is None:
        raise ConfigurationError(
            f"{model.name}: part of the answer does not pass through {'/'.join(path)}, since it "
            "joins several networks: expected one of them (emohelpers.models.member gives that of "
            "an average), or a method that needs no layer, integrated_gradients or occlusion"
        )
    return Halves(below, above, probabilities if last is None else _logits(last))


def _graph(model: Any) -> Any:
    """Return a functional view of a model, Sequential ones too."""
    return keras.Model(model.inputs[0], model.outputs[0], name=model.name)


def _find(graph: Any, name: str | None) -> list[str]:
    """Return the name of the layer, after those of the models that it lies in."""
    convolved = False
    for layer in reversed(graph.layers):
        if isinstance(layer, keras.Model):
            inner = _find(_graph(layer), name)
            if inner:
                return [layer.name, *inner]
        elif name is not None and layer.name == name and _gives_maps(layer):
            return [name]
        convolved = convolved or "Conv" in type(layer).__name__
    if name is None and convolved:
        maps = (x for x in reversed(graph.layers) if _gives_maps(x) and not isinstance(x, _POOLING))
        return [next(maps).name]
    return []


def _gives_maps(layer: Any) -> bool:
    if isinstance(layer, keras.layers.InputLayer | keras.Model):
        return False
    shape = getattr(layer.output, "shape", ())
    return len(shape) == 4 and all(side is None or side > 1 for side in shape[1:3])


def _last_dense(model: Any, path: Sequence[str]) -> Any:
    """Return the layer that ends in a softmax or sigmoid, if it comes last; else None."""
    layer = model.layers[-1]
    for name in path:
        if isinstance(layer, keras.Model) and layer.name == name:
            layer = layer.layers[-1]
    ends = (keras.activations.softmax, keras.activations.sigmoid)
    return layer if isinstance(layer, keras.layers.Dense) and layer.activation in ends else None


def _split(graph: Any, path: Sequence[str], *, before_last: bool = False) -> tuple[Any, Any]:
    """Cut a graph at a path; the second half is None if the maps are not all that it needs."""
    last = graph.layers[-1].name
    seen: dict[str, Any] = {}

    def call(layer: Any, *arguments: Any, **options: Any) -> Any:
        ends = before_last and layer.name == last
        if ends and not isinstance(layer, keras.Model):
            seen["end"] = arguments[0]
        if layer.name != path[0]:
            return layer(*arguments, **options)
        if len(path) == 1:
            seen["maps"] = layer(*arguments, **options)
            return seen["maps"]
        # A model within becomes two, so that its maps are a tensor of the whole.
        below, above = _split(_graph(layer), path[1:], before_last=ends)
        if above is None:
            return layer(*arguments, **options)
        seen["maps"] = below(arguments[0])
        outputs = above(seen["maps"])
        if ends:
            seen["end"] = outputs
        return outputs

    whole = keras.models.clone_model(graph, clone_function=lambda layer: layer, call_function=call)
    maps, end = seen.get("maps"), seen.get("end", whole.outputs[0])
    if maps is None:
        return None, None
    try:
        above = keras.Model(maps, end, name=f"{graph.name}_above")
    except ValueError:  # how Keras says that an output needs other inputs too
        above = None
    return keras.Model(whole.inputs[0], maps, name=f"{graph.name}_below"), above


def _logits(last: Any) -> Callable[[Any], Any]:
    """Return what a last dense layer computes before its softmax or sigmoid."""

    def scores(features: Any) -> Any:
        values = keras.ops.matmul(keras.ops.cast(features, "float32"), last.kernel)
        values = values + last.bias if last.use_bias else values
        if values.shape[-1] > 1:
            return values
        return keras.ops.concatenate([-values, values], axis=-1)

    return scores
