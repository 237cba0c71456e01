"""A headless Chromium, and what it is shown: photos and webcam videos of toy faces."""

import contextlib
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from emohelpers import datasets

CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
PRESENT = CHROMIUM.exists() and DRIVER.exists()

# Rows of a drawing that the cascade finds and the network `toy-baseline` reads as they were drawn.
ROWS = {"sadness": 34, "happiness": 32, "disgust": 4, "anger": 28, "surprise": 5, "neutral": 36}
SIDE = 150


def toy_faces():
    """Draw the faces of which `ROWS` are some."""
    return datasets.make_faces(60, size=SIDE, color=True, seed=0, difficulty=0.0)


def scene(emotions, places, *, size=(480, 640)):
    """Draw a face for each emotion, its upper left corner at a place, on a plain wall."""
    drawn = toy_faces()
    height, width = size
    shade = np.linspace(170, 205, width)[None, :, None] + np.linspace(8, -12, height)[:, None, None]
    picture = np.repeat(shade, 3, axis=2).astype(np.uint8)
    for emotion, (left, top) in zip(emotions, places, strict=True):
        row = ROWS[emotion]
        # The expectation is what was drawn, and not what was recognised.
        assert drawn.class_names[drawn.labels[row]] == emotion
        picture[top : top + SIDE, left : left + SIDE] = drawn.images[row]
    return picture


THREE = ("happiness", "sadness", "surprise")
THREE_PLACES = ((30, 60), (245, 150), (460, 70))


def three_faces(path, format="JPEG", **options):
    """Write a photo of three faces; return its path as text, for the file chooser."""
    Image.fromarray(scene(THREE, THREE_PLACES)).save(path, format, **options)
    return str(path)


def write_y4m(path, frames, *, rate=5):
    """Write a video as Chromium's fake camera reads it, which repeats it for ever."""
    height, width = frames[0].shape[:2]
    with Path(path).open("wb") as file:
        file.write(f"YUV4MPEG2 W{width} H{height} F{rate}:1 Ip A1:1 C420jpeg\n".encode())
        for frame in frames:
            file.write(b"FRAME\n" + cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420).tobytes())
    return path


@contextlib.contextmanager
def chromium(profile, *, video=None, allow_camera=True, size=(1280, 900)):
    """Open a browser with a profile of its own, which asks nobody but the page."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    arguments = [
        "--headless=new",
        "--no-sandbox",  # which root needs
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={profile}",
        f"--window-size={size[0]},{size[1]}",
        "--force-device-scale-factor=1",
    ]
    if video is not None:
        arguments += [
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-video-capture={video}",
        ]
    if video is not None and allow_camera:
        arguments.append("--use-fake-ui-for-media-stream")
    for argument in arguments:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    try:
        yield driver
    finally:
        driver.quit()
        shutil.rmtree(profile, ignore_errors=True)


def scheme(driver, name, *, reduced_motion=False):
    """Let the page believe that the user prefers a light or dark scheme."""
    features = [{"name": "prefers-color-scheme", "value": name}]
    if reduced_motion:
        features.append({"name": "prefers-reduced-motion", "value": "reduce"})
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def viewport(driver, width, height, *, mobile=False):
    """Give the page a screen of a size."""
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile},
    )


def requested(driver):
    """Return the URLs that the page asked for since this was called last."""
    urls = []
    for entry in driver.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            urls.append(message["params"]["request"]["url"])
    return urls
