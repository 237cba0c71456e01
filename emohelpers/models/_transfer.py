"""Networks on top of what another network has learnt already."""

import json
import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import keras
from keras import layers

from emohelpers.errors import ConfigurationError, MissingPathError
from emohelpers.models._common import check_shape, check_share, softmax
from emohelpers.models._saved import load_network, saved_folder

__all__ = ["BACKBONES", "transfer"]


@dataclass(frozen=True)
class _Application:
    """A network of `keras.applications`."""

    function: str
    file: str
    """The file of its ImageNet weights, without the last layers, as Keras calls it."""
    blocks: str
    """Finds the layers with which blocks end; its group is the same within a block."""


def _applications() -> dict[str, _Application]:
    found = {
        "vgg19": _Application(
            "VGG19", "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5", r"^block(\d+)_"
        )
    }
    for size in ("Small", "Large"):
        found[f"mobilenet_v3_{size.lower()}"] = _Application(
            f"MobileNetV3{size}",
            f"weights_mobilenet_v3_{size.lower()}_224_1.0_float_no_top_v2.h5",
            r"^expanded_conv_(\d*)",
        )
    for size in ("B0", "B1", "B2", "B3", "S", "M", "L"):
        found[f"efficientnet_v2_{size.lower()}"] = _Application(
            f"EfficientNetV2{size}", f"efficientnetv2-{size.lower()}_notop.h5", r"^block(\d+)"
        )
    for size in ("Tiny", "Small", "Base", "Large", "XLarge"):
        found[f"convnext_{size.lower()}"] = _Application(
            f"ConvNeXt{size}", f"convnext_{size.lower()}_notop.h5", r"_stage_(\d+)_"
        )
    return found


_APPLICATIONS = _applications()

BACKBONES: Mapping[str, str] = MappingProxyType(
    {name: application.function for name, application in _APPLICATIONS.items()}
)
"""What `transfer` calls each backbone, and what `keras.applications` calls it."""

# The same for the package's own networks. A published one is built again by its builder.
_OWN_BLOCKS = {
    "alexnet": r"^(?:conv|dense)(\d)",
    "baseline_cnn": r"^conv(\d)",
    "compact_cnn": r"^stage(\d+)",
    "deeper_cnn": r"^conv([1357])",
    "residual_cnn": r"^stage(\d+)",
    "separable_cnn": r"_conv(\d)",
}

_NO_BLOCKS = r"(?!)"  # matches nothing
_WEIGHT_FILES = (".h5", ".hdf5", ".keras")


