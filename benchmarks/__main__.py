"""Run every module of this folder: ``python -m benchmarks [--data PATH] [NAME ...]``.

A benchmark is a module with ``main(data: Path | None) -> None``, which prints its own table and
says so when it needs real data that was not given.
"""

import time
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Annotated

import typer


def run(
    names: Annotated[list[str] | None, typer.Argument(help="Which; all unless given.")] = None,
    data: Annotated[Path | None, typer.Option(exists=True, help="The real FER2013's CSV.")] = None,
) -> None:
    """Run the benchmarks one after another, so that none slows another down."""
    known = [
        module.name
        for module in iter_modules([str(Path(__file__).parent)])
        if not module.name.startswith("_")
    ]
    unknown = sorted(set(names or ()) - set(known))
    if unknown:
        raise typer.BadParameter(
            f"no benchmark {', '.join(unknown)}: expected some of {', '.join(known)}"
        )
    for name in names or known:
        print(f"== {name}")
        started = time.perf_counter()
        import_module(f"benchmarks.{name}").main(data)
        print(f"   ({time.perf_counter() - started:.0f} s)\n")


if __name__ == "__main__":
    typer.run(run)
