"""The report on a set: figures recomputed on small sets, known ones on a real one."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from emohelpers.datasets import FaceDataset, check
from emohelpers.datasets._check import report_on
from emohelpers.datasets._duplicates import image_digests, mark_duplicates
from emohelpers.errors import ConfigurationError, MissingPathError


def dataset(shades, labels, splits, **columns):
    """Images whose left half has the shade and whose right half is black; 0 is constant."""
    images = np.zeros((len(shades), 32, 32, 1), np.uint8)
    images[:, :, :16] = np.array(shades)[:, None, None, None]
    table = pd.DataFrame({"split": pd.Series(splits, dtype="str"), **columns})
    table = table.join(mark_duplicates(image_digests(images), table["split"].tolist()))
    return FaceDataset(images, labels, ("a", "b"), table, name="small")


def test_the_figures_are_those_of_comparing_every_pair():
    rng = np.random.default_rng(0)
    shades, labels = rng.integers(0, 12, 60), rng.integers(-1, 2, 60)
    splits = rng.choice(["train", "validation", "test"], 60)
    report = report_on(dataset(shades, labels, splits))
    for split in ("train", "validation", "test"):
        inside = np.flatnonzero(splits == split)
        twins = {i: [j for j in range(60) if j != i and shades[j] == shades[i]] for i in inside}
        row = report.duplicates.loc[split]
        assert row["images"] == len(inside)
        assert row["identical"] == sum(bool(found) for found in twins.values())
        assert row["repeats"] == sum(min(found, default=99) < i for i, found in twins.items())
        assert row["leaks"] == sum(
            any(splits[j] != split for j in found) for found in twins.values()
        )
        assert row["contradicted"] == sum(
            len({labels[j] for j in [i, *found] if labels[j] >= 0}) > 1
            for i, found in twins.items()
        )
        assert row["constant"] == (shades[inside] == 0).sum()
        for other in {"train", "validation", "test"} - {split}:
            expected = sum(any(splits[j] == other for j in found) for found in twins.values())
            assert report.leaks.loc[split, other] == expected
    parts = report.duplicates.drop(index="total")
    assert report.duplicates.loc["total"].tolist() == parts.sum().tolist()
    assert report.counts.loc["a", "total"] == (labels == 0).sum()


def test_an_image_that_varies_between_the_sampled_pixels_is_not_constant():
    faces = dataset([0, 0], [0, 0], ["train", "train"])
    images = np.array(faces.images)
    images[1, 5, 7] = 9
    table = faces.table.assign(duplicate_of=pd.array([None, None], dtype="Int64"))
    report = report_on(FaceDataset(images, [0, 0], ("a", "b"), table))
    assert report.duplicates.loc["train", "constant"] == 1


def test_groups_with_few_values_are_counted_and_continuous_ones_left_out():
    faces = dataset(
        range(30),
        [0] * 30,
        ["train"] * 30,
        gender=pd.Series(["female", "male", None] * 10, dtype="str"),
        agreement=np.linspace(0, 1, 30),
    )
    groups = report_on(faces).groups
    assert groups.values.tolist() == [
        ["gender", "female", 10],
        ["gender", "male", 10],
        ["gender", "(none)", 10],
    ]


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "faces"
    for number, name in enumerate(["train/happy/1", "train/sad/2", "test/happy/3", "test/Sad/4"]):
        path = root / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (48, 48), 50 * (number % 3)).save(path)
    return root


def test_a_clean_folder_is_reported_as_tables(folder, tmp_path):
    report = check("folders", folder, cache=tmp_path / "cache")
    assert report.clean
    assert report.odd_labels.values.tolist() == [
        ["happy", "happiness", 2],
        ["Sad", "sadness", 1],
        ["sad", "sadness", 1],
    ]
    text = report.to_text()
    assert "folders: 4 images of 48x48, grey" in text
    assert "  class      train  test  total\n  happiness      1     1      2\n" in text
    assert text.endswith("Everything could be read.")
    # Image 4 is image 1 again, with another label and in another split.
    assert report.duplicates.loc["total"].to_dict() == {
        "images": 4,
        "identical": 2,
        "repeats": 1,
        "leaks": 2,
        "contradicted": 2,
        "constant": 4,
    }


def test_what_can_not_be_read_is_left_out_and_listed(folder, tmp_path):
    for number in range(30):
        (folder / "train" / "sad" / f"bad{number:02d}.png").write_bytes(b"")
    report = check("folders", folder, cache=tmp_path / "cache")
    assert not report.clean
    assert report.shape[0] == 4
    assert report.unreadable["where"][0] == "train/sad/bad00.png"
    text = report.to_text()
    assert "train/sad/bad19.png" in text
    assert "bad20" not in text
    assert "... and 10 more" in text
    assert text.endswith("30 rows or files could not be read.")


def test_the_dictionary_is_json_and_holds_all_of_it(folder, tmp_path):
    (folder / "train" / "sad" / "bad.png").write_bytes(b"")
    report = check("folders", folder, cache=tmp_path / "cache")
    content = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert content["clean"] is False
    assert content["shape"] == [4, 48, 48, 1]
    assert content["counts"]["train"] == {"happiness": 1, "sadness": 1}
    assert content["duplicates"]["test"]["leaks"] == 1
    assert content["leaks"]["test"]["train"] == 1
    assert [bad["where"] for bad in content["unreadable"]] == ["train/sad/bad.png"]
    assert content["path"] == str(folder)


def test_nothing_to_read_is_an_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingPathError, match="nowhere"):
        check("folders", tmp_path / "nowhere", cache=tmp_path)
    with pytest.raises(ConfigurationError, match="unknown data set 'nix'"):
        check("nix", tmp_path, cache=tmp_path)


def test_fer2013_has_the_known_duplicates_and_leaks(real_data, tmp_path):
    report = check("fer2013", real_data("fer2013.csv.xz"), cache=tmp_path)
    total = report.duplicates.loc["total"]
    assert total["identical"] == 3373
    assert total["identical"] - total["repeats"] == 1518
    assert total["constant"] == 12
    assert report.leaks.loc["PrivateTest", "Training"] == 288
    assert report.leaks.loc["PublicTest", "Training"] == 279
    assert report.counts.sum().to_dict() == {
        "Training": 28709,
        "PublicTest": 3589,
        "PrivateTest": 3589,
        "total": 35887,
    }
