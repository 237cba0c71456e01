"""Answer images with a file that `write` made, or with one like it."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emohelpers.errors import ConfigurationError, MissingPathError
from emohelpers.export._files import KEY, attached, described

__all__ = ["ExportedNetwork", "needs", "open_exported"]

_Answer = Callable[[NDArray[Any]], NDArray[Any]]
_Shape = tuple[int | None, ...]
_Opened = tuple[_Shape, np.dtype[Any], _Answer, str | None]


class ExportedNetwork:
    """A network in a file, and what computes it; see `open_exported`.

    Attributes
    ----------
    name : str
        The network's, or for another maker's file that of the file.
    class_names : tuple of str or None
        In the order of the outputs; None where the file does not say.
    input_shape : tuple
        ``(None, height, width, channels)``.
    outputs : int
        How many probabilities each image is answered with.
    """

    def __init__(self, path: Path, opened: _Opened, *, batch_size: int) -> None:
        shape, self._dtype, self._answer, text = opened
        if len(shape) != 4 or shape[3] not in (1, 3) or None in shape[1:]:
            raise ConfigurationError(
                f"{path}: the network takes {shape}: expected images (n, height, width, 1 or 3)"
            )
        if self._dtype not in (np.float32, np.uint8):
            raise ConfigurationError(
                f"{path}: the network takes {self._dtype}: expected pixels, 0..255, as float32 or "
                "uint8"
            )
        size = tuple(side for side in shape[1:] if side is not None)
        self.input_shape = (None, *size)
        self._batch_size = batch_size
        self.name, self.class_names = described(text, path)
        first = np.zeros((1, *size), self._dtype)
        self.outputs = self._answer(first).shape[-1]
        if self.class_names is not None and max(2, self.outputs) != len(self.class_names):
            raise ConfigurationError(
                f"{path}: {self.outputs} outputs and {len(self.class_names)} class names: expected "
                "as many"
            )

    def __call__(self, images: ArrayLike) -> NDArray[np.float32]:
        """Answer images.

        Parameters
        ----------
        images : array_like, shape (n, height, width, channels)
            Pixels, 0..255, of `input_shape`.

        Returns
        -------
        ndarray of float32, shape (n, outputs)
            Probabilities, in 0..1.

        Raises
        ------
        ConfigurationError
            If the images are of another shape.
        """
        pixels = np.asarray(images)
        if pixels.ndim != 4 or pixels.shape[1:] != self.input_shape[1:]:
            raise ConfigurationError(
                f"images of shape {pixels.shape}: expected (n, "
                f"{', '.join(map(str, self.input_shape[1:]))})"
            )
        if self._dtype == np.uint8 and pixels.dtype != np.uint8:
            pixels = np.clip(np.rint(pixels), 0, 255)
        answers = np.empty((len(pixels), self.outputs), np.float32)
        for start in range(0, len(pixels), self._batch_size):
            block = pixels[start : start + self._batch_size].astype(self._dtype)
            answers[start : start + len(block)] = self._answer(block)
        return answers


def open_exported(
    path: str | os.PathLike[str], *, threads: int | None = None, batch_size: int = 64
) -> ExportedNetwork:
    """Open an exported network, to answer images with it.

    Parameters
    ----------
    path : path
        A file of ONNX (``.onnx``), LiteRT (``.tflite``) or OpenVINO (``.xml``), or the folder of a
        SavedModel. The last may hold any code that TensorFlow knows: open only what you trust.
    threads : int, optional
        Of the processor; without it, what the library takes. TensorFlow heeds
        ``TF_NUM_INTRAOP_THREADS`` instead.
    batch_size : int
        Images computed at a time.

    Returns
    -------
    ExportedNetwork
        Called with images it returns probabilities. Keras is not imported.

    Raises
    ------
    MissingPathError
        If there is no such file.
    ConfigurationError
        If it is of another kind or can not be read, takes anything but images, or the library
        that computes it is not installed.
    """
    place = Path(path)
    if not place.exists():
        raise MissingPathError(f"no file {place}: expected what 'emohelpers export' wrote")
    if place.is_dir():
        opener = _OPENERS["folder"] if (place / "saved_model.pb").is_file() else None
    else:
        opener = _OPENERS.get(place.suffix)
    if opener is None:
        raise ConfigurationError(
            f"{place}: expected a file that ends in .onnx, .tflite or .xml, or a folder with a "
            "saved_model.pb"
        )
    if batch_size < 1 or (threads is not None and threads < 1):
        raise ConfigurationError(
            f"threads={threads}, batch_size={batch_size}: expected 1 or more of each"
        )
    return ExportedNetwork(place, opener(place, threads), batch_size=batch_size)


@contextmanager
def needs(what: str) -> Iterator[None]:
    """Say which extra to install where a library is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{what} needs {error.name}: pip install 'emohelpers[export]'"
        ) from error


