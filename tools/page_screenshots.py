"""Take the pictures of the page for slides, of toy faces in a headless Chromium.

``python tools/page_screenshots.py --figures presentation_images`` writes ``16_page_photos.png``,
``16_page_phone_dark.png`` and, after a minute before a made-up webcam, ``16_page_webcam.png``.
"""

import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Annotated

import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from emohelpers import webapp
from emohelpers.inference import EmotionRecognizer
from tests import browser

# Two faces before the webcam, and how many seconds they show what.
_ACTS = (
    (("happiness", "neutral"), 5),
    (("happiness", "happiness"), 6),
    (("surprise", "happiness"), 4),
    (("neutral", "happiness"), 4),
    (("neutral", "anger"), 3),
    (("happiness", "happiness"), 6),
)
_PLACES = ((120, 150), (390, 160))
_RATE = 4
_MINUTE = 61  # seconds, until the timeline is full
_SETTLE = 0.5  # seconds, until a page has been drawn anew


def _shoot(url: str, folder: Path, figures: Path) -> None:
    photo = browser.three_faces(folder / "three_toy_faces.jpg", quality=92)
    frames = [
        frame
        for emotions, seconds in _ACTS
        for frame in [browser.scene(emotions, _PLACES)] * (_RATE * seconds)
    ]
    video = browser.write_y4m(folder / "webcam.y4m", frames, rate=_RATE)
    with browser.chromium(folder / "profile", video=video) as driver:

        def wait(selector: str, n: int) -> None:
            WebDriverWait(driver, 60).until(
                lambda driver: len(driver.find_elements(By.CSS_SELECTOR, selector)) >= n
            )

        def shoot(name: str, top: str | None = None) -> None:
            if top:
                driver.execute_script(f"document.getElementById('{top}').scrollIntoView()")
            time.sleep(_SETTLE)
            driver.save_screenshot(str(figures / f"{name}.png"))

        driver.get(url)
        browser.viewport(driver, 1280, 900)
        browser.scheme(driver, "light")
        wait("#legend li", 1)
        driver.find_element(By.ID, "files").send_keys(photo)
        wait("#photos .face", 3)
        shoot("16_page_photos")
        browser.viewport(driver, 360, 800, mobile=True)
        browser.scheme(driver, "dark")
        shoot("16_page_phone_dark", "photos-title")
        driver.get(url)
        browser.viewport(driver, 1280, 1060)
        browser.scheme(driver, "light")
        wait("#legend li", 1)
        driver.find_element(By.ID, "webcam-start").click()
        wait("#webcam-faces .face", 2)
        time.sleep(_MINUTE)
        shoot("16_page_webcam", "webcam-title")


def run(
    figures: Annotated[Path, typer.Option(help="Where the pictures go.")],
) -> None:
    """Serve the page, open it, and take its pictures."""
    figures.mkdir(parents=True, exist_ok=True)
    recognizer = EmotionRecognizer("toy-baseline", "haar")
    server = webapp.create_server(webapp.create_app(recognizer), port=0)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            _shoot(server.url, Path(folder), figures.resolve())
    finally:
        server.stop()
        thread.join()


if __name__ == "__main__":
    typer.run(run)
