"""The parts of a table of photos, made by many processes on one machine or several: Ray Data."""

import contextlib
import logging
import os
import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emohelpers import errors
from emohelpers._quiet import quiet_libraries
from emohelpers.errors import ConfigurationError, EmohelpersError
from emohelpers.inference import _photos
from emohelpers.inference._parts import Parts

if TYPE_CHECKING:
    from emohelpers.inference._recognizer import EmotionRecognizer

__all__ = ["check", "write"]

# What goes between processes is numbers of parts and of photos.
_OBJECT_STORE = 100 * 2**20


def check(recognizer: "EmotionRecognizer") -> None:
    """Refuse what can not be spread, before work begins.

    Raises
    ------
    ConfigurationError
        If Ray is not installed, or the recognizer was not opened by names and files.
    """
    # Ray reads these as it is imported.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    try:
        import ray.data  # noqa: F401
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"sharing the work needs {error.name}: pip install 'emohelpers[ray]'"
        ) from error
    _ = recognizer.arguments


def write(
    recognizer: "EmotionRecognizer",
    parts: Parts,
    numbers: Sequence[int],
    *,
    on_error: str,
    copies: Path | None,
    seen: Callable[[int], object],
) -> None:
    """Make some parts of a table, each by one of as many workers as there are processors.

    Parameters
    ----------
    recognizer : EmotionRecognizer
        One that `check` lets pass; each worker opens it again, once.
    parts : Parts
        Of the table.
    numbers : sequence of int
        Of the parts to make.
    on_error, copies
        See `emohelpers.inference._photos.read`.
    seen : callable
        Called after each part with how many photos it is of.

    Raises
    ------
    EmohelpersError, OSError
        What a worker met, for instance another network of the same name on its machine.
    """
    worker = {
        "folder": parts.folder.absolute(),
        "directory": Path.cwd(),
        "arguments": recognizer.arguments,
        "settings": _photos.settings(recognizer),
        "on_error": on_error,
        "copies": copies,
    }
    if not numbers:
        return
    with _cluster() as processors:
        import ray.data

        made = ray.data.from_items(list(numbers), override_num_blocks=len(numbers)).map_batches(
            _Worker,
            fn_constructor_kwargs=worker,
            batch_size=1,
            num_cpus=1,
            # One part waits behind the one that a worker is at; more would make others idle.
            compute=ray.data.ActorPoolStrategy(
                size=min(processors, len(numbers)), max_tasks_in_flight_per_actor=2
            ),
        )
        for row in made.iter_rows():
            if row["error"]:
                raise getattr(errors, row["error"], OSError)(row["said"])
            seen(int(row["photos"]))


@contextlib.contextmanager
def _cluster() -> Iterator[int]:
    """Use the cluster that is there, or start one of this machine's processors for a while."""
    import ray
    import ray.data

    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if not os.environ.get("RAY_ADDRESS"):
        options |= {
            "address": "local",
            "include_dashboard": False,
            "object_store_memory": _OBJECT_STORE,
        }
    started = not ray.is_initialized()
    context, logger = ray.data.DataContext.get_current(), logging.getLogger("ray.data")
    bars, level = context.enable_progress_bars, logger.level
    # Ray prints on standard output which worker has died.
    with contextlib.redirect_stdout(sys.stderr):
        try:
            if started:
                with quiet_libraries():
                    ray.init(**options)
            context.enable_progress_bars = False
            logger.setLevel(logging.ERROR)
            resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
            yield max(1, int(resources.get("CPU", 1)))
        finally:
            context.enable_progress_bars = bars
            logger.setLevel(level)
            if started:
                ray.shutdown()


class _Worker:
    """What one process does: open the network once, and make part after part."""

    def __init__(
        self,
        *,
        folder: Path,
        directory: Path,
        arguments: dict[str, Any],
        settings: dict[str, Any],
        on_error: str,
        copies: Path | None,
    ) -> None:
        self._folder, self._directory = folder, directory
        self._arguments, self._settings = arguments, settings
        self._on_error, self._copies = on_error, copies
        self._opened: tuple[EmotionRecognizer, Parts] | None = None

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        number = int(batch["item"][0])
        photos, error, said = 0, "", ""
        try:
            photos = self._make(number)
        except (EmohelpersError, OSError) as caught:  # as rows: Ray would wrap and retry them
            error, said = type(caught).__name__, str(caught)
        return {
            "photos": np.array([photos]),
            "error": np.array([error]),
            "said": np.array([said]),
        }

    def _make(self, number: int) -> int:
        recognizer, parts = self._opened = self._opened or self._open()
        photos = parts.photos(number)
        with parts.trying(number):
            table = _photos.read(recognizer, photos, on_error=self._on_error, copies=self._copies)
            parts.write(number, table)
        return len(photos)

    def _open(self) -> tuple["EmotionRecognizer", Parts]:
        # Each worker has one processor; TensorFlow reads the first two as it is imported.
        for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
            os.environ[name] = "1"
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        import cv2

        from emohelpers.inference._recognizer import EmotionRecognizer

        cv2.setNumThreads(1)
        os.chdir(self._directory)  # paths mean here what they mean where the command was given
        recognizer = EmotionRecognizer(**self._arguments, threads=1)
        mine = _photos.settings(recognizer)
        differing = [name for name in mine if mine[name] != self._settings[name]]
        if differing:
            raise ConfigurationError(
                f"a worker on {platform.node()} has "
                + ", ".join(
                    f"{name} {mine[name]}, not {self._settings[name]}" for name in differing
                )
                + ": expected the same on all machines"
            )
        return recognizer, Parts(self._folder)
