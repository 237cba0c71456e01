"""Exported networks: the answers of Keras, what the files say, what is refused."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from emohelpers import datasets, evaluation, export, models, publishing
from emohelpers.errors import ConfigurationError, MissingPathError
from emohelpers.inference import EmotionRecognizer
from tests.browser import THREE, THREE_PLACES, scene

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="the formats are made by TensorFlow"
)
EXACT = [name for name in export.FORMATS if name != "litert-int8"]
NAMES = ("anger", "fear", "joy")


def pixels(n, shape=(16, 16, 1)):
    return np.random.default_rng(n).integers(0, 256, (n, *shape), dtype=np.uint8)


@pytest.fixture(scope="module")
def network():
    built = models.compact_cnn((16, 16, 1), 3, widths=(4, 4, 8, 8), standardise=True)
    rng = np.random.default_rng(0)
    for variable in built.weights:
        if variable.name in ("gamma", "moving_variance"):
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    return built


@pytest.fixture(scope="module")
def files(network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    return {
        to: export.write(
            network,
            folder / export.file_name("tiny", to),
            to,
            name="tiny",
            class_names=NAMES,
            images=pixels(100),
        )
        for to in export.FORMATS
    }


@pytest.mark.parametrize("to", EXACT)
def test_a_file_answers_as_keras_does_however_many_images_come(files, network, to):
    exported = export.open_exported(files[to], threads=1, batch_size=8)
    assert (exported.name, exported.class_names) == ("tiny", NAMES)
    assert (exported.input_shape, exported.outputs) == ((None, 16, 16, 1), 3)
    assert exported(pixels(0)).shape == (0, 3)
    for n in (1, 5, 8, 21, 1):
        images = pixels(n)
        expected = keras.ops.convert_to_numpy(network(images.astype(np.float32)))
        for given in (images, images.astype(np.float64), images.tolist()):
            np.testing.assert_allclose(exported(given), expected, atol=1e-5)
    assert expected.std() > 1e-3


def test_whole_numbers_of_8_bits_answer_nearly_as_keras_does(files, network):
    assert files["litert-int8"].stat().st_size < files["litert"].stat().st_size
    exported = export.open_exported(files["litert-int8"])
    images = pixels(60)
    expected = network.predict(images, verbose=0)
    answers = exported(images)
    assert np.abs(answers - expected).mean() < 0.02
    # It takes whole pixels: others are rounded to them, and cut to 0..255.
    np.testing.assert_array_equal(exported(images + 0.3), answers)
    np.testing.assert_array_equal(exported(images * 3.0), exported(np.minimum(images * 3.0, 255)))


def test_a_file_is_checked_against_the_network(files, network):
    table = {"file": [str(n) for n in range(40)]}
    faces = datasets.FaceDataset(pixels(40), np.arange(40) % 3, NAMES, pd.DataFrame(table))
    found = export.check(network, export.open_exported(files["litert-int8"]), faces, NAMES)
    said = network.predict(faces.images, verbose=0)
    other = export.open_exported(files["litert-int8"])(faces.images)
    assert found["largest"] == pytest.approx(np.abs(said - other).max(), abs=1e-6)
    assert found["agree"] == (said.argmax(1) == other.argmax(1)).mean()
    assert found["before"] == (said.argmax(1) == faces.labels).mean()
    assert found["after"] == (other.argmax(1) == faces.labels).mean()
    assert found["difference"]["value"] == pytest.approx(found["after"] - found["before"])
    with pytest.raises(ConfigurationError, match="no image"):
        export.check(network, None, faces.select(np.zeros(40, bool)), NAMES)


@pytest.mark.parametrize("to", export.FORMATS)
def test_nothing_is_replaced_unasked_or_by_what_is_not_approved(network, tmp_path, to):
    place = tmp_path / export.file_name("tiny", to)
    place.write_text("mine")
    options = {"name": "tiny", "class_names": NAMES, "images": pixels(9)}
    with pytest.raises(ConfigurationError, match="is there: expected a new name, or force"):
        export.write(network, place, to, **options)

    def refuse(path):
        assert path.exists()
        raise RuntimeError("not so")

    with pytest.raises(RuntimeError, match="not so"):
        export.write(network, place, to, force=True, approve=refuse, **options)
    assert place.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [place]


def test_what_can_not_be_written_is_refused(network, tmp_path, monkeypatch):
    options = {"name": "tiny", "class_names": NAMES}
    with pytest.raises(ConfigurationError, match="'tflite': expected one of onnx, litert"):
        export.write(network, tmp_path / "a", "tflite", **options)
    with pytest.raises(ConfigurationError, match="litert-int8 without images"):
        export.write(network, tmp_path / "a", "litert-int8", **options)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'emohelpers\[export\]'"):
        export.write(network, tmp_path / "a", "onnx", **options)
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ConfigurationError, match="Keras runs on jax"):
        export.write(network, tmp_path / "a", "onnx", **options)
    assert not list(tmp_path.iterdir())


def foreign(path, shape=("n", 4, 4, 1), dtype=1, outputs=2):
    """Write an ONNX file of another maker: the mean pixel of 0..255 and what is left of 1."""
    from onnx import TensorProto, helper, numpy_helper, save

    share = numpy_helper.from_array(np.array([-1 / 255, 1 / 255], np.float32)[:outputs], "share")
    shift = numpy_helper.from_array(np.array([1, 0], np.float32)[:outputs], "shift")
    axes = numpy_helper.from_array(np.array([1, 2, 3]), "axes")
    column = numpy_helper.from_array(np.array([-1, 1]), "column")
    nodes = [
        helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["f", "axes"], ["m"], keepdims=0),
        helper.make_node("Reshape", ["m", "column"], ["r"]),
        helper.make_node("Mul", ["r", "share"], ["s"]),
        helper.make_node("Add", ["s", "shift"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "mean",
        [helper.make_tensor_value_info("x", dtype, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", outputs])],
        [share, shift, axes, column],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    save(model, path)
    return path


@pytest.mark.parametrize("dtype", [1, 2], ids=["float32", "uint8"])
def test_files_of_other_makers_answer_too(tmp_path, dtype):
    exported = export.open_exported(foreign(tmp_path / "mean.onnx", dtype=dtype))
    assert (exported.name, exported.class_names, exported.outputs) == ("mean", None, 2)
    images = pixels(5, (4, 4, 1))
    share = images.mean(axis=(1, 2, 3)) / 255
    np.testing.assert_allclose(exported(images), np.stack([1 - share, share], 1), atol=1e-6)
    recognizer = EmotionRecognizer(tmp_path / "mean.onnx", "none", class_names=["dark", "light"])
    assert recognizer.image(np.full((9, 9), 255, np.uint8))["emotion"].tolist() == ["light"]
    with pytest.raises(ConfigurationError, match="1 class names for a network that tells 2"):
        EmotionRecognizer(tmp_path / "mean.onnx", "none", class_names=["dark"])


def test_networks_of_anything_but_pixels_are_refused(tmp_path):
    for options, words in (
        ({"shape": ("n", 1, 4, 4)}, r"takes \(None, 1, 4, 4\): expected images"),
        ({"shape": ("n", 4, "w", 1)}, r"takes \(None, 4, None, 1\): expected images"),
        ({"dtype": 7}, "takes object: expected pixels"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            export.open_exported(foreign(tmp_path / "other.onnx", **options))


@pytest.mark.parametrize("to", ["onnx", "litert", "openvino", "saved-model"])
def test_damaged_files_are_refused_by_their_path(files, tmp_path, to):
    whole = files[to] / "saved_model.pb" if to == "saved-model" else files[to]
    content = whole.read_bytes()
    folder = tmp_path / "broken"
    folder.mkdir()
    place = folder if to == "saved-model" else folder / files[to].name
    for cut in (0, 1, 100, len(content) // 2):
        (folder / whole.name).write_bytes(content[:cut])
        with pytest.raises(ConfigurationError) as caught:
            export.open_exported(place)
        assert str(place) in str(caught.value)


def test_what_is_no_exported_network_is_refused(tmp_path):
    with pytest.raises(MissingPathError, match="expected what 'emohelpers export' wrote"):
        export.open_exported(tmp_path / "none.onnx")
    (tmp_path / "a.txt").write_text("")
    for path in (tmp_path, tmp_path / "a.txt"):
        with pytest.raises(ConfigurationError, match=r"ends in .*, or a folder"):
            export.open_exported(path)


def test_images_and_settings_that_do_not_fit_are_refused(files):
    exported = export.open_exported(files["onnx"])
    for shape in ((2, 16, 16), (2, 16, 16, 3), (2, 8, 8, 1)):
        with pytest.raises(ConfigurationError, match=r"expected \(n, 16, 16, 1\)"):
            exported(np.zeros(shape, np.uint8))
    for options in ({"threads": 0}, {"batch_size": 0}):
        with pytest.raises(ConfigurationError, match="expected 1 or more of each"):
            export.open_exported(files["onnx"], **options)


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"network": "a"}', '{"network": "a", "class_names": ["a", 3, "b"]}']
)
def test_a_description_that_can_not_be_read_is_refused(files, tmp_path, text):
    import onnx

    network = onnx.load(files["onnx"])
    onnx.helper.set_model_props(network, {"emohelpers": text})
    onnx.save(network, tmp_path / "a.onnx")
    with pytest.raises(ConfigurationError, match="can not be read"):
        export.open_exported(tmp_path / "a.onnx")


def test_a_network_with_more_names_than_outputs_is_refused(files, tmp_path):
    import onnx

    network = onnx.load(files["onnx"])
    words = json.dumps({"network": "a", "class_names": ["a", "b"]})
    onnx.helper.set_model_props(network, {"emohelpers": words})
    onnx.save(network, tmp_path / "a.onnx")
    with pytest.raises(ConfigurationError, match="3 outputs and 2 class names"):
        export.open_exported(tmp_path / "a.onnx")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    return {
        to: export.export("fer-compact", to, folder / export.file_name("fer-compact", to))
        for to in ("onnx", "litert", "litert-int8")
    }


def test_a_published_network_is_written_and_checked(published):
    for to, found in published.items():
        assert found["on"] == "toyfaces test"
        assert found["bytes"] == Path(found["file"]).stat().st_size
        assert (found["largest"] < 1e-4) == (to != "litert-int8")
    assert published["litert-int8"]["bytes"] < 500_000
    assert published["litert-int8"]["agree"] > 0.9


def test_a_recognizer_answers_with_a_file_as_with_the_network(published):
    faces = datasets.make_faces(5, size=96, seed=1, difficulty=0.0).images
    keras_file = models.saved_folder("fer-compact") / "model.keras"
    expected = EmotionRecognizer("fer-compact", "none")
    for path in (keras_file, published["onnx"]["file"], published["litert"]["file"]):
        recognizer = EmotionRecognizer(path, "none")
        assert recognizer.class_names == expected.class_names
        for face in faces:
            one, other = recognizer.image(face), expected.image(face)
            assert one["emotion"].tolist() == other["emotion"].tolist()
            columns = list(expected.class_names)
            np.testing.assert_allclose(one[columns], other[columns], atol=1e-5)
    with pytest.raises(MissingPathError, match=r"no file .*none\.keras"):
        EmotionRecognizer("none.keras", "none")


@pytest.mark.parametrize("to", ["onnx", "litert"])
def test_a_photo_s_table_is_the_same_from_a_file(published, to):
    photo = scene(THREE, THREE_PLACES)
    expected = EmotionRecognizer("fer-compact", "haar").image(photo)
    table = EmotionRecognizer(published[to]["file"], "haar").image(photo)
    assert len(expected) == 3
    pd.testing.assert_frame_equal(table, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("to", ["onnx", "litert"])
def test_a_file_answers_without_keras_and_what_else_is_slow_to_load(published, to):
    code = (
        "import sys, numpy as np; from emohelpers.inference import EmotionRecognizer\n"
        f"found = EmotionRecognizer({published[to]['file']!r}, 'haar')\n"
        "assert len(found.answer(np.zeros((2, 48, 48, 1), np.uint8))) == 2\n"
        "found.image(np.zeros((90, 90), np.uint8))\n"
        "slow = {'keras', 'tensorflow', 'matplotlib', 'scipy', 'sklearn', 'seaborn', 'pooch'}\n"
        "print(sorted(slow & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("file", ["fer2013.csv.xz"])
def test_whole_numbers_cost_little_on_real_faces(real_data, tmp_path, file):
    place = tmp_path / "int8.tflite"
    found = export.export("fer-compact", "litert-int8", place, data=real_data(file))
    assert found["on"] == "fer2013 PrivateTest"
    assert (found["n"], found["before"]) == (3589, pytest.approx(0.676, abs=5e-4))
    assert found["bytes"] < 500_000
    assert found["difference"]["value"] > -0.005


def test_the_command_exports_checks_and_refuses(run, tmp_path):
    place = tmp_path / "toy.tflite"
    call = ("export", "toy-baseline", "--to", "litert", "--out", place)
    said = run(*call)
    assert said.code == 0, said.stderr
    assert f"{place}: {place.stat().st_size:,} bytes; on 900 images of toyfaces test" in said.stdout
    again = run(*call)
    assert again.code == 1
    assert "is there: expected a new name, or force" in again.stderr
    found = json.loads(run(*call, "--force", "--json").stdout)
    saved = publishing.open_model(models.saved_folder("toy-baseline"))
    part = evaluation.protocol(saved.load("toyfaces"))["test"]
    answers = export.open_exported(place)(part.images)
    assert found["after"] == pytest.approx((answers.argmax(1) == part.labels).mean())
    assert run("export", "toy-baseline", "--to", "gif").code == 1
    assert "no published network" in run("export", "nobody", "--to", "onnx").stderr
