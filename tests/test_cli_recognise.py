"""The commands predict, video and webcam: what is printed, written, refused."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from test_cli import one_object
from test_inference_video import read, write

from emohelpers import datasets
from emohelpers.inference import EmotionRecognizer

TOY = ("--model", "toy-baseline", "--detector", "haar")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Two photos of a happy and a surprised toy face, one of nobody, and a video of the first."""
    place = tmp_path_factory.mktemp("use")
    (place / "photos").mkdir()
    for name, emotion in (("a", "happiness"), ("b", "surprise")):
        face = datasets.make_faces(
            1, size=140, color=True, seed=36, emotions=[emotion], difficulty=0.0
        ).images[0]
        picture = np.full((240, 400, 3), 140, np.uint8)
        picture[50:190, 100:240] = face
        Image.fromarray(picture).save(place / "photos" / f"{name}.png")
        write(place / f"{name}.mp4", [picture] * 12)
    Image.new("RGB", (200, 100), "grey").save(place / "photos" / "nobody.png")
    return place


def test_predict_prints_a_line_for_each_face(place, run):
    said = run("predict", place / "photos", *TOY)
    assert said.code == 0, said.stderr
    assert said.stderr == ""
    heading, happy, surprised, nobody = said.stdout.splitlines()
    assert heading.split() == ["file", "face", "box", "emotion"]
    assert "  happiness " in happy
    assert "  surprise " in surprised
    assert nobody.endswith("-  no face")


def test_predict_as_json_is_the_table(place, run):
    said = one_object(run("predict", place / "photos", *TOY, "--json").stdout)
    table = EmotionRecognizer("toy-baseline", "haar").folder(place / "photos")
    assert len(said["faces"]) == len(table)
    for row, expected in zip(said["faces"], table.to_dict("records"), strict=True):
        assert list(row) == list(expected)
        for name, value in expected.items():
            if pd.isna(value):
                assert row[name] is None
            elif isinstance(value, float):
                assert row[name] == pytest.approx(value, rel=1e-4)
            else:
                assert row[name] == value


def test_predict_writes_a_table_and_copies_and_replaces_neither(place, run, tmp_path):
    out, copies = tmp_path / "table.csv", tmp_path / "copies"
    call = ("predict", place / "photos", *TOY, "--out", out, "--annotate", copies)
    said = run(*call)
    assert said.code == 0, said.stderr
    assert said.stdout == f"{out}: 3 photos, 2 faces, 1 without a face, 0 unreadable\n"
    assert sorted(path.name for path in copies.iterdir()) == ["a.png", "b.png", "nobody.png"]
    written = out.read_bytes()
    again = run(*call)
    assert (again.code, again.stdout) == (1, "")
    assert again.stderr.startswith(f"emohelpers: {out} exists: expected a new file")
    assert out.read_bytes() == written
    forced = one_object(run(*call, "--force", "--json").stdout)
    assert forced == {
        "file": str(out),
        "photos": 3,
        "faces": 2,
        "without_face": 1,
        "unreadable": 0,
        "done_before": 0,
    }
    assert out.read_bytes() == written


def test_predict_skips_what_can_not_be_read_only_when_told(place, run, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"no photo")
    refused = run("predict", tmp_path, *TOY)
    assert (refused.code, refused.stdout) == (1, "")
    assert "bad.jpg is not an image: it begins with b'no photo'" in refused.stderr
    assert "Traceback" not in refused.stderr
    said = run("predict", place / "photos", tmp_path, *TOY, "--on-error", "skip")
    assert said.code == 0
    assert said.stdout.splitlines()[-1].split()[1] == "-"
    assert "is not an image" in said.stdout.splitlines()[-1]