def transfer(
    input_shape: Sequence[int] = (48, 48, 1),
    n_classes: int = 7,
    *,
    backbone: str | None = None,
    weights: str | Path | Sequence[str | Path] | None = None,
    freeze: int | Literal["all"] = 0,
    dropout: float = 0.2,
) -> Any:
    """Build a network from a backbone that may have learnt before, and a new head.

    Either a network of `keras.applications`, with ImageNet weights if wanted::

        transfer((96, 96, 3), 7, backbone="vgg19", weights="imagenet", freeze=2)

    or a network that this package has published, or that you have trained, up to its last dense
    layer::

        transfer((48, 48, 1), 4, weights="fer-baseline", freeze="all")

    Its outputs, averaged over all positions, go through dropout into a softmax. The preparation
    of pixels that the backbone was trained with is part of it. Images with one channel are
    repeated for a backbone that takes three.

    Parameters
    ----------
    input_shape : sequence of int
        Height, width (32 or more for `keras.applications`; as its builder says for a published
        network, and those of its own training where it has dense layers before the last one) and
        channels (1 or 3) of the images, whose values are 0..255.
    n_classes : int
        Outputs of the softmax.
    backbone : str, optional
        One of `BACKBONES`; left out where `weights` is a folder, which says it.
    weights : str or Path, or a sequence of them, optional
        Where the backbone's weights come from. Without it they are drawn at random.

        - ``"imagenet"``: Keras downloads them once, into ``~/.keras/models`` (or ``models`` in
          the folder that ``KERAS_HOME`` names).
        - A file of the backbone's weights (``.weights.h5``, ``.h5`` or ``.keras``): that download,
          or what ``model.get_layer("backbone").save_weights(file)`` wrote.
        - The name of a folder in ``saved_models/``, or the path of such a folder, with a slash.
        - Several such folders in a sequence: networks side by side, whose outputs are joined.
    freeze : int or "all"
        How many blocks, from the input on, training leaves as they are, 0 for none; ``"all"``
        trains the head alone (feature extraction). What lies before a block, such as the stem,
        is frozen with it. Frozen layers work as they do after training: batch normalisation
        keeps its averages, dropout is off. Networks side by side have no common blocks.
    dropout : float
        The share of the backbone's outputs that is dropped in training, in [0, 1).

    Returns
    -------
    keras.Model
        Uncompiled; its output has shape ``(n, n_classes)`` and rows that sum to 1. The backbone
        is one layer of it, ``model.get_layer("backbone")``.

    Raises
    ------
    ConfigurationError
        If the shape, the number of classes or of blocks, or a share does not fit, or the weights
        do not belong to the backbone or to this size of images.
    MissingPathError
        If a file or folder is not there, or ImageNet weights can not be downloaded.

    Notes
    -----
    Blocks are the five of VGG19, the stages of EfficientNetV2 (6 or 7), ConvNeXt (4),
    `compact_cnn` (4) and `residual_cnn`, the inverted residual blocks of MobileNetV3 (11 or 15),
    the four of `deeper_cnn`, and the convolutions (and first dense layers) of the other networks.

    To fine-tune after feature extraction, build the network again with a smaller `freeze` and
    hand over the weights: ``second.set_weights(first.get_weights())``.

    Examples
    --------
    >>> from emohelpers import models
    >>> network = models.transfer((56, 56, 3), 2, weights="fer-baseline", freeze="all")
    Traceback (most recent call last):
    emohelpers.errors.ConfigurationError: .../fer-baseline takes images of one channel: ...
    >>> network = models.transfer((48, 48, 1), 2, weights="fer-baseline", freeze="all")
    >>> [tuple(variable.shape) for variable in network.trainable_variables]
    [(128, 2), (2,)]
    """
    check_shape(input_shape, n_classes, smallest=1)
    check_share("dropout", dropout)
    if freeze != "all" and (type(freeze) is not int or freeze < 0):
        raise ConfigurationError(
            f"freeze={freeze!r}: expected a number of blocks, 0 or more, or 'all'"
        )
    if not isinstance(weights, str | Path | None):
        features, blocks = _side_by_side(input_shape, backbone, weights)
    elif weights is None or weights == "imagenet" or Path(weights).suffix in _WEIGHT_FILES:
        features, blocks = _application(input_shape, backbone, weights)
    else:
        features, blocks = _published(input_shape, backbone, weights)
    _freeze(features, blocks, freeze)
    inputs = keras.Input(tuple(input_shape), name="pixels")
    x = inputs
    if features.input_shape[3] > input_shape[2]:
        x = layers.Concatenate(dtype="float32", name="repeat")([x, x, x])
    x = layers.Dropout(dropout, name="dropout")(features(x))
    return keras.Model(inputs, softmax(x, n_classes), name="transfer")


