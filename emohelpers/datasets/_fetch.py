"""Fetch a data set: resumable, checked against what is known of it, then moved into place."""

import hashlib
import logging
import re
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import IO, Any

from tqdm import tqdm

from emohelpers.datasets._registry import Download, locate, look_up
from emohelpers.errors import ConfigurationError, FetchError

__all__ = ["fetch", "retrieve", "steps"]

_BLOCK = 1 << 18
_TIMEOUT_S = 60
_IMAGES = (".jpg", ".jpeg", ".png")


def steps(name: str, *, to: Path = Path("datasets")) -> list[str]:
    """Say where to click and where to put the file of a data set that needs an account.

    Parameters
    ----------
    name : str
        One of `SOURCES`.
    to : Path
        The folder that the file should lie in.

    Returns
    -------
    list of str
        A sentence for each step, empty where `fetch` does it all.

    Raises
    ------
    ConfigurationError
        If there is no such data set.

    Examples
    --------
    >>> steps("utkface")[2][:36]
    'Put it at datasets/UTKFace.tar.gz, p'
    """
    return [step.format(place=to.as_posix()) for step in look_up(name).steps]


def fetch(name: str, to: str | Path = "datasets", *, progress: bool = True) -> Path:
    """Download a data set, check it and move it into place.

    What was interrupted goes on from where it stopped when `fetch` is called again, if the server
    allows it. A file that is there already is checked and kept.

    Parameters
    ----------
    name : str
        One of `SOURCES` whose access is ``"download"``.
    to : path
        The folder for the file; it is made when it does not exist.
    progress : bool
        Whether to draw a progress bar on standard error.

    Returns
    -------
    Path
        The file, packed as it came: the loaders read it so.

    Raises
    ------
    ConfigurationError
        If the data set is not known or there is nothing to fetch.
    FetchError
        If it needs an account (the message says where to click), the server fails, or what came
        (or lies there already) is not what was expected.

    Examples
    --------
    >>> fetch("toyfaces")
    Traceback (most recent call last):
        ...
    emohelpers.errors.ConfigurationError: toyfaces is built in, there is nothing to fetch: ...
    """
    folder, source = Path(to), look_up(name)
    if source.download is None:
        numbered = [f"  {i}. {step}" for i, step in enumerate(steps(name, to=folder), start=1)]
        if source.access != "account":
            advice = numbered or [f"  load it with emohelpers.datasets.load({name!r})"]
            heading = f"{name} is {source.access}, there is nothing to fetch:"
            raise ConfigurationError("\n".join([heading, *advice]))
        here = locate(name, places=[folder])
        if here is not None:
            return here
        raise FetchError("\n".join([f"{name} can not be fetched by a program:", *numbered]))
    return retrieve(source.download, folder / source.download.file_name, progress=progress)


