"""Tables of many photos in parts: no row is lost, doubled or another, whoever dies on the way."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import psutil
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from emohelpers import datasets
from emohelpers.errors import ConfigurationError, ImageError
from emohelpers.inference import EmotionRecognizer, _photos, _ray, problems_file
from emohelpers.inference._listing import Listed, walk
from emohelpers.inference._parts import Parts

COMMAND = Path(sys.executable).with_name("emohelpers")
PHOTOS, A_PART = 1280, 64


def write_network(place, seed=0):
    """Write an ONNX file of one dense layer and a softmax, which takes faces of 48x48."""
    weights = np.random.default_rng(seed).normal(0, 1e-3, (48 * 48, 7)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["images"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], ["scores"]),
            helper.make_node("Softmax", ["scores"], ["answers"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 48, 48, 1])],
        [helper.make_tensor_value_info("answers", TensorProto.FLOAT, ["n", 7])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, place)
    return place


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return write_network(tmp_path_factory.mktemp("network") / "tiny.onnx")


@pytest.fixture
def recognizer(network):
    return EmotionRecognizer(network, "none")


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """1,280 photos in nested folders, four of which can not be read."""
    home = tmp_path_factory.mktemp("many") / "photos"
    faces = datasets.make_faces(40, size=240, seed=5).images[..., 0]
    home.mkdir()
    for number in range(PHOTOS):
        place = home / f"{number // 400}" / f"{number:04}.jpg"
        place.parent.mkdir(exist_ok=True)
        first = home / "0" / f"{number % 40:04}.jpg"
        if number < 40:
            Image.fromarray(faces[number]).save(place)
        elif number % 400 == 77:
            place.write_bytes(first.read_bytes()[:300])
        else:
            place.hardlink_to(first)
    return home


@pytest.fixture(scope="module")
def expected(many, network):
    """What the plain way says, which knows no parts."""
    return EmotionRecognizer(network, "none").folder(many, on_error="skip")


@pytest.fixture
def few(tmp_path):
    """150 small photos: two parts and a short one."""
    home = tmp_path / "photos"
    home.mkdir()
    for number, face in enumerate(datasets.make_faces(150, seed=3).images[..., 0]):
        Image.fromarray(face).save(home / f"{number:03}.png")
    return home


def same(table, other):
    pd.testing.assert_frame_equal(table, other, check_exact=True)


def start(*arguments):
    return subprocess.Popen(
        [COMMAND, "predict", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until_parts(process, out, count):
    """Watch what is on disk for as long as the process runs and there are fewer parts."""
    while process.poll() is None and len(list(out.glob("part-*.parquet"))) < count:
        pass


def test_a_killed_process_loses_and_doubles_nothing(many, network, expected, tmp_path):
    out = tmp_path / "faces"
    call = (many, "--model", network, "--detector", "none", "--on-error", "skip", "--out", out)
    process = start(*call)
    until_parts(process, out, 3)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    done = len(list(out.glob("part-*.parquet")))
    assert 3 <= done < PHOTOS / A_PART
    again = start(*call)
    said, errors = again.communicate()
    assert (again.returncode, errors) == (0, "")
    first, *bad, last = said.splitlines()
    assert first == (
        f"{out}: 1,280 photos, {done * A_PART:,} of them done before, 1,276 faces, "
        "0 without a face, 4 unreadable"
    )
    assert [line.split(":")[0].strip() for line in bad] == [
        str(many / "0" / "0077.jpg"),
        str(many / "1" / "0477.jpg"),
        str(many / "2" / "0877.jpg"),
        str(many / "3" / "1277.jpg"),
    ]
    assert last == f"{out / '_problems.csv'} lists them all"
    same(pd.read_parquet(out), expected)
    assert sorted(path.name for path in out.iterdir()) == [
        "_begun.json",
        "_photos.parquet",
        "_problems.csv",
        *(f"part-{number:06}.parquet" for number in range(PHOTOS // A_PART)),
    ]


def test_a_killed_worker_of_ray_loses_and_doubles_nothing(many, network, expected, tmp_path):
    out = tmp_path / "faces"
    call = (many, "--model", network, "--detector", "none", "--on-error", "skip", "--out", out)
    process = start(*call, "--ray", "--json")
    until_parts(process, out, 2)
    workers = [
        child
        for child in psutil.Process(process.pid).children(recursive=True)
        if child.cmdline() and child.cmdline()[0].startswith("ray::MapWorker")
    ]
    assert workers
    for worker in workers:  # at least one of them is amid a part
        worker.kill()
    said, errors = process.communicate()
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    assert json.loads(said) == {
        "file": str(out),
        "photos": PHOTOS,
        "faces": PHOTOS - 4,
        "without_face": 0,
        "unreadable": 4,
        "done_before": 0,
        "problems": str(out / "_problems.csv"),
    }
    same(pd.read_parquet(out), expected)
    listed = pd.read_csv(problems_file(out))
    bad = expected[expected["problem"].notna()][["file", "problem"]].reset_index(drop=True)
    pd.testing.assert_frame_equal(listed, bad, check_dtype=False)
    assert list(out.glob(".*")) == []


def test_photos_one_by_one_say_the_same_within_rounding(recognizer, few, tmp_path):
    recognizer.write_folder(few, tmp_path / "faces")
    table = pd.read_parquet(tmp_path / "faces")
    single = pd.concat([recognizer.image(file) for file in table["file"]], ignore_index=True)
    pd.testing.assert_frame_equal(
        table.drop(columns="problem"), single, check_dtype=False, rtol=0, atol=1e-6
    )


def test_a_folder_that_is_done_takes_in_what_came_and_looks_at_nothing_twice(
    recognizer, few, tmp_path, monkeypatch
):
    out = tmp_path / "faces"
    assert recognizer.write_folder(few, out)["done_before"] == 0
    before = pd.read_parquet(out)
    same(before, recognizer.folder(few))
    Image.new("L", (48, 48)).save(few / "000a.png")  # sorts between those of the first part
    looked = []
    find = recognizer.find
    monkeypatch.setattr(recognizer, "find", lambda photo: looked.append(1) or find(photo))
    counts = recognizer.write_folder(few, out)
    assert (counts["photos"], counts["done_before"], len(looked)) == (151, 128, 23)
    after = pd.read_parquet(out)
    same(after[:150], before)
    assert after["file"].to_list()[150:] == [str(few / "000a.png")]
    assert recognizer.write_folder(few, out)["done_before"] == 151
    assert len(looked) == 23


def test_a_damaged_photo_that_was_deleted_holds_nothing_up(recognizer, few, tmp_path):
    (few / "100.png").write_bytes(b"no photo")
    out = tmp_path / "faces"
    with pytest.raises(ImageError, match=r"100\.png is not an image"):
        recognizer.write_folder(few, out)
    (few / "100.png").unlink()
    counts = recognizer.write_folder(few, out)
    assert counts == {
        "photos": 149,
        "faces": 149,
        "without_face": 0,
        "unreadable": 0,
        "done_before": 64,
    }
    same(pd.read_parquet(out), recognizer.folder(few))
    # What is in a part stays there, and what comes back is not there twice.
    (few / "000.png").rename(tmp_path / "kept.png")
    assert recognizer.write_folder(few, out)["photos"] == 149
    (tmp_path / "kept.png").rename(few / "000.png")
    assert recognizer.write_folder(few, out)["photos"] == 149
    assert pd.read_parquet(out)["file"].is_unique


def test_a_part_of_which_all_photos_are_gone_is_empty(recognizer, few, tmp_path):
    out = tmp_path / "faces"
    (few / "070.png").write_bytes(b"no photo")
    with pytest.raises(ImageError):
        recognizer.write_folder(few, out)
    for number in range(64, 128):
        (few / f"{number:03}.png").unlink()
    assert recognizer.write_folder(few, out)["photos"] == 86
    assert len(pd.read_parquet(out / "part-000001.parquet")) == 0
    same(pd.read_parquet(out), recognizer.folder(few))


def test_a_part_that_a_power_cut_left_empty_is_done_again(recognizer, few, tmp_path):
    out = tmp_path / "faces"
    recognizer.write_folder(few, out)
    whole = (out / "part-000001.parquet").read_bytes()
    (out / "part-000001.parquet").write_bytes(b"")
    (out / "part-000000.parquet").write_bytes(whole[:-9])
    assert recognizer.write_folder(few, out)["done_before"] == 22
    assert (out / "part-000001.parquet").read_bytes() == whole


def test_a_folder_of_others_is_left_alone(recognizer, few, tmp_path):
    with pytest.raises(ConfigurationError, match="photos exists and holds other things"):
        recognizer.write_folder(few, few, force=True)
    assert len(list(few.iterdir())) == 150
    (tmp_path / "file").write_text("precious")
    with pytest.raises(ConfigurationError, match="file exists and holds other things"):
        recognizer.write_folder(few, tmp_path / "file", force=True)
    assert (tmp_path / "file").read_text() == "precious"


def test_force_forgets_the_parts_and_nothing_else(recognizer, few, tmp_path):
    out = tmp_path / "faces"
    recognizer.write_folder(few, out)
    (out / "notes.txt").write_text("mine")
    assert recognizer.write_folder(few / "001.png", out, force=True)["done_before"] == 0
    assert len(pd.read_parquet(out / "part-000000.parquet")) == 1
    assert not (out / "part-000001.parquet").exists()
    assert (out / "notes.txt").read_text() == "mine"


def test_other_photos_and_another_network_are_not_mixed_in(recognizer, few, tmp_path):
    out = tmp_path / "faces"
    recognizer.write_folder(few, out)
    other = tmp_path / "others"
    other.mkdir()
    Image.new("L", (48, 48)).save(other / "x.png")
    with pytest.raises(ConfigurationError, match=r"begun with other photos than .*x\.png"):
        recognizer.write_folder(other, out)
    namesake = EmotionRecognizer(write_network(other / "tiny.onnx", seed=1), "none")
    with pytest.raises(ConfigurationError, match="begun with other network_file"):
        namesake.write_folder(few, out)


def test_the_list_of_problems_of_a_file_lies_beside_it_and_is_not_replaced(
    recognizer, few, tmp_path
):
    (few / "100.png").write_bytes(b"no photo")
    out, listed = tmp_path / "faces.csv", tmp_path / "faces.problems.csv"
    recognizer.write_folder(few, out, on_error="skip")
    assert listed.read_text().splitlines()[1].startswith(f'{few / "100.png"},"is not an image: ')
    out.unlink()
    with pytest.raises(ConfigurationError, match=r"faces\.problems\.csv exists"):
        recognizer.write_folder(few, out)
    (few / "100.png").unlink()
    recognizer.write_folder(few, out, force=True)
    assert not listed.exists()


def test_many_photos_are_in_few_parts_and_each_is_in_one(tmp_path):
    def photos():
        return (Listed(f"p/{number:06}.png", f"{number:06}.png") for number in range(70_000))

    parts = Parts.begin(tmp_path / "parts", photos, {})
    assert len(parts) == 547  # of 128: more than a thousand of 64 would be too many files
    held = [photo for number in range(len(parts)) for photo in parts.photos(number)]
    assert held == list(photos())
    assert parts.missing() == list(range(547))


def test_photos_that_are_named_twice_are_listed_once(few):
    (few / "sub").mkdir()
    (few / "001.png").rename(few / "sub" / "001.png")
    alone = [photo.file for photo in walk(few)]
    inner = str(few / "sub" / "001.png")
    assert len(alone) == 150
    assert [photo.file for photo in walk([few, few / "sub", inner, few])] == alone
    last_first = [photo.file for photo in walk([inner, few / "000.png", few / "sub", few])]
    assert last_first == [inner, alone[0], *alone[1:149]]
    assert {photo.below for photo in walk(few)} >= {"000.png", os.path.join("sub", "001.png")}  # noqa: PTH118


def test_names_are_those_of_path_for_any_way_to_say_a_folder(few, monkeypatch):
    monkeypatch.chdir(few)
    for said in (".", "./", "../photos", few, f"{few}/"):
        expected = [str(Path(said, name)) for name in sorted(path.name for path in few.iterdir())]
        assert [photo.file for photo in walk(said)] == expected


def test_a_folder_that_may_not_be_listed_is_a_problem_and_not_a_gap(recognizer, few, monkeypatch):
    (few / "closed").mkdir()
    scandir = os.scandir

    def refuse(place):
        if Path(place).name == "closed":
            raise PermissionError(13, "Permission denied", str(place))
        return scandir(place)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(ImageError, match="closed can not be listed: expected a folder that may"):
        recognizer.folder(few)
    table = recognizer.folder(few, on_error="skip")
    assert len(table) == 151
    assert table["problem"].iloc[-1] == "can not be listed: expected a folder that may be read"


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux alone")
def test_a_name_that_is_not_text_is_read_and_written_out(recognizer, few, tmp_path):
    name = os.fsdecode(os.fsencode(few) + b"/caf\xe9.png")
    Image.new("L", (48, 48)).save(name)
    Path(os.fsdecode(os.fsencode(few) + b"/x\xe9.png")).write_bytes(b"no photo")
    counts = recognizer.write_folder(few, tmp_path / "faces", on_error="skip")
    assert (counts["photos"], counts["unreadable"]) == (152, 1)
    files = pd.read_parquet(tmp_path / "faces")["file"]
    assert f"{few}/caf\\udce9.png" in set(files)


def worker(recognizer, parts, **changed):
    return _ray._Worker(
        **{
            "folder": parts.folder,
            "directory": Path.cwd(),
            "arguments": recognizer.arguments,
            "settings": _photos.settings(recognizer),
            "on_error": "raise",
            "copies": None,
            **changed,
        }
    )


@pytest.fixture
def begun(recognizer, few, tmp_path, monkeypatch):
    """Parts that are begun, and this process as it was when the test is over."""
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setattr("cv2.setNumThreads", lambda _: None)
    return Parts.begin(tmp_path / "faces", lambda: walk(few), _photos.settings(recognizer))


def test_a_worker_gives_what_it_met_as_a_row(recognizer, few, begun):
    (few / "010.png").write_bytes(b"no photo")
    make = worker(recognizer, begun)
    said = {name: values[0] for name, values in make({"item": np.array([2])}).items()}
    assert said == {"photos": 22, "error": "", "said": ""}
    same(
        pd.read_parquet(begun.folder / "part-000002.parquet"),
        recognizer.folder(few, on_error="skip")[128:].reset_index(drop=True),
    )
    said = {name: values[0] for name, values in make({"item": np.array([0])}).items()}
    assert (said["photos"], said["error"]) == (0, "ImageError")
    assert "010.png is not an image" in said["said"]


def test_a_worker_with_another_network_says_so(recognizer, begun):
    settings = {
        **_photos.settings(recognizer),
        "network_file": "other",
        "detector": "YuNetDetector",
    }
    row = worker(recognizer, begun, settings=settings)({"item": np.array([0])})
    assert row["error"][0] == "ConfigurationError"
    assert " has detector WholePhoto, not YuNetDetector, network_file " in row["said"][0]
    assert begun.missing() == [0, 1, 2]


def test_a_part_over_which_worker_after_worker_dies_is_given_up(recognizer, few, begun):
    dead = [begun.trying(1) for _ in range(3)]
    for attempt in dead:
        attempt.__enter__()  # and nobody lives to leave it
    row = worker(recognizer, begun)({"item": np.array([1])})
    assert row["error"][0] == "ConfigurationError"
    assert f"3 workers died over the photos from {few / '064.png'} to" in row["said"][0]
    # A new call tries again.
    begun = Parts.begin(begun.folder, lambda: walk(few), _photos.settings(recognizer))
    assert worker(recognizer, begun)({"item": np.array([1])})["photos"][0] == 64
    assert list(begun.folder.glob(".*")) == []


def test_without_ray_the_extra_is_named(recognizer, few, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'emohelpers\[ray\]'"):
        recognizer.write_folder(few, tmp_path / "faces", ray=True)


def test_what_other_processes_can_not_open_is_named(network, few, tmp_path):
    mine = EmotionRecognizer(network, lambda _: [])
    with pytest.raises(ConfigurationError, match="a detector of this process, function"):
        mine.write_folder(few, tmp_path / "faces", ray=True)


def test_ray_needs_a_place_for_the_table(few, run):
    said = run("predict", few, "--ray")
    assert (said.code, said.stdout) == (1, "")
    assert "--ray without --out: expected where to write the table" in said.stderr


def test_threads_are_counted_and_change_nothing(network, few):
    with pytest.raises(ConfigurationError, match="threads=0: expected 1 or more"):
        EmotionRecognizer(network, "none", threads=0)
    tables = [EmotionRecognizer(network, "none", threads=n).folder(few) for n in (1, 3)]
    same(*tables)