def _application(
    input_shape: Sequence[int], backbone: str | None, weights: str | Path | None
) -> tuple[Any, str]:
    """Build a backbone of `keras.applications`; return it and how to find its blocks."""
    if backbone not in _APPLICATIONS:
        raise ConfigurationError(
            f"backbone={backbone!r}: expected one of {', '.join(BACKBONES)}; or leave it out and "
            "name a published network as weights"
        )
    check_shape(input_shape, 2, smallest=32)
    if isinstance(weights, str | Path) and weights != "imagenet" and not Path(weights).is_file():
        raise MissingPathError(f"no file {weights}: expected the weights of {backbone}")
    about = _APPLICATIONS[backbone]
    options: dict[str, Any] = {"include_top": False, "pooling": "avg"}
    options["input_shape"] = (*input_shape[:2], 3)
    if backbone == "vgg19":
        # The only one without its preparation: blue first, less the means of ImageNet.
        pixels = keras.Input(options["input_shape"], name="pixels")
        options["input_tensor"] = layers.Normalization(
            mean=(103.939, 116.779, 123.68), variance=(1, 1, 1), dtype="float32", name="centre"
        )(keras.ops.flip(pixels, axis=-1))
    function = getattr(keras.applications, about.function)
    if weights == "imagenet":
        model = _from_imagenet(function, options, backbone)
    else:
        model = function(weights=None, **options)
    if weights is not None and weights != "imagenet":
        try:
            model.load_weights(weights)
        except Exception as error:  # Keras raises many kinds for a file of another network
            raise ConfigurationError(
                f"{weights} does not hold the weights of {backbone} ({error}): expected those of "
                "the backbone alone, as model.get_layer('backbone').save_weights() writes them"
            ) from error
    return _as_backbone(model.inputs[0], model.outputs[0]), about.blocks


def _from_imagenet(function: Any, options: Mapping[str, Any], backbone: str) -> Any:
    """Let Keras build a backbone with the file it has, or downloads; else say what is missing."""
    try:
        with warnings.catch_warnings():
            # Of MobileNetV3: that the weights were trained on another size. They fit any.
            warnings.filterwarnings("ignore", message=".*Weights for input shape")
            return function(weights="imagenet", **options)
    except Exception as error:  # a failed download is a bare Exception
        file = _APPLICATIONS[backbone].file
        home = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()
        raise MissingPathError(
            f"no ImageNet weights of {backbone}: Keras looked for {home / 'models' / file} and "
            f"could not download it ({error}). Put the file there, or give its path: "
            f"weights='path/to/{file}'"
        ) from error


def _published(
    input_shape: Sequence[int], backbone: str | None, weights: str | Path
) -> tuple[Any, str]:
    """Build a published network up to its last dense layer, in this size, with its weights."""
    if backbone is not None:
        raise ConfigurationError(
            f"backbone={backbone!r} with weights={str(weights)!r}: expected 'imagenet' or a file "
            f"({', '.join(_WEIGHT_FILES)}) as weights, or no backbone, which the folder says itself"
        )
    folder = saved_folder(weights)
    network, options, n_classes = _read_recipe(folder)
    saved = load_network(folder)
    taken, values = tuple(saved.input_shape[1:]), saved.get_weights()
    if taken[2] < input_shape[2]:
        raise ConfigurationError(
            f"{folder} takes images of one channel: expected input_shape="
            f"{(*input_shape[:2], 1)}, for instance of data loaded with color=False"
        )
    blocks = _blocks(network, options)
    if network == "transfer":
        # Of a folder it is the architecture that is asked for, not the weights it started from.
        options = {**options, "freeze": 0}
        options |= {"weights": None} if options.get("backbone") else {}
    # Built anew, so that it trains as its builder's networks do, whatever `portable` made of it.
    from emohelpers.models import BUILDERS

    try:
        model = BUILDERS[network]((*input_shape[:2], taken[2]), n_classes, **options)
    except TypeError as error:
        raise ConfigurationError(f"{folder / 'recipe.json'}: {error}") from error
    if [value.shape for value in values] != [tuple(weight.shape) for weight in model.weights]:
        raise ConfigurationError(
            f"{folder} was trained on images of {taken[0]}x{taken[1]}, with weights that fit no "
            f"other size: expected input_shape={(*taken[:2], input_shape[2])}"
        )
    model.set_weights(values)
    head = len(model.layers) - 1
    while isinstance(model.layers[head - 1], layers.Dropout):
        head -= 1
    return _as_backbone(model.inputs[0], model.layers[head].input), blocks


