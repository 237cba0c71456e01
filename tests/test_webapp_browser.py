"""The page in a real browser: photos, a webcam, the keyboard, the eye and the ear."""

import contextlib
import threading

import pytest

from emohelpers import webapp
from emohelpers.inference import EmotionRecognizer
from tests import browser
from tests.browser import THREE, chromium, requested, scene, three_faces, viewport, write_y4m

pytestmark = pytest.mark.skipif(
    not browser.PRESENT, reason="Debian's packages chromium and chromium-driver are not installed"
)
pytest.importorskip("selenium", reason="selenium, which drives the browser, is not installed")

from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

SECONDS = 60  # that a busy machine may take for anything


@pytest.fixture(scope="module")
def server():
    recognizer = EmotionRecognizer("toy-baseline", "haar")
    server = webapp.create_server(webapp.create_app(recognizer), port=0)
    thread = threading.Thread(target=server.run)
    thread.start()
    yield server
    server.stop()
    thread.join(30)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """Write a video of one person who is happy for four seconds and then angry for four."""
    path = tmp_path_factory.mktemp("video") / "faces.y4m"
    place = [(245, 150)]
    return write_y4m(
        path, [scene([name], place) for name in ("happiness", "anger") for _ in range(20)]
    )


@contextlib.contextmanager
def page(server, profile, **options):
    """Open the page; in the end nothing was amiss, and nobody else was asked for anything."""
    with chromium(profile, **options) as driver:
        driver.get("about:blank")
        requested(driver)  # of the browser's own first page
        driver.get(server.url)
        until(driver, lambda: texts(driver, "#legend li"))
        yield driver
        console = [entry["message"] for entry in driver.get_log("browser")]
        assert console == []
        urls = requested(driver)
        assert urls
        assert [url for url in urls if not url.startswith((server.url, f"blob:{server.url}"))] == []
        assert driver.get_cookies() == []
        assert driver.execute_script("return localStorage.length + sessionStorage.length") == 0