def test_a_stopped_predict_says_how_it_goes_on(place, run, tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("emohelpers.inference._photos._chunks", stop)
    out = tmp_path / "table.csv"
    said = run("predict", place / "photos", *TOY, "--out", out)
    assert said.code == 130
    assert said.stderr == f"stopped; what is done is in {out}.parts: give the same command\n"


def heed_interrupts():
    """Undo what a shell does to jobs in the background, which it lets ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_predict_stops_at_ctrl_c_and_goes_on(place, tmp_path):
    """The same with a real signal to a real process."""
    photos = tmp_path / "photos"
    photos.mkdir()
    content = (place / "photos" / "a.png").read_bytes()
    for number in range(400):
        (photos / f"{number:03}.png").write_bytes(content)
    out = tmp_path / "table.csv"
    command = Path(sys.executable).with_name("emohelpers")
    call = [command, "predict", photos, *TOY, "--out", out]
    process = subprocess.Popen(
        call,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts,
    )
    parts = tmp_path / "table.csv.parts"
    while process.poll() is None and not list(parts.glob("part-*.parquet")):
        pass
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "give the same command" in errors
    assert "Traceback" not in errors
    done = sum(len(pd.read_parquet(part)) for part in parts.glob("part-*.parquet"))
    assert 0 < done < 400
    again = subprocess.run(call, capture_output=True, text=True, check=True)
    assert again.stdout.startswith(f"{out}: 400 photos, {done} of them done before, 400 faces")
    table = pd.read_csv(out)
    assert table["file"].is_unique
    assert len(table) == 400


def test_video_writes_all_that_it_is_asked_for_and_sums_up(place, run, tmp_path):
    files = {
        "--out": tmp_path / "shown.avi",
        "--table": tmp_path / "faces.parquet",
        "--timeline": tmp_path / "line.png",
    }
    options = [str(part) for pair in files.items() for part in pair]
    said = run("video", place / "a.mp4", *TOY, *options)
    assert said.code == 0, said.stderr
    assert said.stderr == ""
    first, *rest = said.stdout.splitlines()
    assert first == "face 1: 0.0 to 1.1 s, happiness 100% (unsure 0%)"
    assert rest == [str(path) for path in files.values()]
    assert len(read(files["--out"])) == 12
    assert len(pd.read_parquet(files["--table"])) == 12
    assert Image.open(files["--timeline"]).size[0] > 500
    for option, path in files.items():
        content = path.read_bytes()
        refused = run("video", place / "a.mp4", *TOY, option, path)
        assert refused.code == 1
        assert f"{path} exists" in refused.stderr
        assert path.read_bytes() == content
    assert run("video", place / "a.mp4", *TOY, *options, "--force").code == 0


def test_video_as_json_is_one_object(place, run):
    said = one_object(run("video", place / "b.mp4", *TOY, "--every", 4, "--json").stdout)
    assert said == {
        "source": str(place / "b.mp4"),
        "faces": [
            {
                "face": 1,
                "from": 0.0,
                "to": 0.8,
                "frames": 3,
                "unsure": 0.0,
                "emotions": {"surprise": 1.0},
            }
        ],
    }


def test_webcam_looks_at_a_stream_for_as_long_as_it_is_told(place, run, tmp_path):
    table = tmp_path / "faces.csv"
    said = run("webcam", "--camera", place / "a.mp4", *TOY, "--seconds", 0.5, "--table", table)
    assert said.code == 0, said.stderr
    assert said.stdout.splitlines()[0].startswith("face 1: 0.0 to 0.4 s, happiness 100%")
    assert len(pd.read_csv(table)) == 5


def test_nobody_in_a_video_is_no_failure(run, tmp_path):
    write(tmp_path / "empty.mp4", [np.full((120, 160, 3), 120, np.uint8)] * 3)
    said = run("video", tmp_path / "empty.mp4", *TOY, "--timeline", tmp_path / "line.png")
    assert (said.code, said.stdout) == (0, "no face\n")
    assert not (tmp_path / "line.png").exists()


@pytest.mark.parametrize(
    ("call", "code", "words"),
    [
        (["predict"], 2, "Missing argument"),
        (["predict", "nowhere"], 2, "'nowhere' does not exist"),
        (["predict", "{place}", "--model", "none-such"], 1, "no published network 'none-such'"),
        (["predict", "{place}", "--detector", "none-such"], 1, "expected YuNet"),
        (["predict", "{place}", "--out", "t.txt", *TOY], 1, "ends in .csv or .parquet"),
        (["predict", "{place}", "--least-confidence", "2"], 2, "less than or equal to 1"),
        (["video", "{place}/nobody.png", "--every", "0"], 2, "greater than or equal to 1"),
        (["video", "{place}/a.png", "--timeline", "t.gif", *TOY], 1, "ends in .png, .svg or .pdf"),
        (["webcam", "--camera", "99", *TOY], 1, "no camera 99"),
    ],
)
def test_a_users_mistake_is_a_message(place, run, call, code, words):
    said = run(*[part.replace("{place}", str(place / "photos")) for part in call])
    assert said.code == code
    assert said.stdout == ""
    assert words in said.stderr
    assert "Traceback" not in said.stderr


def test_the_json_of_a_refusal_is_nothing(place, run):
    said = run("predict", place / "a.mp4", *TOY, "--json")
    assert (said.code, said.stdout) == (1, "")
    with pytest.raises(json.JSONDecodeError):
        json.loads(said.stdout)
