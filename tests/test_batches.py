"""The order of the batches, in blocks and as a whole, and what reading them leaves in memory."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emohelpers import datasets
from emohelpers.datasets import _row_file
from emohelpers.datasets._base import ImageRows
from emohelpers.errors import CacheError
from emohelpers.training import _order
from emohelpers.training._batches import Batches, OneHot, class_shares, mean_shares, one_hot
from emohelpers.training._recorder import signature

STATUS = Path("/proc/self/status")
needs_preadv = pytest.mark.skipif(not hasattr(os, "preadv"), reason="rows are read by the map")


@pytest.fixture
def in_blocks(monkeypatch):
    """Shuffle in blocks of a few rows already what tests can afford."""
    monkeypatch.setattr(_order, "_WHOLE_ROWS", 10)
    monkeypatch.setattr(_order, "_BLOCK_BYTES", 40)
    monkeypatch.setattr(_order, "_POOL_BLOCKS", 4)


def mapped(path, n, shape=(4, 5, 1), mode="r"):
    """Images in a file, each of a content of its own, and a map of them."""
    images = np.arange(n * np.prod(shape), dtype=np.int64) % 251
    np.save(path, images.astype(np.uint8).reshape(n, *shape))
    return np.load(path, mmap_mode=mode)


def test_sets_of_up_to_80000_images_keep_the_order_that_they_always_had():
    labels = np.arange(23) % 7
    images = np.arange(23, dtype=np.uint8).reshape(23, 1, 1, 1)
    batches = Batches(images, one_hot(labels, 7), 5, seed=3)
    for passed in range(2):
        order = np.random.default_rng([3, passed]).permutation(23)
        for step in range(5):
            wanted = np.sort(order[5 * step : 5 * step + 5])
            assert batches[5 * passed + step][0].ravel().tolist() == wanted.tolist()
    order = _order.pass_order(80_000, 2304, seed=3)
    np.testing.assert_array_equal(
        order.rows(1, 0, 80_000), np.random.default_rng([3, 1]).permutation(80_000)
    )


@given(
    n=st.integers(1, 400),
    block=st.integers(1, 30),
    pool=st.integers(1, 12),
    seed=st.integers(0, 9),
    data=st.data(),
)
def test_blocks_hold_each_row_once_and_places_alone_tell_which(n, block, pool, seed, data):
    order = _order._Blocks(n, seed, block=block, pool=pool)
    whole = order.rows(2, 0, n)
    assert sorted(whole.tolist()) == list(range(n))
    start = data.draw(st.integers(0, n - 1))
    stop = data.draw(st.integers(start + 1, n + 5))
    again = _order._Blocks(n, seed, block=block, pool=pool)
    assert again.rows(2, start, stop).tolist() == whole[start:stop].tolist()
    # The rows of a pool are those of so many blocks, and of no others.
    first = again.rows(2, 0, min(n, (pool - 1) * block + 1))
    assert len(set((first // block).tolist())) <= pool


def test_each_pass_has_an_order_of_its_own_and_each_seed():
    drawn = [
        _order.pass_order(100_000, 2304, seed).rows(passed, 0, 50).tolist()
        for seed in (0, 1)
        for passed in (0, 1)
    ]
    assert len({tuple(rows) for rows in drawn}) == 4


def test_of_a_set_sorted_by_class_batches_hold_nearly_what_chance_gives():
    n, batch = 2_000_000, 128
    labels = np.arange(n) * 7 // n
    rows = _order.pass_order(n, 2304, seed=0).rows(0, 0, n)
    counts = np.array([(labels[rows].reshape(-1, batch) == label).sum(1) for label in range(7)])
    assert counts.min() > 0, "no batch lacks a class"
    # A pool of blocks of one class each strays as a batch of as many images would.
    share = 1 / 7
    expected = share * (1 - share) * (1 / batch + 1 / _order._POOL_BLOCKS)
    assert (counts / batch).var() == pytest.approx(expected, rel=0.1)


@pytest.mark.usefixtures("in_blocks")
def test_a_batch_of_blocks_depends_on_its_index_alone():
    faces = datasets.make_faces(50, size=24, seed=0)
    options = {"mixup": 0.3, "seed": 5}
    batches = Batches(faces.images, OneHot(faces.labels, 7), 8, **options)
    later = Batches(faces.images, one_hot(faces.labels, 7), 8, first_epoch=1, **options)
    wanted = [batches[index] for index in range(14)]
    for index in (13, 7, 10):
        for again in (batches[index], later[index - 7]):
            for one, other in zip(wanted[index], again, strict=True):
                np.testing.assert_array_equal(one, other)


def test_without_a_seed_the_file_is_read_in_its_order():
    images = np.arange(23, dtype=np.uint8).reshape(23, 1, 1, 1)
    batches = Batches(images, np.zeros((23, 1)), 8)
    read = [batches[index][0].ravel() for index in range(batches.num_batches)]
    assert np.concatenate(read).tolist() == list(range(23))


def test_targets_made_when_indexed_are_those_made_at_once():
    labels = np.random.default_rng(0).integers(0, 7, 1000)
    for known, n_outputs in ((labels, 7), (labels % 2, 1), (labels % 2, 2)):
        lazy, whole = OneHot(known, n_outputs), one_hot(known, n_outputs)
        assert len(lazy) == len(whole)
        np.testing.assert_array_equal(lazy[3:99], whole[3:99])
        np.testing.assert_array_equal(
            mean_shares(lazy), class_shares(whole).mean(axis=0, dtype=np.float64)
        )


def test_a_training_is_known_again_by_the_same_digest(monkeypatch):
    import keras

    faces = datasets.make_faces(40, size=24, seed=0)
    model = keras.Sequential([keras.layers.Input((24, 24, 1)), keras.layers.Flatten()])
    model.compile(optimizer="sgd")
    digests = set()
    for at_once in (7, 100):
        monkeypatch.setattr("emohelpers.training._recorder._HASHED_AT_ONCE", at_once)
        for targets in (OneHot(faces.labels, 7), one_hot(faces.labels, 7)):
            digests.add(signature(model, faces, faces, targets, {}))
    assert len(digests) == 1


@needs_preadv
def test_rows_read_from_the_file_are_those_of_the_map(tmp_path, monkeypatch):
    monkeypatch.setattr(_row_file, "_MAY_STAY", 0)
    images = mapped(tmp_path / "images.npy", 300)
    rng = np.random.default_rng(0)
    part = images[11:250]
    of_the_file = (images, part, ImageRows(part, rng.permutation(200)))
    for one in (*of_the_file, images.copy(), np.array(images)):
        labels = np.zeros(len(one), np.int64)
        batches = Batches(one, OneHot(labels, 7), 32, seed=1)
        assert (batches._file is not None) == any(one is other for other in of_the_file)
        order = np.random.default_rng([1, 0]).permutation(len(one))
        np.testing.assert_array_equal(batches[0][0], one[np.sort(order[:32])])
    file = _row_file.row_file(part)
    for rows in ([5], [7, 8, 9, 3, 3, 238, 0], list(range(239)), []):
        positions = np.array(rows, np.int64)
        np.testing.assert_array_equal(file.read(positions), part[positions])


@needs_preadv
def test_what_may_differ_from_the_file_is_read_by_the_map(tmp_path, monkeypatch):
    path = tmp_path / "images.npy"
    assert _row_file.row_file(mapped(path, 30)) is None, "few images may stay in memory"
    monkeypatch.setattr(_row_file, "_MAY_STAY", 0)
    own = mapped(path, 30, mode="c")
    own[3] = 77
    batches = Batches(own, np.zeros((30, 1)), 30)
    assert (batches[0][0][3] == 77).all()
    every_other = mapped(path, 30)[::2]
    assert _row_file.row_file(every_other) is None
    images = mapped(path, 30)
    batches = Batches(images, np.zeros((30, 1)), 30)
    np.testing.assert_array_equal(batches[0][0], images)
    mapped(tmp_path / "other.npy", 40)
    (tmp_path / "other.npy").replace(path)
    np.testing.assert_array_equal(batches[0][0], images)
    path.unlink()
    np.testing.assert_array_equal(batches[0][0], images)


@needs_preadv
def test_a_file_that_was_cut_off_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(_row_file, "_MAY_STAY", 0)
    path = tmp_path / "images.npy"
    file = _row_file.row_file(mapped(path, 30))
    os.truncate(path, 300)
    assert len(file.read(np.arange(8))) == 8
    with pytest.raises(CacheError, match="ends at byte 300, before its last image: remove"):
        file.read(np.arange(10))


@pytest.mark.skipif(
    not STATUS.exists() or "RssFile" not in STATUS.read_text(), reason="needs Linux's figures"
)
def test_reading_all_images_leaves_none_in_memory(tmp_path, monkeypatch):
    def mapped_megabytes():
        lines = STATUS.read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("RssFile")) / 1024

    path, n = tmp_path / "images.npy", 1024
    np.lib.format.open_memmap(path, "w+", np.uint8, (n, 256, 256, 1)).flush()  # 64 MB of zeros
    grown = []
    for may_stay in (0, 2**30):
        monkeypatch.setattr(_row_file, "_MAY_STAY", may_stay)
        images = np.load(path, mmap_mode="r")
        before = mapped_megabytes()
        batches = Batches(images, OneHot(np.zeros(n, np.int64), 7), 64, seed=0)
        for step in range(batches.steps):
            batches[step]
        grown.append(mapped_megabytes() - before)
    assert grown[0] < 8 < 48 < grown[1]
