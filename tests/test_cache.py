"""The cache: what was written comes back, and nothing half-written is ever read."""

import errno
import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from emohelpers.datasets import _cache
from emohelpers.datasets._cache import (
    Built,
    ImageWriter,
    cache_directory,
    open_dataset,
    open_or_build,
)
from emohelpers.datasets._fingerprints import fingerprint
from emohelpers.errors import CacheError, ConfigurationError, ImageError, MissingPathError

KEY = {"name": "faces", "source": "abc", "size": [4, 5]}
IMAGES = np.random.default_rng(0).integers(0, 256, (7, 4, 5, 3), np.uint8)


class Builder:
    """Builds a small cache and counts how often it was asked to."""

    def __init__(self, images: np.ndarray = IMAGES) -> None:
        self.images, self.calls = images, 0

    def __call__(self, writer: ImageWriter) -> Built:
        self.calls += 1
        writer.append(self.images[:3])
        writer.append(self.images[3:])
        n = len(self.images)
        table = pd.DataFrame(
            {
                "split": pd.Series(["train", None] * n, dtype="str")[:n],
                "age": pd.array([None, *range(n - 1)], dtype="Int64"),
                "group": pd.Categorical(["old", "young"] * n, ["young", "old"])[:n],
                "quality": np.linspace(0, 1, n),
                "leaks": np.arange(n) % 2 == 0,
            }
        )
        return Built(table, np.arange(n) % 2, ["a", "b"], [("row 3", "bad")], ["A note."])


def test_what_was_written_comes_back_and_is_not_built_twice(tmp_path):
    builder = Builder()
    first, second = (open_dataset(tmp_path, KEY, builder) for _ in range(2))
    assert builder.calls == 1
    expected = builder(ImageWriter(tmp_path / "again.npy")).table
    for faces in (first, second):
        assert isinstance(faces.images, np.memmap)
        assert not faces.images.flags.writeable
        np.testing.assert_array_equal(faces.images, IMAGES)
        assert faces.labels.tolist() == [0, 1, 0, 1, 0, 1, 0]
        assert faces.class_names == ("a", "b")
        assert faces.name == "faces"
        assert faces.skipped.values.tolist() == [["row 3", "bad"]]
        assert faces.notes == ("A note.",)
        pd.testing.assert_frame_equal(faces.table, expected)


def test_the_files_are_plain_numpy_and_arrow(tmp_path):
    open_or_build(tmp_path, KEY, Builder())
    (folder,) = tmp_path.iterdir()
    assert folder.name.startswith("faces-")
    np.testing.assert_array_equal(np.load(folder / "images.npy"), IMAGES)
    assert pd.read_feather(folder / "table.feather")["label"].tolist() == [0, 1, 0, 1, 0, 1, 0]


def test_another_key_is_another_cache(tmp_path):
    builder = Builder()
    for key in (KEY, KEY | {"size": [8, 8]}, KEY | {"source": "abd"}, dict(reversed(KEY.items()))):
        open_or_build(tmp_path, key, builder)
    assert builder.calls == 3
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("name", ["images.npy", "table.feather", "meta.json"])
@pytest.mark.parametrize("damage", ["cut", "grown", "emptied", "removed", "noise"])
def test_a_damaged_cache_is_rebuilt(tmp_path, name, damage):
    builder = Builder()
    open_or_build(tmp_path, KEY, builder)
    file = next(tmp_path.iterdir()) / name
    whole = file.read_bytes()
    if damage == "removed":
        file.unlink()
    else:
        noise = np.random.default_rng(3).bytes(len(whole))
        damaged = {"cut": whole[:-1], "grown": whole + b"\0", "emptied": b"", "noise": noise}
        file.write_bytes(damaged[damage])
    images, table, _ = open_or_build(tmp_path, KEY, builder)
    assert builder.calls == 2
    np.testing.assert_array_equal(images, IMAGES)
    assert len(table) == 7
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    "change",
    [{"format": 0}, {"format": None}, {"key": "{}"}, {"shape": [7, 4, 15, 1]}, {"bytes": None}],
)
def test_a_cache_of_another_version_or_key_is_rebuilt(tmp_path, change):
    builder = Builder()
    open_or_build(tmp_path, KEY, builder)
    meta = next(tmp_path.iterdir()) / "meta.json"
    meta.write_text(json.dumps(json.loads(meta.read_text()) | change))
    images, _, _ = open_or_build(tmp_path, KEY, builder)
    assert builder.calls == 2
    np.testing.assert_array_equal(images, IMAGES)


@pytest.mark.parametrize("kind", ["file", "empty folder", "other folder"])
def test_what_stands_where_the_cache_belongs_is_replaced(tmp_path, kind):
    open_or_build(tmp_path, KEY, Builder())
    (folder,) = tmp_path.iterdir()
    shutil.rmtree(folder)
    if kind == "file":
        folder.touch()
    else:
        folder.mkdir()
    if kind == "other folder":
        (folder / "stray").touch()
    images, _, _ = open_or_build(tmp_path, KEY, Builder())
    np.testing.assert_array_equal(images, IMAGES)
    assert list(tmp_path.iterdir()) == [folder]


