"""`make mutants`: every listed error of every backend; exit status 1 if one survives."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from orchestrator.runtimes.docker.client import Engine
from tests.engine import in_image
from tests.mutants import mutant


def survivors(framework: str, image: str) -> int:
    """Try a framework's mutants and print a line each; return how many parity does not find."""
    listed, alive = mutant.load(framework), 0
    with tempfile.TemporaryDirectory() as folder:
        tree = mutant.copied(Path(folder))
        whole = mutant.compare(image, framework, tree, [(m.level, m.model) for m in listed])
    print(
        f"{framework}: unchanged {'holds' if whole.held else 'DOES NOT HOLD'}: {whole.detail}",
        flush=True,
    )
    for one in listed:
        with tempfile.TemporaryDirectory() as folder:
            tree = mutant.copied(Path(folder))
            mutant.apply(one, tree)
            outcome = mutant.compare(image, framework, tree, [(one.level, one.model)])
        alive += outcome.held
        print(f"{framework:12} {one.name:28} {outcome.word:9} {outcome.detail[:110]}", flush=True)
    return alive + (not whole.held)


def main() -> int:
    """Try all frameworks, or those named on the command line."""
    wanted = sys.argv[1:] or list(mutant.IMAGES)
    if strange := set(wanted) - set(mutant.IMAGES):
        print(f"no mutants of {', '.join(sorted(strange))}; there are {', '.join(mutant.IMAGES)}")
        return 2
    with Engine.connect() as engine:
        alive = sum(survivors(name, in_image.ready(engine, mutant.IMAGES[name])) for name in wanted)
    print(f"{alive} survived" if alive else "none survived")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
