"""A picture from the camera of a browser that shows a notebook of Google Colab."""

import base64
import binascii
import importlib
from typing import Any

from emohelpers.errors import ConfigurationError

__all__ = ["take_photo"]

_DATA_URL = "data:image/jpeg;base64,"

# The browser asks the user before it opens the camera, and the camera is let go of in any case.
_PAGE = """
async function takePhoto() {
  const place = document.createElement('div');
  const video = document.createElement('video');
  const take = document.createElement('button');
  take.textContent = 'Take the picture';
  video.playsInline = video.muted = true;
  video.style.display = 'block';
  video.style.maxWidth = '640px';
  place.append(video, take);
  const stream = await navigator.mediaDevices.getUserMedia({video: {facingMode: 'user'}});
  try {
    document.body.appendChild(place);
    video.srcObject = stream;
    await video.play();
    // Colab shows a cell's output in a frame of its own, which does not grow by itself.
    google.colab.output.setIframeHeight(document.documentElement.scrollHeight, true);
    await new Promise((resolve) => { take.onclick = resolve; });
    const canvas = document.createElement('canvas');
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    canvas.getContext('2d').drawImage(video, 0, 0);
    return canvas.toDataURL('image/jpeg', 0.9);
  } finally {
    stream.getTracks().forEach((track) => track.stop());
    place.remove();
  }
}
takePhoto()
"""


def take_photo() -> bytes:
    """Take a picture with the camera of the browser, which asks for permission first.

    It works in Google Colab alone: there the notebook runs on a machine of Google's, which has no
    camera, and only the browser can reach the user's. The picture travels to that machine and stays
    in memory; it is not written.

    Returns
    -------
    bytes
        A JPEG, see `emohelpers.faces.read_photo`.

    Raises
    ------
    ConfigurationError
        Outside Colab, or if the browser gives no picture: there is no camera, or it was refused.
    """
    try:
        output: Any = importlib.import_module("google.colab.output")
    except ImportError as error:
        raise ConfigurationError(
            "no Google Colab: expected a notebook there; elsewhere use EmotionRecognizer.video(0) "
            "or 'emohelpers serve'"
        ) from error
    try:
        answer: Any = output.eval_js(_PAGE)
    except Exception as error:  # Colab's own MessageError, which it does not export
        raise ConfigurationError(
            f"the browser gave no picture: {error}: expected a camera, and leave to use it"
        ) from error
    if not isinstance(answer, str) or not answer.startswith(_DATA_URL):
        raise ConfigurationError(
            f"the browser answered {str(answer)[:40]!r}: expected a JPEG as a data URL"
        )
    try:
        return base64.b64decode(answer.removeprefix(_DATA_URL), validate=True)
    except binascii.Error as error:
        raise ConfigurationError(f"the browser's picture is damaged: {error}") from error
