"""Guards of the notebooks' form: what `pytest --nbval` does not look at."""

import ast
import re
from pathlib import Path

import nbformat
import pytest
from nbval.plugin import get_sanitize_patterns

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SANITIZE = ROOT / "tests" / "nbval_sanitize.cfg"


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    return nbformat.read(request.param, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook):
    return [output for cell in code_cells(notebook) for output in cell.outputs]


def test_the_course_is_numbered_from_one_without_gaps_and_listed_in_its_index():
    names = [path.name for path in NOTEBOOKS]
    assert all(re.fullmatch(r"\d\d_[a-z0-9_]+\.ipynb", name) for name in names)
    course = [int(name[:2]) for name in names if name < "1"]
    assert course == list(range(1, len(course) + 1))
    assert course, "there is no notebook"
    index = (ROOT / "notebooks" / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"\]\((\d\d_\w+\.ipynb)\)", index)
    assert listed == names


def test_it_was_run_from_top_to_bottom_in_a_fresh_kernel(notebook):
    counts = [cell.execution_count for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1))


def test_it_stores_neither_errors_nor_what_was_written_to_stderr(notebook):
    kinds = {(output.output_type, output.get("name")) for output in outputs(notebook)}
    assert ("stream", "stderr") not in kinds
    assert ("error", None) not in kinds


def test_code_cells_are_short(notebook):
    long = [cell.source for cell in code_cells(notebook) if len(cell.source.splitlines()) > 16]
    assert not long


def test_it_opens_with_a_title_what_is_learnt_the_setup_and_the_parameters(notebook):
    opening = [cell for cell in notebook.cells[:6] if cell.cell_type == "markdown"]
    assert re.match(r"# \S.*\n+\S", notebook.cells[0].source), "a title and a sentence"
    assert any("you will learn" in cell.source.lower() for cell in opening)
    setup, parameters = code_cells(notebook)[:2]
    assert "notebook.check_environment()" in setup.source
    assigned = {
        target.id: ast.unparse(statement.value)
        for statement in ast.parse(parameters.source).body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
    }
    assert {"DATASET", "DATA_ROOT", "FIGURES"} <= set(assigned)
    assert all(name.isupper() for name in assigned)
    # Whatever a test or another data set has to shrink can be set from outside.
    for name, value in assigned.items():
        assert "EMO_" in value or "notebook." in value, name


def test_it_closes_with_findings_exercises_and_a_link(notebook):
    closing = "\n\n".join(cell.source for cell in notebook.cells[-4:])
    found, exercises = closing.find("## What we found"), closing.find("## Exercises")
    assert 0 <= found < exercises
    assert re.search(r"^[-*] ", closing[found:exercises], re.MULTILINE)
    assert re.search(r"\]\([\w./-]+\.(?:ipynb|md)\)", notebook.cells[-1].source)
    assert all(cell.cell_type == "markdown" for cell in notebook.cells[-1:])


def test_links_between_notebooks_lead_somewhere(notebook):
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    targets = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", prose)
    missing = [target for target in targets if not (ROOT / "notebooks" / target).exists()]
    assert not missing


def test_stored_outputs_are_small_and_name_no_place_on_one_machine(notebook):
    stored = "".join(str(output) for output in outputs(notebook))
    assert len(stored) < 1_000_000
    text = "\n".join(
        str(output.get("text", ""))
        + "".join(str(v) for k, v in output.get("data", {}).items() if not k.startswith("image/"))
        for output in outputs(notebook)
    )
    places = r"(?<![\w./])/(?:home|root|Users|work|tmp|usr|var|opt|mnt|private|content)/|[A-Z]:\\"
    assert not re.search(places, text)


def test_only_cells_that_assert_something_escape_the_comparison(notebook):
    for cell in code_cells(notebook):
        tags = set(cell.metadata.get("tags", ()))
        assert "nbval-skip" not in tags
        assert "NBVAL_" not in cell.source
        if "nbval-ignore-output" in tags:
            assert any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(cell.source)))


@pytest.mark.skipif(len(NOTEBOOKS) < 2, reason="there are no two notebooks to compare")
def test_the_setup_cell_is_the_same_everywhere():
    texts = {code_cells(nbformat.read(path, as_version=4))[0].source for path in NOTEBOOKS}
    assert len(texts) == 1


def sanitized(text):
    patterns = get_sanitize_patterns(SANITIZE.read_text(encoding="utf-8"))
    assert len(patterns) == 11
    for pattern, replacement in patterns:
        text = re.sub(pattern, replacement, text)
    return text


@pytest.mark.parametrize(
    ("stored", "again"),
    [
        ("\x1b[1m\x1b[32mdone\x1b[0m", "\x1b[1m\x1b[31mdone\x1b[0m"),
        ("<object at 0x7f93e0a1>", "<object at 0x55d0c0ffee>"),
        ("trained on 2026-11-20 14:03:42", "trained on 2027-01-02 03:04:05"),
        ("Epoch 1/2\n10/10 ━━━━━ 1s 12ms/step - loss: 1.9", "Epoch 1/2\n 1/10 ━━━ 3s - loss: 2"),
        ("a 10%|█ | 1/10\na 20%|██| 2/10\n", "a 100%|██████| 10/10\n"),
        ("took 12.3 s", "took 9 s"),
        ("6,000 faces in 812 ms", "6,000 faces in 1033.5 ms"),
        ("wrote /tmp/pytest-1/x.png", "wrote /var/folders/a/b/y.png"),
        ('<td id="T_a1b2c_row0">', '<td id="T_99fee_row0">'),
        ("keras: yes\nGPU: none found", "keras: yes\nGPU: NVIDIA L4"),
    ],
)
def test_the_comparison_forgives_what_differs_between_right_runs(stored, again):
    assert stored != again
    assert sanitized(stored) == sanitized(again)


@pytest.mark.parametrize(
    ("stored", "again"),
    [
        ("accuracy 0.147", "accuracy 0.149"),
        ("(300, 48, 48, 1)", "(301, 48, 48, 1)"),
        ("35,887 images", "35,888 images"),
        ("anger         32           6", "anger         32           7"),
        ("<SlideFigure size 768x432 with 2 Axes>", "<SlideFigure size 768x432 with 3 Axes>"),
        ("<td>0.57</td>", "<td>0.58</td>"),
        ("61 %", "62 %"),
        ("12 samples", "13 samples"),
        ("3 splits", "4 splits"),
        ("GPU: none\naccuracy 0.1", "GPU: none\naccuracy 0.2"),
    ],
)
def test_the_comparison_never_forgives_a_number(stored, again):
    assert sanitized(stored) != sanitized(again)
