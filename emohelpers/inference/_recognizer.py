"""From photos to a table of faces and their expressions."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emohelpers.errors import ConfigurationError
from emohelpers.faces import Detector, Face, align, open_detector, read_photo
from emohelpers.inference import _photos, _video
from emohelpers.inference._opening import open_network
from emohelpers.inference._table import faces_table
from emohelpers.inference._tracking import Tracker

__all__ = ["EmotionRecognizer"]


class EmotionRecognizer:
    """Recognise the expressions of the faces in photos, folders, videos and camera pictures.

    Parameters
    ----------
    model : str, path, SavedModel or keras.Model, optional
        A published network by its name, the folder of one, the file of a network
        (``.keras``, or ``.onnx`` or ``.tflite``, see `emohelpers.export`), or a network, which
        takes pixels in 0..255; ``fer-compact`` without it.
    detector : Detector or str, optional
        What finds the faces, or its name, see `emohelpers.faces.open_detector`; without it YuNet
        where it is here, and else the Haar cascade.
    class_names : sequence of str, optional
        Of the outputs of a network that does not bring them along; without them the first of
        `emohelpers.datasets.EMOTIONS`.
    margin : float
        By what share a face's box grows on each side before it is cut out, see
        `emohelpers.faces.align`. 0 scored best with both detectors, or as well as the best, on the
        half of facial_expressions' persons and of UTKFace that chose it
        (``python -m benchmarks face_margins``).
    least_confidence : float
        The network abstains where no emotion's probability reaches it, 0..1. On FER2013's
        PublicTest fer-compact answers 87% of the faces at 0.4, and is right in 72% of these; at 0.6
        it is 57% and 84% (``python -m benchmarks abstention --data fer2013.csv``).
    threads : int, optional
        How many photos of a folder are read side by side, and on how many threads an exported
        network computes; without it, as many as there are processors. A Keras network leaves its
        threads to the backend, see `emohelpers.models.compiled`.

    Attributes
    ----------
    name : str
        The network's.
    threads : int or None
        As above.
    class_names : tuple of str
        The emotions, in the order of the network's outputs.

    Raises
    ------
    MissingPathError
        If there is no such network.
    ConfigurationError
        If it can not be loaded, or an argument is out of its range.

    Notes
    -----
    All tables have a row for each face: ``file``, or ``frame`` and ``time`` (seconds); ``face``,
    its number, in a photo 1 for the surest, in a video the same while the face can be followed;
    ``left``, ``top``, ``width`` and ``height`` of its box in pixels of the photo, upright; the
    detector's ``score``; the probability of each emotion, in a column of its name; ``emotion``,
    the most probable one; and ``abstains``, true where the network is unsure of it.

    An expression is not a feeling: the table says which expression raters of the training photos
    would have named.

    Examples
    --------
    >>> from emohelpers import datasets
    >>> face = datasets.make_faces(1, size=96, seed=3, emotions=["happiness"], difficulty=0.0)
    >>> recognizer = EmotionRecognizer("toy-baseline", "none")
    >>> recognizer.image(face.images[0])[["face", "emotion", "abstains"]]
       face    emotion  abstains
    0     1  happiness     False
    """

    def __init__(
        self,
        model: Any = None,
        detector: Detector | str | None = None,
        *,
        class_names: Sequence[str] | None = None,
        margin: float = 0.0,
        least_confidence: float = 0.4,
        threads: int | None = None,
    ) -> None:
        if not 0 <= least_confidence <= 1:
            raise ConfigurationError(f"least_confidence={least_confidence}: expected 0..1")
        if threads is not None and threads < 1:
            raise ConfigurationError(f"threads={threads}: expected 1 or more")
        chosen = "auto" if detector is None else detector
        self._detector = open_detector(chosen) if isinstance(chosen, str) else chosen
        if not margin > -0.5:
            raise ConfigurationError(f"margin={margin}: expected a share above -0.5")
        self._margin = margin
        self._least_confidence = least_confidence
        self.threads = threads
        self._opened = {
            "model": model,
            "detector": chosen,
            "class_names": class_names,
            "margin": margin,
            "least_confidence": least_confidence,
        }
        self.name, network, self.class_names = open_network(model, class_names, threads)
        height, width, channels = network.input_shape[1:]
        if height != width:
            raise ConfigurationError(
                f"{self.name} takes pictures of {width}x{height}: expected as wide as high"
            )
        self._size, self._color = height, channels == 3
        self._network = network

    def image(self, image: Any) -> pd.DataFrame:
        """Recognise the faces of one photo.

        Parameters
        ----------
        image : path, bytes or array_like
            See `emohelpers.faces.read_photo`.

        Returns
        -------
        DataFrame
            A row for each face, see above, with the ``file`` first where the photo is one; no row
            where no face is found.

        Raises
        ------
        MissingPathError
            If there is no such file.
        ImageError
            If it can not be read.
        """
        faces, cut = self.find(read_photo(image))
        isfile = isinstance(image, str | os.PathLike)
        named: dict[str, Any] = {"file": os.fspath(image)} if isfile else {}
        return self.table(faces, self.answer(cut), **named)

    def track(self, image: Any, time: float, tracker: Tracker) -> pd.DataFrame:
        """Recognise the faces of the next picture of a stream, such as a camera's.

        Parameters
        ----------
        image : path, bytes or array_like
            See `emohelpers.faces.read_photo`.
        time : float
            When it was taken, in seconds.
        tracker : Tracker
            Of this stream; it is changed.

        Returns
        -------
        DataFrame
            As `image`, with ``time`` first, and numbers and probabilities from the tracker.

        Raises
        ------
        ImageError
            If it can not be read.
        """
        faces, cut = self.find(read_photo(image))
        numbers, probabilities = tracker.update(time, faces, self.answer(cut))
        return self.table(faces, probabilities, numbers=numbers, time=time)

    def folder(
        self,
        path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        *,
        on_error: str = "raise",
        annotate: str | os.PathLike[str] | None = None,
        progress: bool = False,
    ) -> pd.DataFrame:
        """Recognise the faces of all photos in a folder and the folders in it.

        Parameters
        ----------
        path : path, or sequence of paths
            Of a folder, or of folders and photos.
        on_error : str
            ``"raise"``, or ``"skip"``: a photo that can not be read gets a row that says so.
        annotate : path, optional
            A new folder for copies of the photos with boxes, emoji and bars drawn into them.
        progress : bool
            Whether to draw a progress bar on standard error.

        Returns
        -------
        DataFrame
            A row for each face, see above, with ``file`` first and ``problem`` last. A photo
            without a face has one row, too, whose ``problem`` is ``"no face"``, and one that can
            not be read a row that says why.

        Raises
        ------
        MissingPathError
            If there is no such folder, or no photo in it.
        ImageError
            If a photo can not be read and was not to be skipped.
        ConfigurationError
            If `on_error` is another word, or the folder of copies is not new.

        See Also
        --------
        write_folder : The same into a file, which can be stopped and goes on.
        """
        return _photos.to_table(self, path, on_error=on_error, annotate=annotate, progress=progress)

    def write_folder(
        self,
        path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        out: str | os.PathLike[str],
        *,
        on_error: str = "raise",
        annotate: str | os.PathLike[str] | None = None,
        progress: bool = False,
        force: bool = False,
        ray: bool = False,
    ) -> dict[str, int]:
        """Recognise the faces of a folder's photos, of any number, into a file or folder.

        What is done is kept in parts of 64 photos, and where they are many of up to 4,096. After a
        stop the same call goes on where it was, also when photos came or went meanwhile.

        Parameters
        ----------
        path, on_error, annotate, progress
            See `folder`.
        out : path
            The table to write, with the columns of `folder`: a file, ``.csv`` or ``.parquet``,
            which is put together from the parts in the folder ``OUT.parts``; or, where the name
            has no ending, the folder of the parts, ``part-000000.parquet`` and so on, in which the
            same call later on adds the photos that came.
        force : bool
            Replace `out` and forget what is done.
        ray : bool
            Spread the parts over the processors of this machine by Ray Data, or of the cluster
            that ``RAY_ADDRESS`` names, whose machines see all files under the same paths. A
            worker that dies is started again, and its part done again. It needs
            ``pip install 'emohelpers[ray]'``, and a recognizer that was opened by names and files.

        Returns
        -------
        dict of str to int
            How many ``photos``, ``faces``, photos ``without_face`` and ``unreadable`` ones, and how
            many photos were ``done_before``. The unreadable ones are listed in
            `emohelpers.inference.problems_file`.

        Raises
        ------
        MissingPathError, ImageError, ConfigurationError
            As `folder`; also if `out` exists, ends otherwise, or was begun in another way.

        Notes
        -----
        Memory does not grow with the number of photos, but for the names of the largest single
        folder, and for all names where photos came or went between two calls, or are copied with
        `annotate`. A photo that was replaced under its name is not done again; a part that was
        deleted is.
        """
        return _photos.to_disk(
            self,
            path,
            Path(out),
            on_error=on_error,
            annotate=annotate,
            progress=progress,
            force=force,
            ray=ray,
        )

    def video(
        self,
        source: str | os.PathLike[str] | int,
        *,
        every: int = 1,
        smooth: float = 0.5,
        out: str | os.PathLike[str] | None = None,
        seconds: float | None = None,
        on_frame: Callable[[_video.Frame], object] | None = None,
        progress: bool = False,
        force: bool = False,
    ) -> pd.DataFrame:
        """Recognise and follow the faces of a video or of a camera.

        Parameters
        ----------
        source : path, URL or int
            Of a video file or stream, or the number of a camera, 0 for the first.
        every : int
            Look at every so many frames, 1 or more.
        smooth : float
            Over how many seconds answers are averaged, see `Tracker`.
        out : path, optional
            A video to write with boxes, emoji and bars, ``.mp4``, ``.avi`` or ``.webm``; it has no
            sound.
        seconds : float, optional
            When to stop; without it at the end of the video, and for a camera when the user
            interrupts.
        on_frame : callable, optional
            Called with each `Frame` that was looked at, for instance to show it; the video ends
            where it returns False.
        progress : bool
            Whether to draw a progress bar on standard error.
        force : bool
            Replace `out`.

        Returns
        -------
        DataFrame
            A row for each face and frame, see above, with ``frame`` (from 0) and ``time`` first.

        Raises
        ------
        MissingPathError
            If there is no such file or camera.
        ImageError
            If it holds no pictures that can be read.
        ConfigurationError
            If an argument is out of its range, or `out` exists or ends otherwise.

        See Also
        --------
        emohelpers.plots.emotion_timeline : Draws the table.
        """
        return _video.to_table(
            self,
            source,
            every=every,
            smooth=smooth,
            out=None if out is None else Path(out),
            seconds=seconds,
            on_frame=on_frame,
            progress=progress,
            force=force,
        )

    def frames(
        self, source: str | os.PathLike[str] | int, *, every: int = 1, smooth: float = 0.5
    ) -> Iterator[_video.Frame]:
        """Yield the frames of a video or camera one by one, as `video` looks at them.

        Parameters
        ----------
        source, every, smooth
            See `video`.

        Yields
        ------
        Frame
            Its number, time and pixels, and a table of its faces.

        Raises
        ------
        MissingPathError, ImageError, ConfigurationError
            See `video`.
        """
        return _video.frames(self, source, every=every, smooth=smooth)

    def find(self, photo: NDArray[np.uint8]) -> tuple[list[Face], NDArray[np.uint8]]:
        """Find the faces of a photo and cut them out as the network wants them.

        Parameters
        ----------
        photo : ndarray of uint8, shape (height, width, 1 or 3)
            See `emohelpers.faces.read_photo`.

        Returns
        -------
        faces : list of Face
            n of them, the surest first.
        cut : ndarray of uint8, shape (n, size, size, 1 or 3)
            Pixels, 0..255.
        """
        faces = [face for face in self._detector(photo) if min(face.box[2:]) >= 1]
        cut = np.empty((len(faces), self._size, self._size, 3 if self._color else 1), np.uint8)
        for place, face in enumerate(faces):
            cut[place] = align(photo, face, size=self._size, margin=self._margin, color=self._color)
        return faces, cut

    def answer(self, cut: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the probability of each emotion for faces that are cut out.

        Parameters
        ----------
        cut : ndarray of uint8, shape (n, size, size, 1 or 3)
            From `find`, of any number of photos.

        Returns
        -------
        ndarray of float32, shape (n, n_classes)
            In 0..1, rows sum to 1.
        """
        from emohelpers.evaluation import both_classes

        return both_classes(self._network(cut))

    def table(
        self,
        faces: Sequence[Face],
        probabilities: Any,
        *,
        numbers: Sequence[int] | None = None,
        **first: Any,
    ) -> pd.DataFrame:
        """Set faces and their probabilities into a table, see above."""
        return faces_table(
            faces,
            probabilities,
            self.class_names,
            least_confidence=self._least_confidence,
            numbers=numbers,
            **first,
        )

    @property
    def settings(self) -> dict[str, Any]:
        """What the answers depend on: network, detector, margin and least confidence."""
        return {
            "network": self.name,
            "class_names": list(self.class_names),
            "detector": type(self._detector).__name__,
            "margin": self._margin,
            "least_confidence": self._least_confidence,
        }

    @property
    def checksum(self) -> str | None:
        """SHA-256 of the network's file; None for one that was not opened from a file.

        All formats of a network have the same name, and answer a little otherwise.
        """
        model = self._opened["model"]
        if not (isinstance(model, str | os.PathLike) and Path(model).is_file()):
            return None
        with Path(model).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    @property
    def arguments(self) -> dict[str, Any]:
        """What opens the same recognizer in another process.

        Raises
        ------
        ConfigurationError
            If the network or the detector was not opened by a name or a file.
        """
        for name in ("model", "detector"):
            given = self._opened[name]
            if not (given is None or isinstance(given, str | os.PathLike)):
                raise ConfigurationError(
                    f"a {name} of this process, {type(given).__name__}: expected a name or a file, "
                    "which other processes can open"
                )
        return self._opened
