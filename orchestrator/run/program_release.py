"""Checks what the release of a program in --source supports, by reading its Python files.

Releases have different flags. Most refuse an unknown flag; some, such as tf_cnn_benchmarks of
TensorFlow 1.5 (`tf.app.run`), accept and ignore it, so the result would state something that was
not done.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from orchestrator.errors import RequestError, nearest
from orchestrator.frameworks.record import FLAG, Framework
from orchestrator.request import Request
from orchestrator.units import counted

# Quoted names, as in `add_argument`, in `DEFINE_...` of TensorFlow and absl, and in tables of
# flags.
_NAME = re.compile(r"[\"']-{0,2}([A-Za-z][\w-]*)[\"']")
_DEFINES = re.compile(r"\badd_argument\(|\bDEFINE_\w+\(|\bParamSpec\(")
_ABSL = re.compile(r"^\s*(?:from absl\b|import absl\b)", re.MULTILINE)
# absl's flags, which programs have that start with its `app.run`.
_ABSLS_OWN = frozenset(
    (
        *("alsologtostderr", "flagfile", "log_dir", "logger_levels", "logtostderr", "pdb"),
        *("only_check_args", "pdb_post_mortem", "profile_file", "run_with_pdb", "undefok"),
        *("run_with_profiling", "showprefixforinfo", "stderrthreshold", "v", "verbosity"),
        "use_cprofile_for_profiling",
    )
)
# Larger ones are skipped: no release of these programs has any.
_MOST_FILES = 2000
_LARGEST = 4 * 2**20  # bytes of one file


def check(row: Framework, request: Request) -> None:
    """Refuse options, flags and numbers of steps that the release in --source does not have.

    If its files cannot be read, the program must refuse them itself. Raises RequestError.
    """
    assert request.source is not None
    if row.vendor is None or not row.vendor.entry:
        return
    _check_steps(row, request, request.source / row.vendor.entry)
    wanted = dict(_wanted(row, request.options))
    if not wanted:
        return
    known = _flags(request.source)
    for flag, option in wanted.items():
        if known and not _is_known(flag, known):
            raise _unknown(row, flag, option, known)


def _check_steps(row: Framework, request: Request, entry: Path) -> None:
    if request.steps is None or not row.step_rules.least_steps_where:
        return
    text = _text(entry)
    for mark, least in row.step_rules.least_steps_where.items():
        if mark in text and request.steps < least:
            raise RequestError(
                f"this release of {row.name} prints no rate for {counted(request.steps, 'step')}",
                hint=f"use --steps {least} or more",
            )


def _wanted(row: Framework, options: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the flags that options need, each with the option."""
    for key, text in options.items():
        if key.startswith(FLAG):
            yield key.removeprefix(FLAG), key
        elif key in row.options and text != row.options[key].default:
            needs = row.options[key].needs
            if flag := needs.get(text) or needs.get(""):
                yield flag, f"{key}={text}"


def _flags(folder: Path) -> frozenset[str]:
    """Return what the Python files of a folder may define as flags; nothing if none does."""
    found: set[str] = set()
    defines = False
    for number, path in enumerate(_python_files(folder)):
        if number >= _MOST_FILES:
            return frozenset()
        text = _text(path)
        defines = defines or bool(_DEFINES.search(text))
        found.update(_NAME.findall(text))
        if _ABSL.search(text):
            found |= _ABSLS_OWN
    return frozenset(found) if defines else frozenset()


def _python_files(folder: Path) -> Iterator[Path]:
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(where) / name for name in sorted(files) if name.endswith(".py"))


def _text(path: Path) -> str:
    """Return a file's text, "" if it cannot be read or is too large."""
    try:
        return path.read_text(errors="replace") if path.stat().st_size <= _LARGEST else ""
    except OSError:
        return ""


def _is_known(flag: str, known: frozenset[str]) -> bool:
    """Whether it is a flag's name, or its negation, such as `noxla` or `no-xla`."""
    negated = (flag.removeprefix(prefix) for prefix in ("no", "no_", "no-"))
    return flag in known or not known.isdisjoint(negated)


def _unknown(row: Framework, word: str, option: str, known: frozenset[str]) -> RequestError:
    if not option.startswith(FLAG):
        return RequestError(
            f"the {row.name} in --source does not have {word}, which --option {option} needs",
            hint=f"remove --option {option}",
        )
    near = nearest(word, known)
    return RequestError(
        f"the {row.name} in --source has no flag --{word}",
        hint=f"did you mean {FLAG}{near}?" if near else f"remove --option {option}",
    )
