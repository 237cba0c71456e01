"""The command ``emohelpers``: the package's functions for the shell."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from emohelpers import __version__
from emohelpers._cli_data import app as data_app
from emohelpers._cli_data import write_table
from emohelpers._cli_deck import deck
from emohelpers._cli_devices import DEVICES, failing_at_once, ready_devices
from emohelpers._cli_equal_time import equal_time
from emohelpers._cli_explain import explain
from emohelpers._cli_export import export
from emohelpers._cli_generation import generate
from emohelpers._cli_recognise import predict, video, webcam
from emohelpers._cli_robustness import robustness
from emohelpers._cli_search import search
from emohelpers._cli_serve import serve
from emohelpers.errors import EmohelpersError

__all__ = ["app", "main"]

app = typer.Typer(
    name="emohelpers",
    help="Recognise facial expressions: data sets, training and honest figures.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # which takes what stands in brackets for markup and drops it
)
app.add_typer(data_app, name="data")
for command in (
    predict,
    video,
    webcam,
    serve,
    deck,
    equal_time,
    explain,
    export,
    generate,
    robustness,
    search,
):
    app.command()(command)

JSON = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
CACHE = Annotated[
    Path | None, typer.Option(help="Where decoded images are kept; the user's cache without it.")
]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"emohelpers {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    pass


@contextlib.contextmanager
def _standard_output_kept(clean: bool) -> Iterator[None]:
    """Send what libraries print to standard error, so that only JSON is on standard output."""
    with contextlib.redirect_stdout(sys.stderr) if clean else contextlib.nullcontext():
        yield


@app.command()
def recipes(as_json: JSON = False) -> None:
    """List the systems that 'train' knows."""
    from dataclasses import asdict

    from emohelpers.recipes import RECIPES

    if as_json:
        typer.echo(json.dumps({name: asdict(recipe) for name, recipe in RECIPES.items()}))
        return
    width = max(map(len, RECIPES))
    for name, recipe in RECIPES.items():
        typer.echo(f"{name:<{width}}  {recipe.dataset:<18}  {recipe.summary}")


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="One of those that 'emohelpers recipes' lists.")],
    data: Annotated[
        Path | None, typer.Option(help="Where the data set lies; toy faces need none.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The folder to write to [default: runs/RECIPE].")
    ] = None,
    votes: Annotated[
        Path | None, typer.Option(help="The FER+ votes, for recipes that learn from them.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="UTKFace: the labels made by hand, to validate on.")
    ] = None,
    fold: Annotated[
        int, typer.Option(min=1, help="The part to test on, for recipes with folds.")
    ] = 1,
    epochs: Annotated[int | None, typer.Option(min=1, help="In place of the recipe's.")] = None,
    precision: Annotated[
        str, typer.Option(help="float32, or mixed_bfloat16 where it is faster.")
    ] = "float32",
    half: Annotated[
        bool, typer.Option("--half", help="Store the weights in half precision.")
    ] = False,
    devices: DEVICES = None,
    seed: Annotated[int, typer.Option(min=0, help="Of weights, batches and augmentation.")] = 0,
    cache: CACHE = None,
    as_json: JSON = False,
) -> None:
    """Train a recipe; started again after a stop, it goes on where it was."""
    from emohelpers import publishing
    from emohelpers import recipes as known

    chosen = known.get(recipe)
    directory = out or Path("runs") / recipe
    shared = ready_devices(devices)
    from emohelpers import training

    with _standard_output_kept(as_json), failing_at_once():
        saved = known.train(
            chosen,
            data,
            directory=directory,
            votes=votes,
            labels=labels,
            fold=fold,
            epochs=epochs,
            precision=precision,
            half=half,
            devices=shared,
            seed=seed,
            cache=cache,
            verbose=1 if sys.stdout.isatty() else 2,
        )
    if training.this_process().index:
        return
    result = {
        "recipe": recipe,
        "directory": str(directory),
        "parameters": saved.model.count_params(),
        **publishing.best_epoch(directory, monitor=chosen.monitor),
    }
    if as_json:
        typer.echo(json.dumps(result))
        return
    how = (
        f"best of {result['epochs']} epochs {result['best_epoch']}"
        if result["best_epoch"]
        else "its last layer fitted"
    )
    typer.echo(
        f"{directory}: {result['parameters']:,} parameters, {how} with validation accuracy "
        f"{result['val_accuracy']:.4f}"
    )


@app.command()
def ablate(
    data: Annotated[Path, typer.Option(help="Where the data set lies.")],
    study: Annotated[
        str, typer.Argument(help="fer-compact (on FER2013) or eight-emotions.")
    ] = "fer-compact",
    votes: Annotated[Path | None, typer.Option(help="The FER+ votes, for fer-compact.")] = None,
    out: Annotated[Path | None, typer.Option(help="The CSV to write.")] = None,
    runs: Annotated[
        Path | None, typer.Option(help="A folder for the trainings [runs/ablation-STUDY].")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each step.")] = 3,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Of each training, in place of the study's.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Train these steps only; goes without --out.")
    ] = None,
    precision: Annotated[str, typer.Option(help="As in 'train'.")] = "float32",
    cache: CACHE = None,
) -> None:
    """Measure what each step of a training is worth; goes on where it was stopped."""
    from emohelpers import ablation
    from emohelpers.errors import ConfigurationError

    if study not in ablation.STUDIES:
        raise ConfigurationError(
            f"no study {study!r}: expected one of {', '.join(ablation.STUDIES)}"
        )
    steps = ablation.STUDIES[study].steps
    unknown = set(only or []) - set(steps)
    if unknown:
        raise ConfigurationError(
            f"no step {', '.join(sorted(unknown))}: expected some of {', '.join(steps)}"
        )
    if bool(out) == bool(only):
        raise ConfigurationError(
            "expected --out, the CSV to write, or steps of which to train only"
        )
    table = ablation.run(
        data,
        directory=runs or Path("runs") / f"ablation-{study}",
        base=ablation.STUDIES[study].base,
        steps={name: step for name, step in steps.items() if not only or name in only},
        seeds=range(seeds),
        epochs=epochs,
        votes=votes,
        precision=precision,
        cache=cache,
        verbose=1 if sys.stdout.isatty() else 2,
    )
    if out:
        write_table(table, out)
    typer.echo(table.to_string(index=False))


@app.command()
def imbalance(
    dataset: Annotated[str, typer.Argument(help="fer2013, facial_expressions or toyfaces.")],
    out: Annotated[Path, typer.Option(help="The CSV to write.")],
    data: Annotated[
        Path | None, typer.Option(help="Where the data set lies; toy faces need none.")
    ] = None,
    runs: Annotated[
        Path | None, typer.Option(help="A folder for the trainings [runs/imbalance-DATASET].")
    ] = None,
    network: Annotated[
        str,
        typer.Option(help="What makes the features: a published network, a path, or 'own'."),
    ] = "fer-compact",
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each way.")] = 3,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Of each training, in place of the data set's own.")
    ] = None,
    folds: Annotated[
        int, typer.Option(min=2, help="By person, for a data set without splits of its own.")
    ] = 3,
    only: Annotated[
        list[str] | None, typer.Option(help="Compare these ways only, and write no CSV.")
    ] = None,
    cache: CACHE = None,
) -> None:
    """Compare ways to even out classes on one footing; goes on where it was stopped."""
    from dataclasses import replace

    from emohelpers import datasets, imbalance, models, publishing
    from emohelpers.errors import ConfigurationError

    for what, asked, known in (
        ("data set", [dataset], imbalance.BASES),
        ("way", only or [], imbalance.WAYS),
    ):
        if set(asked) - set(known):
            raise ConfigurationError(
                f"no {what} {', '.join(sorted(set(asked) - set(known)))}: expected some of "
                f"{', '.join(known)}"
            )
    base = imbalance.BASES[dataset]
    base = replace(base, steps_per_epoch=steps or base.steps_per_epoch)
    faces = datasets.load(dataset, data, size=base.size, color=base.color, cache=cache)
    faces = faces.keep_classes(base.emotions)
    parts = [faces] if faces.table["split"].notna().any() else imbalance.folds(faces, folds)
    table = imbalance.run(
        parts,
        directory=runs or Path("runs") / f"imbalance-{dataset}",
        base=base,
        network=None
        if network == "own"
        else publishing.open_model(models.saved_folder(network)).model,
        ways={name: way for name, way in imbalance.WAYS.items() if not only or name in only},
        seeds=range(seeds),
        verbose=1 if sys.stdout.isatty() else 2,
    )
    if not only:
        write_table(table, out)
    shown = ["space", "way", "accuracy", "balanced_accuracy", "difference", "cpu_seconds"]
    typer.echo(table[shown].to_string(index=False))


@app.command()
def evaluate(
    model_dir: Annotated[Path, typer.Argument(help="A folder that 'train' wrote.")],
    data: Annotated[
        Path | None, typer.Option(help="Where the data set lies; toy faces need none.")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Which data set it is; the recipe's own without it.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="A CSV of expression labels, for utkface.")
    ] = None,
    votes: Annotated[
        Path | None, typer.Option(help="The FER+ votes, for networks that learned from them.")
    ] = None,
    views: Annotated[
        int, typer.Option(help="1; 2 with the mirror image; 10 with five crops of both.")
    ] = 1,
    crop: Annotated[
        float | None,
        typer.Option(help="The share of the side to cut off at each edge [as in training]."),
    ] = None,
    by: Annotated[
        str, typer.Option(help="Also assess by group: columns such as race,age_group,race+gender.")
    ] = "",
    cache: CACHE = None,
    write: Annotated[
        bool, typer.Option("--write", help="Also write the JSON object into MODEL_DIR.")
    ] = False,
    as_json: JSON = False,
) -> None:
    """Score a trained network by the protocol, with intervals."""
    from emohelpers import publishing

    with _standard_output_kept(as_json):
        saved = publishing.open_model(model_dir)
        given = {"labels": labels, "votes": votes}
        options: dict[str, Any] = {name: path for name, path in given.items() if path}
        source = dataset or saved.recipe["dataset"]
        faces = saved.load(source, data, crop=crop, cache=cache, **options)
        result = publishing.metrics(
            saved, faces, views=views, crop=crop, by=[name for name in by.split(",") if name]
        )
    if write:
        publishing.write_metrics(saved, result)
    if as_json:
        typer.echo(json.dumps(result))
        return
    typer.echo(
        f"{result['recipe']} ({result['parameters']:,} parameters) on {result['dataset']}, "
        f"{views} view{'s' if views > 1 else ''}, 95% intervals"
    )
    typer.echo(_scores_text(result["scores"]))
    for part, found in result.get("groups", {}).items():
        from emohelpers import fairness

        typer.echo(f"\n{part}\n\n{fairness.Assessment.from_dict(found).to_markdown()}")


@app.command()
def calibrate(
    model_dir: Annotated[Path, typer.Argument(help="A folder that 'train' wrote.")],
    data: Annotated[
        Path | None, typer.Option(help="Where its own data set lies; toy faces need none.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="A CSV of expression labels, for utkface.")
    ] = None,
    votes: Annotated[
        Path | None, typer.Option(help="The FER+ votes, for networks that learned from them.")
    ] = None,
    cache: CACHE = None,
    write: Annotated[
        bool, typer.Option("--write", help="Also write calibration.json into MODEL_DIR.")
    ] = False,
    as_json: JSON = False,
) -> None:
    """Fit a network's temperature on the validation split, and score it on the test split."""
    from emohelpers import evaluation, publishing

    with _standard_output_kept(as_json):
        saved = publishing.open_model(model_dir)
        given = {"labels": labels, "votes": votes}
        options: dict[str, Any] = {name: path for name, path in given.items() if path}
        faces = saved.load(saved.recipe["dataset"], data, cache=cache, **options)
        result = publishing.calibration(saved, faces)
    if write:
        publishing.write_calibration(saved, result)
    if as_json:
        typer.echo(json.dumps(result))
        return
    typer.echo(
        f"{result['recipe']}: temperature {result['temperature']:.3f}, fitted to "
        f"{result['fitted_n']:,} images of {result['fitted_on']}; on {result['n']:,} of "
        f"{result['scored_on']}, 95% intervals:"
    )
    typer.echo(evaluation.interval_text(evaluation.calibration_table(result)).to_string())