def _side_by_side(
    input_shape: Sequence[int], backbone: str | None, weights: Sequence[str | Path]
) -> tuple[Any, str]:
    """Build several published networks that look at the same images."""
    if len(weights) < 2:
        raise ConfigurationError(
            f"weights={list(weights)}: expected two or more networks in a sequence, or one name"
        )
    parts = [_published(input_shape, backbone, name)[0] for name in weights]
    if len(channels := {part.input_shape[3] for part in parts}) > 1:
        raise ConfigurationError(
            f"weights={list(map(str, weights))} take images of {sorted(channels)} channels: "
            "expected as many for all"
        )
    inputs = keras.Input(parts[0].input_shape[1:], name="pixels")
    outputs = []
    for number, part in enumerate(parts, start=1):
        part.name = f"backbone{number}"
        outputs.append(part(inputs))
    joined = layers.Concatenate(dtype="float32", name="join")(outputs)
    return _as_backbone(inputs, joined), _NO_BLOCKS


def _read_recipe(folder: Path) -> tuple[str, dict[str, Any], int]:
    """Return a folder's builder, its options and the number of classes."""
    from emohelpers.models import BUILDERS

    path = folder / "recipe.json"
    if not path.is_file():
        raise MissingPathError(
            f"no recipe.json in {folder}: expected a folder that 'emohelpers train' wrote"
        )
    try:
        recipe = json.loads(path.read_text(encoding="utf-8"))
        network, n_classes = recipe.get("network"), len(recipe["emotions"])
        options = dict(recipe.get("network_options", {}))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"{path} can not be read as a recipe ({error!r}): expected a JSON object with "
            "'network', 'network_options' and 'emotions'"
        ) from error
    if recipe.get("each_fold"):
        raise ConfigurationError(
            f"{folder} averages a network for each fold: expected the folder of a single network"
        )
    if recipe.get("members"):
        raise ConfigurationError(
            f"{folder} averages several networks: expected one of them, {recipe['members']}"
        )
    if not isinstance(network, str) or network not in BUILDERS:
        raise ConfigurationError(
            f"{path}: no network {network!r}: expected one of {', '.join(BUILDERS)}"
        )
    return network, options, n_classes


def _blocks(network: str, options: Mapping[str, Any]) -> str:
    """Return what finds the layers with which the blocks of a network end."""
    if network != "transfer":
        return _OWN_BLOCKS[network]
    if options.get("backbone"):
        return _APPLICATIONS[options["backbone"]].blocks
    if not isinstance(options["weights"], str):
        return _NO_BLOCKS
    inner, inner_options, _ = _read_recipe(saved_folder(options["weights"]))
    return _blocks(inner, inner_options)


def _as_backbone(inputs: Any, outputs: Any) -> Any:
    model = keras.Model(inputs, outputs, name="backbone")
    # Called as a layer in mixed precision, it would round the pixels before they are scaled.
    model.dtype_policy = "float32"
    return model


def _freeze(model: Any, blocks: str, freeze: int | Literal["all"]) -> None:
    """Freeze all layers up to the last one of the block with this number, from 1."""
    frozen = list(_leaves(model))
    if freeze != "all":
        found = [re.search(blocks, layer.name) for layer in frozen]
        numbers = [match and match[1] for match in found]
        known = list(dict.fromkeys(number for number in numbers if number is not None))
        if freeze > len(known):
            raise ConfigurationError(
                f"freeze={freeze}: the backbone has {len(known)} blocks: expected as many or "
                "fewer, or 'all'"
            )
        last = known[freeze - 1] if freeze else None
        ends = [index for index, number in enumerate(numbers, start=1) if number == last]
        frozen = frozen[: ends[-1]] if freeze else []
    for layer in frozen:
        layer.trainable = False
        if isinstance(layer, layers.Dropout):
            layer.rate = 0.0


def _leaves(model: Any) -> Iterator[Any]:
    """Walk the layers that hold no others, from input to output."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _leaves(layer)
        else:
            yield layer