@contextmanager
def _reading(path: Path, kind: str) -> Iterator[None]:
    """Turn the many exceptions of these libraries for a damaged file into one of ours."""
    try:
        yield
    except Exception as error:
        raise ConfigurationError(f"{path} can not be read as {kind}: {error}") from error


def _onnx(path: Path, threads: int | None) -> _Opened:
    with needs("ONNX"):
        import onnxruntime
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
    with _reading(path, "ONNX"):
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        (entry,), (output,) = session.get_inputs(), session.get_outputs()
        text = session.get_modelmeta().custom_metadata_map.get(KEY)
    shape = tuple(side if isinstance(side, int) else None for side in entry.shape)
    known = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8}
    dtype: np.dtype[Any] = np.dtype(known.get(entry.type, object))
    return shape, dtype, lambda block: session.run([output.name], {entry.name: block})[0], text


def _litert(path: Path, threads: int | None) -> _Opened:
    with needs("LiteRT"):
        from ai_edge_litert.interpreter import Interpreter
    with _reading(path, "LiteRT"):
        interpreter = Interpreter(str(path), num_threads=threads)
        interpreter.allocate_tensors()
        (entry,), (output,) = interpreter.get_input_details(), interpreter.get_output_details()

    def answer(block: NDArray[Any]) -> NDArray[Any]:
        if interpreter.get_input_details()[0]["shape"][0] != len(block):
            interpreter.resize_tensor_input(entry["index"], block.shape)
            interpreter.allocate_tensors()
        interpreter.set_tensor(entry["index"], block)
        interpreter.invoke()
        return interpreter.get_tensor(output["index"])

    shape = (None, *(int(side) for side in entry["shape"][1:]))
    return shape, np.dtype(entry["dtype"]), answer, attached(path)


def _openvino(path: Path, threads: int | None) -> _Opened:
    with needs("OpenVINO"):
        import openvino
    # Else it computes in bfloat16 where the processor can, and probabilities move by .02.
    options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32"}
    if threads is not None:
        options["INFERENCE_NUM_THREADS"] = threads
    with _reading(path, "OpenVINO"):
        core = openvino.Core()
        model = core.read_model(path)
        (entry,) = model.inputs
        (_,) = model.outputs
        network = core.compile_model(model, "CPU", options)
        text = model.get_rt_info([KEY]).astype(str) if model.has_rt_info([KEY]) else None
    sides = entry.get_partial_shape()
    shape = tuple(side.get_length() if side.is_static else None for side in sides)
    dtype = np.dtype(entry.get_element_type().to_dtype())
    return shape, dtype, lambda block: network(block)[0], text


def _saved_model(path: Path, _: int | None) -> _Opened:
    import tensorflow as tf

    with _reading(path, "a SavedModel"):
        loaded = tf.saved_model.load(str(path))
        serve = loaded.signatures["serving_default"]
        ((name, entry),) = serve.structured_input_signature[1].items()
        (output,) = serve.structured_outputs
    note = path / "assets.extra" / f"{KEY}.json"
    text = note.read_text(encoding="utf-8") if note.is_file() else None

    def answer(block: NDArray[Any]) -> NDArray[Any]:
        return serve(**{name: tf.constant(block)})[output].numpy()

    # The signature's function goes when the object that holds its variables does.
    answer.loaded = loaded  # type: ignore[attr-defined]
    return tuple(entry.shape), np.dtype(entry.dtype.as_numpy_dtype), answer, text


_OPENERS: dict[str, Callable[[Path, int | None], _Opened]] = {
    ".onnx": _onnx,
    ".tflite": _litert,
    ".xml": _openvino,
    "folder": _saved_model,
}