@pytest.fixture(scope="module")
def plain(server, tmp_path_factory):
    """Keep one page open for the tests that need no camera; each begins by loading it anew."""
    with page(server, tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture
def fresh(plain, server):
    viewport(plain, 1280, 900)
    browser.scheme(plain, "light")
    plain.get(server.url)
    until(plain, lambda: texts(plain, "#legend li"))
    return plain


def until(driver, condition):
    return WebDriverWait(driver, SECONDS, poll_frequency=0.1).until(lambda _: condition())


def find(driver, selector):
    return driver.find_element(By.CSS_SELECTOR, selector)


def texts(driver, selector):
    """Return what elements say, hidden or not, in one step: the page may change between two."""
    said = driver.execute_script(
        "return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent)",
        selector,
    )
    return [text.replace("\u00a0", " ") for text in said]


def label(driver, selector):
    return find(driver, selector).get_attribute("aria-label").replace("\u00a0", " ")


def shown(driver, selector):
    return find(driver, selector).is_displayed()


def upload(driver, *paths):
    find(driver, "#files").send_keys("\n".join(map(str, paths)))


def test_a_photo_of_three_faces_shows_three_boxes_and_what_was_drawn(fresh, tmp_path):
    upload(fresh, three_faces(tmp_path / "three.jpg"))
    until(fresh, lambda: len(texts(fresh, "#photos .face")) == 3)
    assert sorted(texts(fresh, "#photos caption strong")) == sorted(THREE)
    status = texts(fresh, "#photos-status")[0]
    assert status.startswith("three.jpg: 3 faces: face 1 ")
    assert label(fresh, "#photos canvas") == f"Photo {status}"
    # The boxes are on the canvas, in each emotion's colour (dark ones lightened to a luma of 125),
    # where the faces were drawn.
    colors = {"happiness": (230, 159, 0), "surprise": (86, 180, 233), "sadness": (57, 146, 195)}
    boxes = fresh.execute_script(
        """
        const canvas = document.querySelector("#photos canvas");
        const { width, height } = canvas;
        const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
        return arguments[0].map((color) => {
          const found = [];
          for (let at = 0; at < data.length; at += 4) {
            if (color.every((part, k) => Math.abs(data[at + k] - part) <= 2)) found.push(at / 4);
          }
          const [xs, ys] = [found.map((at) => at % width), found.map((at) => at / width)];
          return [
            Math.min(...xs) / width, Math.min(...ys) / height,
            Math.max(...xs) / width, Math.max(...ys) / height,
          ];
        });
        """,
        [colors[name] for name in THREE],
    )
    for (left, top), (x, y, right, bottom) in zip(browser.THREE_PLACES, boxes, strict=True):
        assert left - 5 <= 640 * x <= left + 60
        assert top - 5 <= 480 * y <= top + 60
        assert left + 90 <= 640 * right <= left + 155
        assert top + 90 <= 480 * bottom <= top + 155
    rows = texts(fresh, "#photos .face:first-child th")
    assert len(rows) == 7
    shares = texts(fresh, "#photos .face:first-child tr td:last-child")
    assert 98 <= sum(int(share.removesuffix(" %")) for share in shares) <= 102
    bars = fresh.execute_script(
        "return [...document.querySelectorAll('#photos .face:first-child .bar')].map((bar) => "
        "Math.round(100 * parseFloat(getComputedStyle(bar, '::before').width) / bar.clientWidth))"
    )
    assert bars == pytest.approx([int(share.removesuffix(" %")) for share in shares], abs=1)


def test_several_photos_are_looked_at_in_turn_and_bad_ones_are_said(fresh, tmp_path):
    (tmp_path / "letter.jpg").write_bytes(b"no picture")
    (tmp_path / "large.png").write_bytes(b"\x89PNG" + b"\0" * 13 * 2**20)
    upload(
        fresh,
        three_faces(tmp_path / "one.png", "PNG"),
        tmp_path / "letter.jpg",
        tmp_path / "large.png",
        three_faces(tmp_path / "two.webp", "WEBP", quality=95),
    )
    until(fresh, lambda: texts(fresh, "#photos-status") == ["4 photos, 6 faces."])
    assert set(texts(fresh, "#photos figcaption")) == {
        "one.png", "letter.jpg", "large.png", "two.webp",
    }  # fmt: skip
    problems = " ".join(texts(fresh, "#photos .problem"))
    assert "no image" in problems
    assert "13.0 MB, which is too much" in problems
    # The refusal is in the browser's console too; nothing else is.
    [entry] = fresh.get_log("browser")
    assert "415" in entry["message"]
    find(fresh, "#photos-clear").click()
    assert texts(fresh, "#photos figure") == []
    assert fresh.switch_to.active_element == find(fresh, "#files")
    # The answer to a photo that was removed meanwhile shows nowhere; the next does.
    upload(fresh, three_faces(tmp_path / "again.jpg"))
    until(fresh, lambda: len(texts(fresh, "#photos .face")) == 3)


def test_no_more_photos_are_taken_at_once_than_is_said(fresh, tmp_path):
    (tmp_path / "a.png").write_bytes(b"x")
    fresh.execute_script(
        """
        const files = new DataTransfer();
        for (let k = 0; k < 23; k += 1) files.items.add(new File([], `${k}.png`));
        const options = { dataTransfer: files, bubbles: true, cancelable: true };
        document.getElementById("drop").dispatchEvent(new DragEvent("drop", options));
        """
    )
    until(fresh, lambda: "3 more were left out" in texts(fresh, "#photos-status")[0])
    assert len(texts(fresh, "#photos figure")) == 20
    fresh.get_log("browser")  # twenty refusals of empty files


def test_the_webcam_runs_shows_that_it_does_follows_a_face_and_stops(server, video, tmp_path):
    with page(server, tmp_path / "profile", video=video) as driver:
        assert not shown(driver, "#webcam-sign")
        assert driver.execute_script("return document.querySelector('video').srcObject") is None
        find(driver, "#webcam-start").click()
        until(driver, lambda: shown(driver, "#webcam-sign"))
        assert texts(driver, "#webcam-sign") == ["Camera is on"]
        assert driver.title.startswith("Camera is on")
        seen = []

        def sees(emotion):
            names = texts(driver, "#webcam-faces caption strong")
            seen.append(names)
            return names == [emotion]

        for emotion in ("happiness", "anger", "happiness"):
            until(driver, lambda emotion=emotion: sees(emotion))
        until(driver, lambda: texts(driver, "#webcam-status")[0] in (
            "1 face: face 1 happiness", "1 face: face 1 anger"))  # fmt: skip
        # The same face kept its number all the time.
        assert texts(driver, "#webcam-faces caption span")[0].startswith("Face 1: ")
        until(driver, lambda: all(text.endswith("%") for text in texts(driver, ".reactions b")))
        up, side, down = (int(text.split()[0]) for text in texts(driver, ".reactions b"))
        assert up > 20
        assert down > 10
        assert 98 <= up + side + down <= 102
        until(
            driver,
            lambda: (
                "happiness" in find(driver, "#timeline").get_attribute("aria-label")
                and "anger" in find(driver, "#timeline").get_attribute("aria-label")
            ),
        )
        assert texts(driver, "#timeline-title") == ["Timeline of face 1"]
        colors = driver.execute_script(
            """
            const canvas = document.getElementById("timeline");
            const { width, height } = canvas;
            const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
            const found = new Set();
            for (let at = 0; at < data.length; at += 4) found.add(data.slice(at, at + 3).join());
            return [...found];
            """
        )
        assert {"230,159,0", "213,94,0"} <= set(colors)  # of happiness and of anger
        track = "document.querySelector('video').srcObject.getTracks()"
        driver.execute_script(f"window.kept = {track}")
        assert driver.execute_script("return kept.map((track) => track.readyState)") == ["live"]
        assert driver.execute_script("return kept.map((track) => track.kind)") == ["video"]
        find(driver, "#webcam-stop").click()
        assert driver.execute_script("return kept.map((track) => track.readyState)") == ["ended"]
        assert not shown(driver, "#webcam-sign")
        assert not shown(driver, "#webcam-stage")
        assert driver.title == "Facial expressions"
        assert texts(driver, "#webcam-status") == ["The webcam is off."]
        # Nothing is sent any more; one picture may have been on its way.
        requested(driver)
        driver.execute_async_script("setTimeout(arguments[0], 500)")
        assert [url for url in requested(driver) if "frame" in url] == []
        # It may be started again, and stops when the page is hidden.
        find(driver, "#webcam-start").click()
        until(driver, lambda: texts(driver, "#webcam-faces .face"))
        driver.execute_script(f"window.kept = {track}")
        driver.execute_script(
            "Object.defineProperty(document, 'hidden', { value: true });"
            "document.dispatchEvent(new Event('visibilitychange'))"
        )
        assert driver.execute_script("return kept.map((track) => track.readyState)") == ["ended"]
        assert "page was hidden" in texts(driver, "#webcam-status")[0]


def test_a_webcam_that_is_not_there_or_not_allowed_is_said(fresh):
    find(fresh, "#webcam-start").click()
    until(fresh, lambda: texts(fresh, "#webcam-problem") != [""])
    assert "No webcam was found." in texts(fresh, "#webcam-problem")[0]
    assert find(fresh, "#webcam-start").is_enabled()
    assert not shown(fresh, "#webcam-sign")
    refuse = (
        "navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', '{}'))"
    )
    for name, words in {"NotAllowedError": "not allowed", "NotReadableError": "another"}.items():
        fresh.execute_script(refuse.replace("{}", name))
        find(fresh, "#webcam-start").click()
        until(fresh, lambda words=words: words in texts(fresh, "#webcam-problem")[0])
    # As on a page that came over plain http from another machine.
    fresh.execute_script(
        "Object.defineProperty(navigator, 'mediaDevices', { value: undefined });"
        "Object.defineProperty(window, 'isSecureContext', { value: false })"
    )
    find(fresh, "#webcam-start").click()
    until(fresh, lambda: "https" in texts(fresh, "#webcam-problem")[0])


def test_a_server_that_goes_away_is_said_and_tried_again(server, video, tmp_path):
    with page(server, tmp_path / "profile", video=video) as driver:
        driver.execute_script(
            """
            window.own = fetch;
            window.fetch = () => Promise.reject(new TypeError("gone"));
            """
        )
        find(driver, "#webcam-start").click()
        until(driver, lambda: "can not be reached" in texts(driver, "#webcam-problem")[0])
        assert shown(driver, "#webcam-sign")
        driver.execute_script("window.fetch = own")
        until(driver, lambda: texts(driver, "#webcam-faces .face"))
        assert texts(driver, "#webcam-problem") == [""]


def test_everything_can_be_done_with_the_keyboard(server, video, tmp_path):
    with page(server, tmp_path / "profile", video=video) as driver:

        def press(key):
            ActionChains(driver).send_keys(key).perform()
            return driver.switch_to.active_element.get_attribute("id")

        driver.execute_script("document.activeElement.blur()")
        assert press(Keys.TAB) == "files"
        outline = driver.execute_script(
            "return getComputedStyle(document.querySelector('label[for=files]')).outlineStyle"
        )
        assert outline == "solid"
        upload(driver, three_faces(tmp_path / "three.jpg"))  # what the file dialogue gives
        until(driver, lambda: len(texts(driver, "#photos .face")) == 3)
        assert press(Keys.TAB) == "photos-clear"
        assert press(Keys.TAB) == "webcam-start"
        # What had the focus goes; the focus stays where the next step is.
        press(Keys.ENTER)
        until(driver, lambda: shown(driver, "#webcam-stop"))
        assert driver.switch_to.active_element.get_attribute("id") == "webcam-stop"
        until(driver, lambda: texts(driver, "#webcam-faces .face"))
        press(Keys.SPACE)
        until(driver, lambda: not shown(driver, "#webcam-sign"))
        assert driver.switch_to.active_element.get_attribute("id") == "webcam-start"


# Of each visible text its colour and the one behind it.
CONTRASTS = """
const parse = (color) => color.match(/[\\d.]+/g).map(Number);
const luminance = (color) => {
  const parts = color.slice(0, 3).map((part) => part / 255);
  const linear = parts.map(
    (part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
};
const behind = (element) => {
  for (let one = element; one; one = one.parentElement) {
    const color = parse(getComputedStyle(one).backgroundColor);
    if (color.length === 3 || color[3] === 1) return color;
  }
  return [255, 255, 255];
};
const found = [];
for (const element of document.querySelectorAll("body *")) {
  const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  if (!own || !element.checkVisibility()) continue;
  const colors = [parse(getComputedStyle(element).color), behind(element)];
  const [dark, light] = colors.map(luminance).sort((one, other) => one - other);
  found.push([(light + 0.05) / (dark + 0.05), element.textContent.trim().slice(0, 40)]);
}
return found;
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_and_nothing_is_wider_than_a_phone(server, video, tmp_path, scheme):
    with page(server, tmp_path / "profile", video=video) as driver:
        browser.scheme(driver, scheme, reduced_motion=True)
        upload(driver, three_faces(tmp_path / "three.jpg"))
        find(driver, "#webcam-start").click()
        until(driver, lambda: len(texts(driver, "#photos .face")) == 3)
        until(driver, lambda: texts(driver, "#webcam-faces .face"))
        driver.execute_script("document.getElementById('webcam-problem').textContent = 'Problem'")
        contrasts = driver.execute_script(CONTRASTS)
        assert len(contrasts) > 60
        assert [text for ratio, text in contrasts if ratio < 4.5] == []
        page_color = driver.execute_script("return getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, page_color[4:-1].split(","))) < 200) == (scheme == "dark")
        dot = "getComputedStyle(document.getElementById('webcam-sign'), '::before')"
        assert driver.execute_script(f"return {dot}.animationName") == "none"
        columns = "return getComputedStyle(document.querySelector('.live')).gridTemplateColumns"
        viewport(driver, 1280, 900)
        assert len(driver.execute_script(columns).split()) == 2
        viewport(driver, 360, 800, mobile=True)
        assert driver.execute_script(columns) == "none"
        # The photo is drawn again once the page has taken its new width.
        wider = (
            "return [...document.querySelectorAll('body *')].filter((one) => "
            "one.getBoundingClientRect().right > 360.5).map((one) => one.outerHTML.slice(0, 80))"
        )
        until(driver, lambda: driver.execute_script(wider) == [])
        assert driver.execute_script("return document.documentElement.scrollWidth") <= 360


def test_a_screen_reader_is_told_what_everything_is(fresh, tmp_path):
    upload(fresh, three_faces(tmp_path / "three.jpg"))
    until(fresh, lambda: len(texts(fresh, "#photos .face")) == 3)
    fresh.execute_cdp_cmd("Accessibility.enable", {})
    nodes = fresh.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    heard = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in nodes
        if not node["ignored"]
    ]
    roles = {}
    for role, name in heard:
        roles.setdefault(role, []).append(name)
    assert roles["heading"][0] == "Facial expressions"
    assert roles["main"]
    assert {"Photos", "Webcam", "An expression is not a feeling"} <= set(roles["region"])
    for role in ("button", "image", "Canvas", "region", "table"):
        assert all(roles.get(role, [])), role
    assert "Start webcam" in roles["button"]
    assert any(name.startswith("Choose photos") for name in roles["button"])
    assert len(roles["table"]) == 3
    assert {name.split(":")[0] for name in roles["table"]} == {"Face 1", "Face 2", "Face 3"}
    # What changes is read out when there is a pause, and what is wrong at once.
    live = {
        one.get_attribute("id"): one.get_attribute("role")
        for one in fresh.find_elements(By.CSS_SELECTOR, "[role=status], [role=alert]")
    }
    assert live == {"photos-status": "status", "webcam-status": "status", "webcam-problem": "alert"}