@app.command("transfer-matrix")
def transfer_matrix(
    fer2013: Annotated[Path, typer.Option(help="Where FER2013 lies.")],
    facial_expressions: Annotated[
        Path, typer.Option("--facial-expressions", help="Where facial_expressions lies.")
    ],
    utkface: Annotated[Path, typer.Option(help="Where UTKFace lies.")],
    labels: Annotated[Path, typer.Option(help="UTKFace: the labels of expression made by hand.")],
    out: Annotated[Path, typer.Option(help="The CSV to write.")],
    networks: Annotated[
        list[str] | None, typer.Argument(help="Published networks, or folders [all sources' own].")
    ] = None,
    cache: CACHE = None,
) -> None:
    """Score networks on the data sets of the others, over the classes that both know."""
    from emohelpers import evaluation, publishing

    smiles = {"dataset": "utkface", "path": utkface, "labels": labels, "cache": cache}
    table = publishing.transfer_matrix(
        networks or publishing.TRAVELLERS,
        [
            {"dataset": "fer2013", "path": fer2013, "cache": cache},
            {"dataset": "facial_expressions", "path": facial_expressions, "cache": cache},
            {**smiles, "crop": 0.0},
            {**smiles, "crop": 0.1},  # about as much room around a face as the others leave
        ],
    )
    write_table(table, out)
    shown = evaluation.interval_text(table)
    columns = ["network", "dataset", "crop", "seen", "task", "n", "balanced_accuracy", "difference"]
    typer.echo(shown[columns].to_string(index=False))