def test_maps_that_are_open_outlive_a_rebuild(tmp_path):
    images, _, _ = open_or_build(tmp_path, KEY, Builder())
    (next(tmp_path.iterdir()) / "meta.json").unlink()
    open_or_build(tmp_path, KEY, Builder(255 - IMAGES))
    np.testing.assert_array_equal(images, IMAGES)


def test_what_a_loader_writes_is_checked(tmp_path):
    def of(build) -> None:
        open_or_build(tmp_path, KEY, build)

    empty = Built(pd.DataFrame({"split": []}), [], ["a"])
    with pytest.raises(ImageError, match="no image that can be read"):
        of(lambda _writer: empty)
    with pytest.raises(ConfigurationError, match=r"7 images, 7 labels and 0 rows"):
        of(lambda writer: Built(empty.table, Builder()(writer).labels, ["a"]))
    for batch in (IMAGES.astype(np.float32), IMAGES[0], IMAGES[:, :, :4]):
        with pytest.raises(ConfigurationError, match=r"expected uint8 of shape \(k, 4, 5, 3\)"):
            of(lambda writer, batch=batch: (writer.append(IMAGES), writer.append(batch)))
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_loader_leaves_nothing(tmp_path):
    def fail(writer: ImageWriter) -> Built:
        writer.append(IMAGES)
        raise KeyError("a fault of the loader")

    with pytest.raises(KeyError, match="a fault of the loader"):
        open_or_build(tmp_path, KEY, fail)
    assert list(tmp_path.iterdir()) == []


def full(*_args, **_kwargs):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (_cache.os, "fsync"),
        (Path, "mkdir"),
        (Path, "write_text"),
        (Path, "rename"),
        (np.lib.format, "write_array_header_1_0"),
        (pd.DataFrame, "to_feather"),
    ],
)
def test_a_disk_that_fills_up_is_said_and_leaves_nothing(tmp_path, monkeypatch, owner, name):
    monkeypatch.setattr(owner, name, full)
    with pytest.raises(CacheError, match=r"cache .*No space left on device.*: (make room|remove)"):
        open_or_build(tmp_path, KEY, Builder())
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []
    images, _, _ = open_or_build(tmp_path, KEY, Builder())
    np.testing.assert_array_equal(images, IMAGES)


_HEAD = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_cache import *
"""


def run(script: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a Python process that has what these tests have."""
    head = (
        f"import sys; sys.path[:0] = {[str(Path(__file__).parent)]!r}\nfrom test_cache import *\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", head + textwrap.dedent(script), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.skipif(os.name != "posix", reason="limits on the size of files are of POSIX")
def test_a_real_limit_on_the_size_of_files(tmp_path):
    process = run(
        """
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        def build(writer):
            for _ in range(100):
                writer.append(IMAGES.repeat(100, axis=0))
        try:
            open_or_build(sys.argv[1], KEY, build)
        except CacheError as error:
            print(error)
        """,
        tmp_path,
    )
    output, _ = process.communicate(timeout=60)
    assert "File too large" in output
    assert "make room" in output
    assert list(tmp_path.iterdir()) == []


def test_a_process_killed_while_it_builds_leaves_nothing_to_be_read(tmp_path):
    process = run(
        """
        def build(writer):
            writer.append(IMAGES)
            writer._file.flush()
            print("half", flush=True)
            sys.stdin.read()
        open_or_build(sys.argv[1], KEY, build)
        """,
        tmp_path,
    )
    assert process.stdout.readline() == "half\n"
    process.kill()
    process.communicate()
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".faces-")
    builder = Builder(255 - IMAGES)
    images, _, _ = open_or_build(tmp_path, KEY, builder)
    assert builder.calls == 1
    np.testing.assert_array_equal(images, 255 - IMAGES)
    if os.name == "posix":
        assert len(list(tmp_path.iterdir())) == 1


def test_what_a_living_process_builds_is_left_to_it(tmp_path):
    process = run(
        """
        def build(writer):
            print("half", flush=True)
            sys.stdin.readline()
            return Builder()(writer)
        images, _, _ = open_or_build(sys.argv[1], KEY, build)
        print(np.array_equal(images, IMAGES))
        """,
        tmp_path,
    )
    assert process.stdout.readline() == "half\n"
    images, _, _ = open_or_build(tmp_path, KEY, Builder())
    output, _ = process.communicate("go on\n", timeout=60)
    assert output == "True\n"
    np.testing.assert_array_equal(images, IMAGES)
    assert len(list(tmp_path.iterdir())) == 1


