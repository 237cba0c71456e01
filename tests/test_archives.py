"""Archives: what is in them comes out, and nothing that is unsafe or damaged is believed."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emohelpers.datasets._archives import Limits, open_source
from emohelpers.errors import ArchiveError, EmohelpersError, MissingPathError

FILES = {"data/b.csv": b"x,y\n1,2\n", "images/a.png": bytes(range(256)) * 40, "z.PNG": b""}
KINDS = ["folder", "zip", "tar", "tar.gz", "tgz", "tar.xz", "tar.bz2"]


def pack(folder: Path, kind: str, files: dict[str, bytes]) -> Path:
    path = folder / f"set.{kind}"
    if kind == "folder":
        for name, data in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)
    elif kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(name, data)
    else:
        packing = kind.replace("tgz", "tar.gz").partition(".")[2]
        with tarfile.open(path, f"w:{packing}") as archive:
            for name, data in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_the_same_files(tmp_path, kind):
    with open_source(pack(tmp_path, kind, FILES)) as source:
        assert dict(source.iter_members()) == FILES
        assert source.members() == list(FILES)
        assert source.members((".png",)) == ["images/a.png", "z.PNG"]
        # Out of order too.
        assert [source.read(name) for name in reversed(FILES)] == [*FILES.values()][::-1]
        with source.open("images/a.png") as file:
            assert file.read(3) + file.read() == FILES["images/a.png"]
        with pytest.raises(MissingPathError, match=r"'no\.png' in .*does not exist"):
            source.read("no.png")


@pytest.mark.parametrize("kind", KINDS)
def test_what_macos_adds_is_left_out(tmp_path, kind):
    extra = {"__MACOSX/images/._a.png": b"x", "images/.DS_Store": b"x", "images/._a.png": b"x"}
    with open_source(pack(tmp_path, kind, FILES | extra)) as source:
        assert source.members() == list(FILES)
        assert [name for name, _ in source.iter_members((".png",))] == ["images/a.png", "z.PNG"]


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [("", bytes), (".gz", gzip.compress), (".xz", lzma.compress), (".bz2", bz2.compress)],
)
def test_a_single_file_is_its_own_member(tmp_path, suffix, compress):
    path = tmp_path / f"fer2013.csv{suffix}"
    path.write_bytes(compress(b"a,b\n" * 1000))
    with open_source(path) as source:
        assert source.members() == ["fer2013.csv"]
        assert source.read("fer2013.csv") == b"a,b\n" * 1000


def test_a_tar_may_have_lost_its_compression_but_not_its_name(tmp_path):
    path = pack(tmp_path, "tar", FILES)
    with open_source(path.rename(tmp_path / "set.tar.gz")) as source:
        assert source.members() == list(FILES)


def test_a_missing_path_is_named(tmp_path):
    with pytest.raises(MissingPathError, match=r"nowhere\.zip does not exist: expected"):
        open_source(tmp_path / "nowhere.zip")


@pytest.mark.parametrize(
    "name", ["../evil.png", "a/../../evil.png", "/etc/evil.png", "..\\evil.png"]
)
@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_a_path_that_leaves_the_archive_is_refused(tmp_path, kind, name):
    path = pack(tmp_path, kind, {"fine.png": b"1", name: b"2"})
    with (
        pytest.raises(ArchiveError, match=r"evil.*leaves the archive: expected relative"),
        open_source(path) as source,
    ):
        source.members()


def test_a_drive_letter_is_refused_and_backslashes_are_folders(tmp_path):
    with open_source(pack(tmp_path, "zip", {"happy\\1.png": b"1"})) as source:
        assert source.members() == ["happy/1.png"]
        assert source.read("happy/1.png") == b"1"
    with pytest.raises(ArchiveError, match="leaves the archive"):
        open_source(pack(tmp_path, "zip", {"C:\\evil.png": b"1"}))


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind):
    info = tarfile.TarInfo("link.png")
    info.type, info.linkname = kind, "/etc/passwd"
    with tarfile.open(tmp_path / "set.tar", "w") as archive:
        archive.addfile(info)
    with (
        open_source(tmp_path / "set.tar") as source,
        pytest.raises(ArchiveError, match=r"'link\.png' .*is a link or a device"),
    ):
        list(source.iter_members())


def test_links_in_a_zip_are_refused(tmp_path):
    info = zipfile.ZipInfo("link.png")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(ArchiveError, match=r"'link\.png' .*is a link or a device"):
        open_source(tmp_path / "set.zip")


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tar.xz", "tar.bz2"])
def test_an_archive_cut_anywhere_is_refused(tmp_path, kind):
    path = pack(tmp_path, kind, FILES)
    whole = path.read_bytes()
    # A tar is filled up with zeros after the two blocks that end it; losing those loses nothing.
    end = 512 * 2 + 512 + len(FILES["images/a.png"]) + 512 if kind == "tar" else len(whole) - 1
    for size in {0, 1, end // 3, end // 2, end - 1, end}:
        path.write_bytes(whole[:size])
        with pytest.raises(ArchiveError, match=r"set\."), open_source(path) as source:
            list(source.iter_members())


def test_a_tar_cut_between_two_members_is_refused(tmp_path):
    path = pack(tmp_path, "tar", {"a.png": b"1" * 512, "b.png": b"2" * 512})
    path.write_bytes(path.read_bytes()[: 2 * 512])
    with (
        open_source(path) as source,
        pytest.raises(ArchiveError, match="cut short or damaged after 1 files"),
    ):
        source.members()


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".bz2"])
def test_a_compressed_file_cut_short_is_refused_where_it_is_read(tmp_path, suffix):
    compress = {".gz": gzip.compress, ".xz": lzma.compress, ".bz2": bz2.compress}[suffix]
    path = tmp_path / f"fer2013.csv{suffix}"
    whole = compress(bytes(range(256)) * 1000)
    for data in (whole[: len(whole) // 2], b"no archive at all", whole[:-30] + b"\0" * 30):
        path.write_bytes(data)
        with (
            open_source(path) as source,
            pytest.raises(ArchiveError, match=r"fer2013\.csv.*damaged or cut short"),
        ):
            source.read("fer2013.csv")


def test_a_damaged_member_of_a_zip_is_named(tmp_path):
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.png", b"A" * 100)
    path.write_bytes(path.read_bytes().replace(b"A" * 100, b"A" * 99 + b"B"))
    with (
        open_source(path) as source,
        pytest.raises(ArchiveError, match=r"'a\.png' in .*set\.zip.*CRC"),
    ):
        source.read("a.png")


def test_a_zip_with_a_password_is_refused(tmp_path):
    path = pack(tmp_path, "zip", {"a.png": b"1"})
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(bytes(data))
    with open_source(path) as source, pytest.raises(ArchiveError, match="password"):
        source.read("a.png")


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "tar.xz"])
def test_bounds_hold(tmp_path, kind):
    path = pack(tmp_path, kind, {f"{n}.png": bytes(100_000) for n in range(5)})
    for limits, message in [
        (Limits(members=4), "more than 4 files"),
        (Limits(read_bytes=99_999), "'0.png' .*more than 99,999 bytes"),
        (Limits(total_bytes=250_000), "unpacks to more than 250,000 bytes.*'2.png'"),
    ]:
        with (
            pytest.raises(ArchiveError, match=message),
            open_source(path, limits=limits) as source,
        ):
            list(source.iter_members())
    with open_source(path, limits=Limits(5, 100_000, 520_000)) as source:
        assert len(list(source.iter_members())) == 5


def test_a_header_that_asks_for_all_memory_is_refused(tmp_path):
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 2**33
    path = tmp_path / "set.tar"
    path.write_bytes(header.tobuf(tarfile.GNU_FORMAT) + bytes(4096))
    with (
        pytest.raises(ArchiveError, match=r"header of 8,589,93.* bytes: expected at most"),
        open_source(path) as source,
    ):
        source.members()


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(kind=st.sampled_from(["zip", "tar", "tar.gz", "tar.xz"]), data=st.data())
def test_a_byte_changed_anywhere_is_noticed_or_harmless(tmp_path, kind, data):
    path = pack(tmp_path, kind, FILES)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        with open_source(path) as source:
            found = dict(source.iter_members())
    except EmohelpersError:
        return
    if kind == "tar":  # which has no checksum over its contents
        assert [*map(len, found.values())] == [*map(len, FILES.values())]
    else:
        assert sorted(found.values()) == sorted(FILES.values())


def test_a_zip_whose_files_begin_before_its_beginning_is_damaged(tmp_path):
    path = pack(tmp_path, "zip", FILES)
    content = bytearray(path.read_bytes())
    # Where its directory begins, says its last record; zipfile moves all places by the difference.
    place = content.rindex(b"PK\x05\x06") + 16
    said = int.from_bytes(content[place : place + 4], "little")
    content[place : place + 4] = (said + 100).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match="damaged or cut short"), open_source(path) as source:
        dict(source.iter_members())


def test_a_bomb_is_bounded_even_where_it_would_only_be_stepped_over(tmp_path):
    path = tmp_path / "set.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, size in (("x.bin", 20_000_000), ("a.csv", 10)):
            info = tarfile.TarInfo(name)
            info.size = size
            tar.addfile(info, io.BytesIO(bytes(size)))
    with (
        pytest.raises(ArchiveError, match=r"more than 1,000,000 bytes"),
        open_source(path, limits=Limits(total_bytes=1_000_000)) as source,
    ):
        source.members()
