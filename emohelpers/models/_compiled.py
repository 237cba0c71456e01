"""Networks as graphs for answering: traced once, with less to compute than Keras's own way."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from emohelpers.errors import ConfigurationError

__all__ = ["CompiledNetwork", "compiled"]

# A few faces, as a photo holds them, are cheaper in blocks of this size than padded to a batch.
_FEW = 16

_LINEAR = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
    keras.layers.Dense,
)
_LINEAR_VARIABLES = {"kernel", "depthwise_kernel", "pointwise_kernel", "bias"}

_Weights = list[NDArray[Any]]
_Refills = list[tuple[list[Any], Callable[[], _Weights]]]


def compiled(model: Any, *, batch_size: int = 256) -> "CompiledNetwork":
    """Compile a network for answering, one face as well as many.

    Batch normalisation is folded into the convolution or dense layer before it, where nothing
    stands between the two and nothing else takes that layer's output. On TensorFlow biases are
    added by the one operation that it fuses with the convolution before and the ReLU after.
    Images are answered in blocks of 1, 16 and `batch_size`, so that three graphs at most are
    traced, whatever numbers of images come. Threads are left to the backend: on TensorFlow
    ``TF_NUM_INTRAOP_THREADS=1`` keeps to one core.

    Parameters
    ----------
    model : keras.Model
        Functional or built Sequential, with one input of a fixed shape and one output. Its
        weights are copied; see `CompiledNetwork.update` for later changes.
    batch_size : int
        Images in the largest block.

    Returns
    -------
    CompiledNetwork
        Called with images of shape ``(n, height, width, channels)``, uint8 or float in the value
        range that the network takes (0..255 for those of this package), it returns float32 of
        shape ``(n, n_outputs)``: what ``model.predict`` returns, but for rounding. It computes in
        float32 also what was built in mixed precision.

    Raises
    ------
    ConfigurationError
        If the network does not take and return one tensor, or `batch_size` is below 1.

    Examples
    --------
    >>> from emohelpers import datasets, models
    >>> answer = models.compiled(models.compact_cnn(widths=(2, 2, 2, 2)))
    >>> answer(datasets.make_faces(3, seed=0).images).shape
    (3, 7)
    """
    return CompiledNetwork(model, batch_size=batch_size)


class CompiledNetwork:
    """What `compiled` returns: see there.

    Attributes
    ----------
    copied : bool
        Usually True. A network that can not be built again from its configuration is computed as
        it is: nothing is folded, its precision is kept, and changed weights show at once.
    traces : int
        How many graphs TensorFlow has traced.
    input_shape : tuple of int or None
        ``(None, height, width, channels)``, as the network's own.
    """

    def __init__(self, model: Any, *, batch_size: int = 256) -> None:
        taken, given = _shapes(model)
        if taken is None or given is None or None in taken:
            raise ConfigurationError(
                f"the network takes {taken} and returns {given}: expected one input of a fixed "
                "shape and one output"
            )
        if batch_size < 1:
            raise ConfigurationError(f"batch_size={batch_size}: expected 1 or more")
        self.traces = 0
        self._input_shape, self._output_shape = taken, given
        self.input_shape = (None, *taken)
        self._sizes = sorted({1, min(_FEW, batch_size), batch_size}, reverse=True)
        self._refills: _Refills = []
        try:
            network = _copy(model, self._refills) if _is_graph(model) else model
        except (NotImplementedError, TypeError):  # how Keras says that a layer has no configuration
            network = model
            self._refills.clear()
        self.copied = network is not model
        self._answer = self._compile(network)
        self.update()

    def __call__(self, images: Any) -> NDArray[np.float32]:
        """Answer images, see `compiled`.

        Raises
        ------
        ConfigurationError
            If the images are not of the shape that the network takes.
        """
        pixels = np.asarray(images, dtype=np.float32)
        if pixels.ndim != len(self._input_shape) + 1 or pixels.shape[1:] != self._input_shape:
            raise ConfigurationError(
                f"images of {pixels.shape[1:]}: the network takes {self._input_shape}"
            )
        outputs = [np.empty((0, *self._output_shape), np.float32)]
        start = 0
        for size in self._blocks(len(pixels)):
            block = pixels[start : start + size]
            start += size
            if len(block) == size:
                outputs.append(self._answer(block))
            else:
                padding = np.zeros((size - len(block), *self._input_shape), np.float32)
                outputs.append(self._answer(np.concatenate([block, padding]))[: len(block)])
        return np.concatenate(outputs)

    def update(self) -> None:
        """Take over the weights that the network has now; nothing is traced anew."""
        for layers, weights in self._refills:
            values = weights()
            for layer in layers:
                count = len(layer.weights)
                layer.set_weights(values[:count])
                values = values[count:]

    def _blocks(self, n: int) -> Iterator[int]:
        """Cut n images into blocks of the known sizes, of which only the last may be padded."""
        for size in self._sizes:
            # Padding costs less than smaller blocks where most of the block is used.
            while n >= size or 2 * n > size:
                yield size
                n -= size

    def _compile(self, network: Any) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
        if keras.backend.backend() != "tensorflow":
            # Keras compiles once for each size of block (JAX), or need not (PyTorch).
            return lambda block: np.asarray(network.predict_on_batch(block), dtype=np.float32)
        import tensorflow as tf

        def compute(block: Any) -> Any:
            self.traces += 1
            return tf.cast(network(block, training=False), tf.float32)

        function = tf.function(compute, autograph=False)
        graphs: dict[int, Any] = {}

        def answer(block: NDArray[np.float32]) -> NDArray[np.float32]:
            size = len(block)
            if size not in graphs:
                # Called by itself, a graph starts .1 ms earlier than through the function.
                signature = tf.TensorSpec((size, *self._input_shape), tf.float32)
                graphs[size] = function.get_concrete_function(signature)
            return graphs[size](tf.constant(block)).numpy()

        return answer


class _Shift(keras.layers.Layer):
    """Add a number to each channel and apply an activation."""

    def __init__(self, activation: Any, **options: Any) -> None:
        super().__init__(**options)
        self.activation = activation

    def build(self, input_shape: Any) -> None:
        self.bias = self.add_weight(shape=(input_shape[-1],), initializer="zeros", name="bias")

    def call(self, inputs: Any) -> Any:
        if keras.backend.backend() != "tensorflow":
            return self.activation(inputs + self.bias)
        import tensorflow as tf

        # Keras's own layers add their bias as any tensor, which is not fused with what is around.
        return self.activation(tf.nn.bias_add(inputs, self.bias))


def _shapes(model: Any) -> tuple[tuple[int, ...] | None, tuple[int, ...] | None]:
    """Return the shapes of one image and of one answer; None for what is not one tensor."""
    shapes = (getattr(model, "input_shape", None), getattr(model, "output_shape", None))
    taken, given = (shape[1:] if isinstance(shape, tuple) else None for shape in shapes)
    return taken, given


def _is_graph(model: Any) -> bool:
    """Say whether a model has one input and output and is what its layers and connections say."""
    if None in _shapes(model):
        return False
    plain = type(keras.Model(model.inputs, model.outputs[0]))
    return type(model).call in (plain.call, keras.Sequential.call)


def _copy(model: Any, refills: _Refills) -> Any:
    """Build a network again, folded; note in `refills` which weights belong to which copies."""
    graph = keras.Model(model.inputs, model.outputs[0], name=model.name)
    norm_after = _foldable(graph)
    folded = {norm.name for norm in norm_after.values()}
    shift_after: dict[str, _Shift] = {}

    def copy(layer: Any) -> Any:
        if not isinstance(layer, keras.layers.Layer):
            return layer  # an operation, which has no state
        if isinstance(layer, keras.Model) and _is_graph(layer):
            return _copy(layer, refills)
        config = layer.get_config()
        if layer.compute_dtype in ("float16", "bfloat16"):
            config["dtype"] = "float32"
        if layer.name in folded:
            return keras.layers.Identity(name=layer.name)
        norm = norm_after.get(layer.name)
        if norm is None and not (_is_linear(layer) and layer.use_bias):
            new = type(layer).from_config(config)
            refills.append(([new], layer.get_weights))
            return new
        new = type(layer).from_config({**config, "use_bias": False, "activation": None})
        # Keras's own choice of a name may be one that the network has.
        shift = _Shift(layer.activation, dtype=config["dtype"], name=f"{layer.name}__shift")
        shift_after[layer.name] = shift
        refills.append(([new, shift], partial(_folded_weights, layer, norm)))
        return new

    def call(layer: Any, *arguments: Any, **options: Any) -> Any:
        if isinstance(layer, keras.layers.Identity) and layer.name in folded:
            return arguments[0]
        outputs = layer(*arguments, **options)
        return shift_after[layer.name](outputs) if layer.name in shift_after else outputs

    return keras.models.clone_model(graph, clone_function=copy, call_function=call)


def _is_linear(layer: Any) -> bool:
    """Say whether a layer is linear up to bias and activation, the last axis being its output's."""
    return (
        type(layer) in _LINEAR
        and getattr(layer, "data_format", "channels_last") == "channels_last"
        # Quantised layers and adapters have others too.
        and {variable.name for variable in layer.weights} <= _LINEAR_VARIABLES
    )


