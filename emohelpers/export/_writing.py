"""Make files of a trained network that answer without Keras."""

import contextlib
import io
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from emohelpers._quiet import quiet_libraries
from emohelpers.errors import ConfigurationError
from emohelpers.export._files import KEY, attach, check_format, describe
from emohelpers.export._running import needs

__all__ = ["write"]


def write(
    model: Any,
    path: str | os.PathLike[str],
    to: str,
    *,
    name: str,
    class_names: Sequence[str],
    images: ArrayLike | None = None,
    force: bool = False,
    approve: Callable[[Path], object] | None = None,
) -> Path:
    """Write a network as a file that answers without Keras.

    Parameters
    ----------
    model : keras.Model
        Takes pixels in 0..255. Keras has to run on TensorFlow, which these formats are made by.
    path : path
        The file, or for ``"saved-model"`` the folder.
    to : str
        One of `FORMATS`. ``"litert-int8"`` computes in whole numbers of 8 bits, weights and
        activations alike, and takes uint8 pixels.
    name : str
        The network's, written into the file.
    class_names : sequence of str
        In the order of the outputs, written into the file.
    images : array_like, shape (n, height, width, channels)
        Pixels, 0..255, for ``"litert-int8"`` alone: the ranges of activations are taken from what
        the network makes of them. Some hundreds, such as it will see.
    force : bool
        Whether to replace what is there.
    approve : callable, optional
        Called with the new file before it takes its place; if it raises, nothing is left.

    Returns
    -------
    Path
        The file. It is written beside and moved into place.

    Raises
    ------
    ConfigurationError
        If there is no such format, something lies at `path`, the images are missing, Keras runs
        on another backend, a library is not installed, or the network has an operation that the
        format does not know.

    Examples
    --------
    >>> import tempfile
    >>> from emohelpers import datasets, load_model
    >>> from emohelpers.export import open_exported
    >>> network, faces = load_model(), datasets.make_faces(3, seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = write(
    ...         network, Path(folder) / "a.tflite", "litert", name="a", class_names="abcdefg"
    ...     )
    ...     open_exported(file)(faces.images).shape
    (3, 7)
    """
    import keras

    check_format(to)
    place = Path(path)
    if place.exists() and not force:
        raise ConfigurationError(f"{place} is there: expected a new name, or force")
    if keras.backend.backend() != "tensorflow":
        raise ConfigurationError(
            f"Keras runs on {keras.backend.backend()}: these formats are made with "
            "KERAS_BACKEND=tensorflow"
        )
    if to == "litert-int8" and images is None:
        raise ConfigurationError("litert-int8 without images: expected some for the ranges")
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{place.name}.") as folder:
        made = Path(folder) / place.name
        model(np.zeros((1, *model.input_shape[1:]), np.float32))  # Keras exports what was called
        with _quiet(), needs(to):
            try:
                _FORMATS[to](model, made, describe(name, class_names), images)
            except ModuleNotFoundError:
                raise
            except Exception as error:  # each converter has its own kinds
                raise ConfigurationError(f"{name} can not be written as {to}: {error}") from error
        if approve is not None:
            approve(made)
        # The weights of OpenVINO lie beside its file, which is moved last.
        for part in sorted(Path(folder).iterdir(), key=lambda part: part == made):
            _move(part, place.parent / part.name)
    return place


def _move(source: Path, target: Path) -> None:
    if target.is_dir():
        shutil.rmtree(target)
    source.replace(target)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the converters say to themselves."""
    with quiet_libraries(), contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _onnx(model: Any, path: Path, text: str, _: Any) -> None:
    import onnx

    model.export(str(path), format="onnx", verbose=False)
    network = onnx.load(path)
    network.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "n"
    network.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "n"
    onnx.helper.set_model_props(network, {KEY: text})
    onnx.save(network, path)


def _litert(model: Any, path: Path, text: str, _: Any) -> None:
    model.export(str(path), format="litert", verbose=False)
    attach(path, text)


def _litert_int8(model: Any, path: Path, text: str, images: Any) -> None:
    import tensorflow as tf

    def batches() -> Iterator[list[Any]]:
        for image in np.asarray(images, np.float32):
            yield [image[None]]

    with tempfile.TemporaryDirectory() as folder:
        model.export(folder, format="tf_saved_model", verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = batches
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.uint8
        path.write_bytes(converter.convert())
    attach(path, text)


def _openvino(model: Any, path: Path, text: str, _: Any) -> None:
    import openvino

    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "network.xml"
        model.export(str(raw), format="openvino", verbose=False)
        network = openvino.Core().read_model(raw)
        network.set_rt_info(text, [KEY])
        openvino.save_model(network, path, compress_to_fp16=False)
        del network  # which holds the raw file open


def _saved_model(model: Any, path: Path, text: str, _: Any) -> None:
    model.export(str(path), format="tf_saved_model", verbose=False)
    extra = path / "assets.extra"
    extra.mkdir()
    (extra / f"{KEY}.json").write_text(text, encoding="utf-8")


_FORMATS: Mapping[str, Callable[[Any, Path, str, Any], None]] = {
    "onnx": _onnx,
    "litert": _litert,
    "litert-int8": _litert_int8,
    "openvino": _openvino,
    "saved-model": _saved_model,
}
