"""The registry: complete entries, and finding what lies here."""

import pytest

from emohelpers.datasets import _registry
from emohelpers.datasets._registry import SOURCES, describe, locate, look_up
from emohelpers.errors import ConfigurationError


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_says_licence_harms_and_how_it_is_had(name):
    source = look_up(name)
    assert source.title.strip()
    assert source.licence.strip()
    assert source.harms.strip()
    # A reader must be able to get it: by fetch, by steps that name a place, or at once.
    if source.access == "download":
        assert source.download is not None
        assert source.download.url.startswith("https://")
    elif source.access in ("account", "yours"):
        assert any("{place}" in step for step in source.steps)
    else:
        assert source.access == "built in"


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("fer2013", "fer2013.csv"),
        ("fer2013", "fer2013.csv.xz"),
        ("fer2013", "fer2013.tar.gz"),
        ("ferplus", "fer2013new.csv"),
        ("facial_expressions", "facial_expressions.zip"),
        ("utkface", "UTKFace.tar.gz"),
        ("utkface", "utkface_crop_part1.tar"),
    ],
)
def test_locate_finds_the_files_that_the_steps_speak_of(tmp_path, name, file):
    (tmp_path / file).touch()
    found = {known: locate(known, places=[tmp_path]) for known in SOURCES}
    assert found.pop(name) == tmp_path / file
    assert set(found.values()) == {None}


def test_locate_looks_into_the_places_in_order_and_ignores_interrupted_downloads(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    (first / "facial_expressions.zip.part").touch()
    (second / "facial_expressions.zip").touch()
    assert locate("facial_expressions", places=[first, second]) == second / "facial_expressions.zip"
    (first / "facial_expressions").mkdir()
    assert locate("facial_expressions", places=[first, second]) == first / "facial_expressions"


def test_locate_looks_into_datasets_and_the_users_cache(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        _registry.platformdirs, "user_cache_path", lambda name: tmp_path / "cache" / name
    )
    assert locate("fer2013") is None
    cached = tmp_path / "cache" / "emohelpers" / "datasets"
    cached.mkdir(parents=True)
    (cached / "fer2013.csv").touch()
    assert locate("fer2013") == cached / "fer2013.csv"
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "fer2013.zip").touch()
    assert locate("fer2013").name == "fer2013.zip"


def test_describe_says_what_is_here(tmp_path):
    (tmp_path / "UTKFace.zip").touch()
    table = describe(places=[tmp_path]).set_index("name")
    assert list(table.index) == list(SOURCES)
    assert set(table.index[table["here"]]) == {"toyfaces", "learnedfaces", "utkface"}
    assert table.loc["utkface", "path"] == str(tmp_path / "UTKFace.zip")
    assert "fetch facial_expressions" in table.loc["facial_expressions", "how"]


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(ConfigurationError, match=r"'fer2031'.*fer2013.*utkface"):
        look_up("fer2031")


def test_the_pinned_sums_are_those_of_the_real_files(real_data):
    import hashlib
    import tarfile

    votes = SOURCES["ferplus"].download
    assert hashlib.sha256(real_data("ferplus.csv").read_bytes()).hexdigest() == votes.sha256
    with tarfile.open(real_data("facial_expressions.tar")) as archive:
        for member, sha256 in SOURCES["facial_expressions"].download.members.items():
            content = archive.extractfile(f"facial_expressions/{member}").read()
            assert hashlib.sha256(content).hexdigest() == sha256