def _foldable(graph: Any) -> dict[str, Any]:
    """Return, by the name of each linear layer, the normalisation to fold into it."""
    config = graph.get_config()
    nodes = {entry["name"]: entry["inbound_nodes"] for entry in config["layers"]}
    takers: dict[str, list[str]] = {name: [] for name in nodes}
    for name, calls in nodes.items():
        for source in _sources(calls):
            takers[source].append(name)
    layers = {layer.name: layer for layer in graph.layers}
    found = {}
    for name, layer in layers.items():
        if not _is_linear(layer) or layer.activation is not keras.activations.linear:
            continue
        norm = layers.get(takers[name][0]) if len(takers[name]) == 1 else None
        if (
            isinstance(norm, keras.layers.BatchNormalization)
            and norm.axis in ((-1,) if isinstance(layer, keras.layers.Dense) else (-1, 3))
            and len(nodes[name]) == len(nodes[norm.name]) == 1
        ):
            found[name] = norm
    return found


def _sources(value: Any) -> Iterator[str]:
    """Walk the names of the layers whose outputs a configuration names as arguments."""
    if isinstance(value, dict):
        if "keras_history" in value:
            yield value["keras_history"][0]
        value = list(value.values())
    if isinstance(value, list | tuple):
        for one in value:
            yield from _sources(one)


def _folded_weights(layer: Any, norm: Any | None) -> _Weights:
    """Return a linear layer's kernels and the bias, with a normalisation after it in them."""
    kernels = layer.get_weights()
    bias = kernels.pop() if layer.use_bias else np.float32(0)
    if norm is None:
        return [*kernels, bias]
    numbers = {variable.name: keras.ops.convert_to_numpy(variable) for variable in norm.weights}
    scale = numbers.get("gamma", 1.0) / np.sqrt(numbers["moving_variance"] + norm.epsilon)
    # Only a depthwise kernel spreads the outputs over its two last axes.
    last = kernels[-1].shape[-2:] if isinstance(layer, keras.layers.DepthwiseConv2D) else (-1,)
    kernels[-1] = kernels[-1] * scale.reshape(last)
    return [*kernels, numbers.get("beta", 0.0) + (bias - numbers["moving_mean"]) * scale]