@app.command()
def combine(
    members: Annotated[list[Path], typer.Argument(help="Folders of networks.")],
    out: Annotated[Path, typer.Option(help="The folder to write to, beside theirs.")],
) -> None:
    """Make one network of several: the average of what they say."""
    from emohelpers import publishing

    saved = publishing.combine(members, directory=out)
    typer.echo(f"{out}: {saved.recipe['summary']}")


@app.command()
def report(
    folders: Annotated[
        list[Path] | None, typer.Argument(help="Folders of published networks [saved_models/*].")
    ] = None,
    update: Annotated[
        list[Path] | None,
        typer.Option(help="A Markdown file whose table between the markers is renewed."),
    ] = None,
    recipes: Annotated[
        bool,
        typer.Option("--recipes", help="What each recipe's authors reported, and what is ours."),
    ] = False,
    calibration: Annotated[
        bool,
        typer.Option("--calibration", help="How sure networks are, without and with temperature."),
    ] = False,
    as_json: JSON = False,
) -> None:
    """Print the figures of published networks, made from their metrics files, as a table."""
    from emohelpers import publishing
    from emohelpers.errors import ConfigurationError

    home, name = Path("saved_models"), "results"
    if recipes and calibration:
        raise ConfigurationError("--recipes with --calibration: expected one or the other")
    if recipes:
        from emohelpers.recipes import RECIPES

        if folders:
            raise ConfigurationError("--recipes with folders: expected one or the other")
        name, table = "recipes", publishing.recipes_table(home, RECIPES)
    elif calibration:
        found = folders or sorted(path.parent for path in home.glob("*/calibration.json"))
        name, table = "calibration", publishing.temperatures_table(found)
    else:
        found = folders or sorted({path.parent for path in home.glob("*/metrics*.json")})
        table = publishing.results_table(found)
    if as_json:
        typer.echo(json.dumps({name: table.to_dict("records")}))
    else:
        typer.echo(publishing.markdown(table))
    for path in update or []:
        publishing.renew_table(path, table, name=name)


def _scores_text(scores: dict[str, Any]) -> str:
    """Lay out the scores of each part: the overall figures, then those of each class."""
    from emohelpers import evaluation

    lines = []
    for part, score in scores.items():
        lines.append(f"\n{part}: {score['n']:,} images")
        for name in ("accuracy", "balanced_accuracy", "macro_f1"):
            figure = score[name]
            lines.append(
                f"  {name.replace('_', ' '):<18} {figure['value']:.4f} "
                f"({figure['low']:.4f} to {figure['high']:.4f})"
            )
        table = evaluation.per_class_table(score)[["n", "precision", "recall", "f1"]]
        lines.append(table.rename_axis(None).to_string(float_format="{:.3f}".format))
    return "\n".join(lines)


def main() -> None:
    """Run the command; a user's mistake is a message on standard error and exit status 1."""
    # TensorFlow reports a missing GPU as an error, which would bury the message.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        app(prog_name="emohelpers")
    except (EmohelpersError, OSError) as error:
        typer.echo(f"emohelpers: {error}", err=True)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