def retrieve(download: Download, target: Path, *, progress: bool) -> Path:
    """Download through pooch, which checks the hash and moves the file into place.

    A file that is there already is checked and kept.
    """
    if target.exists():
        _inspect(target, download)
        return target
    import pooch

    part = target.with_name(target.name + ".part")

    def transfer(url: str, output_file: str, _pooch: Any) -> None:
        _resume(url, part, progress=progress)
        try:
            _inspect(part, download)
        except FetchError:
            part.unlink()
            raise
        part.replace(output_file)

    try:
        with _quiet(pooch.get_logger()):
            pooch.retrieve(
                download.url,
                known_hash=download.sha256 and f"sha256:{download.sha256}",
                fname=target.name,
                path=target.parent,
                downloader=transfer,
            )
    except (OSError, HTTPException) as error:
        if isinstance(error, FetchError):
            raise
        again = "call fetch again later"
        if part.exists():
            again = f"{part.stat().st_size:,} bytes are kept: call fetch again to go on"
        raise FetchError(f"{download.url}: {error or type(error).__name__}; {again}") from error
    return target


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Keep pooch from telling users to add a known hash: what is known is checked here."""
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def _resume(url: str, part: Path, *, progress: bool) -> None:
    """Bring a partial file to its end, going on from its last byte where the server allows it."""
    validator = part.with_name(part.name + ".validator")
    with _request(url, part, validator) as response:
        have = _first_byte(response.headers.get("Content-Range", ""))
        validator.write_text(_validator(response))
        left = response.headers.get("Content-Length")
        total = have + int(left) if left else None
        with part.open("r+b" if have else "wb") as out:
            out.seek(have)
            _copy(response, out, have=have, total=total, name=part.stem, progress=progress)
    if total is not None and part.stat().st_size != total:
        raise OSError(f"the connection ended after {part.stat().st_size:,} of {total:,} bytes")
    validator.unlink()


def _request(url: str, part: Path, validator: Path) -> HTTPResponse:
    """Ask for the bytes that are missing, or for all of them where there are none."""
    request = urllib.request.Request(url, headers={"User-Agent": "emohelpers"})
    if part.exists() and part.stat().st_size:
        request.add_header("Range", f"bytes={part.stat().st_size}-")
        if validator.exists() and validator.read_text():
            # Makes the server send the whole file when it has changed since the first bytes came.
            request.add_header("If-Range", validator.read_text())
    try:
        return urllib.request.urlopen(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:  # no bytes after those that are here: they may be of another file
            part.unlink()
            return _request(url, part, validator)
        raise FetchError(
            f"{url}: the server answered {error.code} {error.reason}: expected 200 OK"
        ) from error


def _validator(response: HTTPResponse) -> str:
    """Return what tells this version of the file from another, as ``If-Range`` takes it."""
    etag = response.headers.get("ETag", "")
    weak = not etag or etag.startswith("W/")
    return response.headers.get("Last-Modified", "") if weak else etag


def _first_byte(content_range: str) -> int:
    """Return where a partial answer begins, 0 for a whole one."""
    match = re.match(r"bytes (\d+)-", content_range)
    return int(match[1]) if match else 0


def _copy(
    response: IO[bytes], out: IO[bytes], *, have: int, total: int | None, name: str, progress: bool
) -> None:
    with tqdm(
        desc=name, initial=have, total=total, unit="B", unit_scale=True, disable=not progress
    ) as bar:
        while block := response.read(_BLOCK):
            out.write(block)
            bar.update(len(block))


def _inspect(path: Path, download: Download) -> None:
    """Refuse a file that is not what the registry says of it."""
    if download.sha256 is not None:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        _expect(path, "SHA-256", found, download.sha256)
    if not download.members:
        return
    try:
        with zipfile.ZipFile(path) as archive:
            _inspect_members(path, archive, download)
    except (zipfile.BadZipFile, zlib.error) as error:
        raise FetchError(f"{path}: {error}: expected a zip archive") from error


def _inspect_members(path: Path, archive: zipfile.ZipFile, download: Download) -> None:
    names = {name.partition("/")[2]: name for name in archive.namelist()}
    for member, sha256 in download.members.items():
        found = "no such member"
        if member in names:
            found = hashlib.sha256(archive.read(names[member])).hexdigest()
        _expect(path, f"SHA-256 of {member}", found, sha256)
    n_images = sum(name.lower().endswith(_IMAGES) for name in names)
    if n_images < download.n_images:
        raise FetchError(
            f"{path}: {n_images:,} images: expected at least {download.n_images:,}; move the file "
            "away and fetch again"
        )
    # Reads all members and compares their CRC-32: the images have no other published sums.
    broken = archive.testzip()
    if broken is not None:
        raise FetchError(f"{path}: {broken} is damaged: move the file away and fetch again")


def _expect(path: Path, what: str, found: str, expected: str) -> None:
    if found != expected:
        raise FetchError(
            f"{path}: {what} is {found}: expected {expected}; move the file away and fetch again"
        )
