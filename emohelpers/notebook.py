"""What the notebooks ask of the machine they run on, so that their first cells stay short.

This is an edge of the package: it reads the environment and prints, which no other room does. The
environment variables ``EMO_FIGURES`` and ``EMO_REPOSITORY`` say where figures go and where the
course lies.
"""

import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

from emohelpers.errors import MissingPathError

__all__ = ["check_environment", "figures_folder", "repository_folder"]

# One library in four wheels: hosts such as Colab come with another than this package asks for.
_OPENCV = (
    "opencv-python-headless",
    "opencv-python",
    "opencv-contrib-python-headless",
    "opencv-contrib-python",
)
_NAMED = ("keras", "tensorflow", "numpy", "pandas", *_OPENCV)


def check_environment() -> None:
    """Print whether this machine has what the notebooks need, and what to do where it has not.

    Each line is a fact that holds on every machine that is fit, not a version: stored outputs
    stay comparable. A missing GPU is said and never an error.

    Examples
    --------
    >>> check_environment()  # doctest: +ELLIPSIS
    Python >=3.11...: yes
    keras >=3.12...: yes
    ...
    GPU: ...
    """
    python = ".".join(str(part) for part in sys.version_info[:3])
    supported = Requirement(f"python{metadata.metadata('emohelpers')['Requires-Python']}")
    print(_fact(supported, python).replace("python", "Python", 1))
    for line in metadata.requires("emohelpers") or []:
        requirement = Requirement(line)
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if requirement.name in _NAMED and applies:
            print(_fact(requirement, _installed(requirement.name)))
    print(f"GPU: {_gpu() or 'none found, so training takes longer; everything else runs as it is'}")


def _fact(requirement: Requirement, found: str | None) -> str:
    wanted = ",".join(sorted(str(requirement.specifier).split(","), reverse=True))
    name = requirement.name.removesuffix("-headless")
    if found is not None and requirement.specifier.contains(found, prereleases=True):
        loaded = getattr(sys.modules.get(requirement.name), "__version__", found)
        if Version(loaded).release == Version(found).release:
            return f"{name} {wanted}: yes"
        return f"{name} {wanted}: installed, but {loaded} is still loaded: restart the kernel"
    return f"{name} {wanted}: no, found {found or 'none'}: pip install '{requirement.name}{wanted}'"


def _installed(name: str) -> str | None:
    for candidate in _OPENCV if name in _OPENCV else (name,):
        try:
            return metadata.version(candidate)
        except metadata.PackageNotFoundError:
            continue
    return None


def _gpu() -> str | None:
    """Return the first NVIDIA GPU's name; asking the driver spares the import of a framework."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return None
    try:
        listed = subprocess.run(
            [command, "--query-gpu=name", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    names = listed.stdout.strip().splitlines()
    return names[0] if listed.returncode == 0 and names else None


def _repository() -> Path | None:
    """Return the course's folder: the one above the notebook, or ``EMO_REPOSITORY``."""
    for folder in (Path(".."), Path(os.environ.get("EMO_REPOSITORY") or "..")):
        if (folder / "notebooks").is_dir() and (folder / "emohelpers").is_dir():
            return folder
    return None


def repository_folder(name: str) -> Path:
    """Find a folder of the course, for instance the published networks.

    Parameters
    ----------
    name : str
        A folder inside the repository, such as ``"saved_models/fer-baseline"``.

    Returns
    -------
    Path
        Below the folder above the notebook, or below ``EMO_REPOSITORY``.

    Raises
    ------
    MissingPathError
        If neither holds it.

    Examples
    --------
    >>> repository_folder("no such folder")
    Traceback (most recent call last):
    ...
    emohelpers.errors.MissingPathError: ...
    """
    repository = _repository()
    if repository is None or not (repository / name).is_dir():
        raise MissingPathError(
            f"{name} lies neither beside the notebooks' folder nor in EMO_REPOSITORY "
            f"({os.environ.get('EMO_REPOSITORY') or 'not set'}): expected the folder of a clone"
        )
    return repository / name


def figures_folder(dataset: str) -> Path:
    """Return where a notebook exports its figures.

    Parameters
    ----------
    dataset : str
        The name of the data set that is drawn.

    Returns
    -------
    Path
        ``EMO_FIGURES`` where that is set; inside the repository ``presentation_images`` for toy
        faces and the ignored ``build/<dataset>/figures`` for others, so that faces of real people
        are never committed; elsewhere ``figures``.

    Examples
    --------
    >>> import os
    >>> os.environ["EMO_FIGURES"] = "slides"
    >>> figures_folder("toyfaces").name
    'slides'
    >>> del os.environ["EMO_FIGURES"]
    """
    chosen = os.environ.get("EMO_FIGURES")
    if chosen:
        return Path(chosen)
    repository = _repository()
    if repository is None:
        return Path("figures")
    if dataset == "toyfaces":
        return repository / "presentation_images"
    return repository / "build" / dataset / "figures"