def test_two_processes_that_build_at_once_both_succeed(tmp_path):
    # Each says when it builds and waits for a word, so both are at it at the same time.
    script = """
        def build(writer):
            print("building", flush=True)
            sys.stdin.readline()
            return Builder()(writer)
        images, table, _ = open_or_build(sys.argv[1], KEY, build)
        print(np.array_equal(images, IMAGES), len(table))
        """
    processes = [run(script, tmp_path) for _ in range(2)]
    assert [process.stdout.readline() for process in processes] == ["building\n"] * 2
    for process in processes:
        process.stdin.write("go on\n")
        process.stdin.flush()
    assert [process.communicate(timeout=60)[0] for process in processes] == ["True 7\n"] * 2
    assert len(list(tmp_path.iterdir())) == 1


def test_old_leftovers_of_other_machines_go_and_young_ones_stay(tmp_path):
    open_or_build(tmp_path, KEY, Builder())
    (folder,) = tmp_path.iterdir()
    names = [f".{folder.name}.{'x' * 40}.1.{age}.tmp" for age in ("old", "young")]
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "images.npy").touch()
    for path in (tmp_path / names[0] / "images.npy", tmp_path / names[0]):
        os.utime(path, (0, 0))
    (folder / "meta.json").unlink()
    open_or_build(tmp_path, KEY, Builder())
    assert {path.name for path in tmp_path.iterdir()} == {folder.name, names[1]}


def test_the_default_directory_is_the_users_own():
    assert cache_directory().is_absolute()
    assert "emohelpers" in str(cache_directory())
    assert cache_directory("~/x") == Path.home() / "x"


def test_fingerprints_follow_the_content_of_a_file(tmp_path):
    # From NIST's example values for SHA-256.
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    file = tmp_path / "a.csv"
    file.write_bytes(b"abc")
    assert fingerprint(file, cache=tmp_path) == abc
    file.write_bytes(b"abd")
    assert fingerprint(file, cache=tmp_path) != abc
    (tmp_path / "b.csv").write_bytes(b"abc")
    assert fingerprint(tmp_path / "b.csv", cache=tmp_path) == abc
    with pytest.raises(MissingPathError, match=r"c\.csv does not exist"):
        fingerprint(tmp_path / "c.csv", cache=tmp_path)


def test_a_file_that_has_not_changed_is_not_read_again(tmp_path, monkeypatch):
    file, cache = tmp_path / "a.csv", tmp_path / "cache"
    file.write_bytes(b"abc")
    # As if it had been written long ago.
    monkeypatch.setattr(_cache.time, "time_ns", lambda: file.stat().st_ctime_ns + 10**10)
    before = fingerprint(file, cache=cache)
    with monkeypatch.context() as patch:
        patch.setattr(_cache.hashlib, "file_digest", None)
        assert fingerprint(file, cache=cache) == before
    memo = next((cache / "fingerprints").iterdir())
    for text in ("", "[]", "{}", '{"state": null}'):
        memo.write_text(text)
        assert fingerprint(file, cache=cache) == before
    os.utime(file, ns=(1, 1))
    file.write_bytes(b"xyz")
    os.utime(file, ns=(1, 1))
    assert fingerprint(file, cache=cache) != before


def test_what_was_written_a_moment_ago_is_not_remembered(tmp_path, monkeypatch):
    file, cache = tmp_path / "a.csv", tmp_path / "cache"
    file.write_bytes(b"abc")
    monkeypatch.setattr(_cache.time, "time_ns", lambda: file.stat().st_ctime_ns)
    fingerprint(file, cache=cache)
    assert not cache.exists()


def test_fingerprints_follow_the_files_of_a_folder(tmp_path):
    folder = tmp_path / "faces"
    (folder / "happy").mkdir(parents=True)
    (folder / "happy" / "1.png").write_bytes(b"1")
    seen = {fingerprint(folder, cache=tmp_path)}
    assert fingerprint(folder, cache=tmp_path) in seen
    (folder / "happy" / "2.png").write_bytes(b"1")
    seen.add(fingerprint(folder, cache=tmp_path))
    (folder / "happy" / "2.png").rename(folder / "happy" / "3.png")
    seen.add(fingerprint(folder, cache=tmp_path))
    (folder / "happy" / "3.png").write_bytes(b"22")
    seen.add(fingerprint(folder, cache=tmp_path))
    os.utime(folder / "happy" / "3.png", ns=(1, 1))
    seen.add(fingerprint(folder, cache=tmp_path))
    assert len(seen) == 5


@pytest.mark.skipif(os.name != "posix", reason="links need rights on Windows")
def test_a_link_to_nothing_does_not_hide_the_folder(tmp_path):
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces" / "1.png").symlink_to(tmp_path / "nothing.png")
    assert len(fingerprint(tmp_path / "faces", cache=tmp_path)) == 64
