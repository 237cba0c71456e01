"""What each data set is, its licence and harms, how it is had and where it is looked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import pandas as pd
import platformdirs

from emohelpers.errors import ConfigurationError

__all__ = ["SOURCES", "Download", "Source", "describe", "locate", "look_up"]


@dataclass(frozen=True)
class Download:
    """A file that anybody may fetch, and what is known beforehand of its content.

    Parameters
    ----------
    url : str
        Where it lies.
    file_name : str
        What it is called here.
    sha256 : str, optional
        Of the file; None where the server makes the file anew, so that only its content is fixed.
    members : mapping of str to str
        Of a zip file: the SHA-256 of some members, named without the archive's top folder.
    n_images : int
        Of a zip file: how many images it holds at least.
    """

    url: str
    file_name: str
    sha256: str | None = None
    members: Mapping[str, str] = field(default_factory=dict)
    n_images: int = 0


@dataclass(frozen=True)
class Source:
    """What a reader should know of a data set before using it.

    Parameters
    ----------
    title : str
        What it is, in a sentence.
    licence : str
        Under which terms it may be used.
    harms : str
        What it can do to people when it is used without care.
    access : str
        ``"built in"``, ``"download"`` (`fetch` does it), ``"account"`` (by hand) or ``"yours"``.
    home : str
        The page of its makers.
    steps : sequence of str
        Where to click and where to put the file, for those that need an account.
    patterns : sequence of str
        What its file or folder may be called, as glob patterns.
    download : Download, optional
        Where `fetch` finds it.
    """

    title: str
    licence: str
    harms: str
    access: str
    home: str = ""
    steps: Sequence[str] = ()
    patterns: Sequence[str] = ()
    download: Download | None = None


_FER2013 = Source(
    title="35,887 grey faces of 48x48, seven emotions, three fixed parts",
    licence="no licence from its makers; made for research (Goodfellow et al. 2013)",
    harms=(
        "Photographs found by image search, without the consent of those shown. One label for each "
        "face, often doubtful: in PrivateTest the majority of ten raters gives 63% of them."
    ),
    access="account",
    home=(
        "https://www.kaggle.com/c/"
        "challenges-in-representation-learning-facial-expression-recognition-challenge/data"
    ),
    steps=(
        "Sign in at https://www.kaggle.com (the account is free).",
        "Open https://www.kaggle.com/c/"
        "challenges-in-representation-learning-facial-expression-recognition-challenge/data, "
        "accept the rules of the competition and download fer2013.tar.gz. (The same images as JPEG "
        "class folders, to which the FER+ votes can not be joined: "
        "https://www.kaggle.com/datasets/msambare/fer2013, Download, archive.zip.)",
        "Put it at {place}/fer2013.tar.gz, packed as it is (archive.zip: {place}/fer2013.zip).",
        "See what it holds: emohelpers data check fer2013 {place}/fer2013.tar.gz",
        "Optional, ten raters' votes for each face (FER+): emohelpers data fetch ferplus, then "
        'load("fer2013", path, votes="{place}/fer2013new.csv").',
    ),
    patterns=("fer2013", "fer2013.csv*", "fer2013.zip", "fer2013.tar*", "fer2013.tgz"),
)

_FERPLUS = Source(
    title="ten raters' votes for each face of FER2013, for load('fer2013', votes=...)",
    licence="MIT (Microsoft; Barsoum et al. 2016)",
    harms="The votes are crowd workers' guesses at strangers' faces, not what the people felt.",
    access="download",
    home="https://github.com/microsoft/FERPlus",
    patterns=("fer2013new.csv", "ferplus.csv"),
    download=Download(
        url=(
            "https://raw.githubusercontent.com/microsoft/FERPlus/"
            "8ad5426c7b69e86e78afccb42c5f516850f52a28/fer2013new.csv"
        ),
        file_name="fer2013new.csv",
        sha256="9206e20d62f56475939f516847d61753e4860caeac9718b560129541b776fc2c",
    ),
)

_FACIAL_EXPRESSIONS = Source(
    title="13,718 faces, mostly 350x350 and grey, eight emotions, by person",
    licence="Apache-2.0 (the photographs: rights of their owners, many are press photographs)",
    harms=(
        "Named public figures who did not agree to it, labelled by five contributors, usually one "
        "for each face; more than nine of ten labels are neutral or happiness. Never use the names "
        "to recognise people."
    ),
    access="download",
    home="https://github.com/muxspace/facial_expressions",
    patterns=(
        "facial_expressions",
        "facial_expressions-master",
        "facial_expressions*.zip",
        "facial_expressions*.tar*",
        "facial_expressions*.tgz",
    ),
    download=Download(
        url="https://github.com/muxspace/facial_expressions/archive/refs/heads/master.zip",
        file_name="facial_expressions.zip",
        # GitHub makes this archive on demand and does not promise the same bytes twice, so the
        # label files are pinned, every member is checked against its CRC, the images are counted.
        members={
            "data/legend.csv": "a4be0fc5afa10e44fdc717bf2fe5b3e2c916c07335aec254111c74b40ec75eb0",
            "data/500_picts_satz.csv": (
                "2575caa6b2fc53a780de74c269792b857437b5704aa7bb73c2d5aa554b122497"
            ),
        },
        n_images=13_718,
    ),
)

_UTKFACE = Source(
    title="200x200 colour faces with age, gender and race in their names",
    licence="non-commercial research only (Zhang et al. 2017); the photographs: of their owners",
    harms=(
        "Photographs from the web without consent. Age, gender and race were guessed from looks: "
        "two genders, five races, nobody was asked. Use them to assess a system across groups, "
        "never to sort people. It has no labels of expression."
    ),
    access="account",
    home="https://susanqq.github.io/UTKFace/",
    steps=(
        "Open https://susanqq.github.io/UTKFace/ and read its terms (non-commercial research).",
        "Under Datasets choose Aligned&Cropped Faces; in the Google Drive folder that opens, "
        "download UTKFace.tar.gz (a Google account may be asked for). The same files: sign in at "
        "https://www.kaggle.com/datasets/jangedoo/utkface-new, Download, archive.zip.",
        "Put it at {place}/UTKFace.tar.gz, packed as it is (archive.zip: {place}/UTKFace.zip).",
        "See what it holds: emohelpers data check utkface {place}/UTKFace.tar.gz",
    ),
    patterns=("UTKFace", "UTKFace.tar*", "UTKFace.zip", "crop_part1", "*crop_part1.tar*"),
)

_FOLDERS = Source(
    title="your own images, a folder for each class",
    licence="yours to know: say in your project who agreed to what",
    harms="Ask those whose faces these are; a folder's name is somebody's guess at a feeling.",
    access="yours",
    steps=(
        "Put the images of each class into a folder of its name, for instance "
        "{place}/mine/happiness/*.png, or {place}/mine/train/happiness/*.png with test/ beside.",
        "See what it holds: emohelpers data check folders {place}/mine",
    ),
)

_TOYFACES = Source(
    title="drawn faces with known expression, person, age group, skin tone and votes",
    licence="MIT (part of this package)",
    harms="Nobody is shown; drawings are simpler than faces, so scores on them prove little.",
    access="built in",
)

_LEARNEDFACES = Source(
    title="faces of nobody, seven emotions, drawn by a network that has learnt from FER2013",
    licence="research and teaching: its weights have learnt from FER2013, whose makers gave none",
    harms=(
        "Nobody is shown, but the looks, labels and gaps of FER2013 are passed on: whom it has few "
        "of, and what its labels take for an emotion. Nothing measured on them holds for people."
    ),
    access="built in",
)

SOURCES: Mapping[str, Source] = MappingProxyType(
    {
        "toyfaces": _TOYFACES,
        "learnedfaces": _LEARNEDFACES,
        "fer2013": _FER2013,
        "ferplus": _FERPLUS,
        "facial_expressions": _FACIAL_EXPRESSIONS,
        "utkface": _UTKFACE,
        "folders": _FOLDERS,
    }
)
"""The data sets that are known, by the name that `load` and `fetch` take."""

_HOW = {
    "built in": "built in",
    "download": "emohelpers data fetch {name}",
    "account": "by hand, needs an account: emohelpers data fetch {name}",
    "yours": "your own images",
}


def look_up(name: str) -> Source:
    """Return what is known of a data set.

    Parameters
    ----------
    name : str
        One of `SOURCES`.

    Raises
    ------
    ConfigurationError
        If there is no such data set.

    Examples
    --------
    >>> look_up("ferplus").licence
    'MIT (Microsoft; Barsoum et al. 2016)'
    """
    if name not in SOURCES:
        raise ConfigurationError(f"unknown data set {name!r}: expected one of {', '.join(SOURCES)}")
    return SOURCES[name]


def _places() -> list[Path]:
    """Where data sets are looked for when no place is given."""
    return [Path("datasets"), platformdirs.user_cache_path("emohelpers") / "datasets"]


def locate(name: str, *, places: Sequence[Path] | None = None) -> Path | None:
    """Find a data set that lies here already.

    Parameters
    ----------
    name : str
        One of `SOURCES`.
    places : sequence of Path, optional
        The folders to look into, in this order; by default ``datasets`` in the working folder and
        ``datasets`` in the user's cache.

    Returns
    -------
    Path or None
        The first file or folder with one of the source's names, None where there is none.

    Raises
    ------
    ConfigurationError
        If there is no such data set.

    Examples
    --------
    >>> locate("toyfaces") is None
    True
    """
    for place in _places() if places is None else places:
        for pattern in look_up(name).patterns:
            # A .part file is a download that was interrupted.
            found = [path for path in sorted(place.glob(pattern)) if ".part" not in path.suffixes]
            if found:
                return found[0]
    return None


def describe(*, places: Sequence[Path] | None = None) -> pd.DataFrame:
    """Say of each data set what it is, its licence, how it is had and whether it is here.

    Parameters
    ----------
    places : sequence of Path, optional
        Where to look, as in `locate`.

    Returns
    -------
    DataFrame
        A row for each of `SOURCES`, in columns ``name``, ``title``, ``licence``, ``how``, ``here``
        (bool) and ``path`` (where it lies; empty where it does not or is built in).

    Examples
    --------
    >>> describe().set_index("name").loc["toyfaces", "here"]
    np.True_
    """
    rows = []
    for name, source in SOURCES.items():
        path = locate(name, places=places)
        rows.append(
            {
                "name": name,
                "title": source.title,
                "licence": source.licence,
                "how": _HOW[source.access].format(name=name),
                "here": source.access == "built in" or path is not None,
                "path": "" if path is None else str(path),
            }
        )
    return pd.DataFrame(rows)
