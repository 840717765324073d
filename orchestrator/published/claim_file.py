"""The user's claims: small YAML files with the fields of a published claim."""

import datetime
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, Field, StringConstraints, ValidationError

from orchestrator.errors import RequestError, nearest, unknown
from orchestrator.published import names
from orchestrator.published.claim_rules import OWN
from orchestrator.published.collection import Claim, Code, Source
from orchestrator.record_files import first_mistake, read_given
from orchestrator.request import LARGEST_BATCH, Dtype, Phase, StrictRecord

LARGEST = 64 * 1024  # bytes
SUFFIXES = (".yaml", ".yml")
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
# A commit or tag that git cannot mistake for an option, and a day, a month or a year.
Revision = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z][0-9A-Za-z._/-]{0,99}$")]
Day = Annotated[str, StringConstraints(pattern=r"^(19|20)\d\d(-\d\d(-\d\d)?)?$")]
_QUOTED = re.compile(r"'([^']*)'")


def _text_of_date(value: object) -> object:
    # YAML reads 2024-05-01 as a date.
    return value.isoformat() if isinstance(value, datetime.date) else value


def _our_precision(value: object) -> object:
    return names.precision(value) if isinstance(value, str) else value


def _texts_of_options(value: object) -> object:
    # YAML reads on and off as booleans.
    if not isinstance(value, dict):
        return value
    return {
        key: ("on" if one else "off") if isinstance(one, bool) else str(one)
        for key, one in value.items()
    }


class ClaimSource(StrictRecord):
    """Where the number was published."""

    url: str = ""
    title: str = ""
    date: Annotated[str, BeforeValidator(_text_of_date)] | None = None
    publisher: str = "a file"


class ClaimCode(StrictRecord):
    """The source code that was measured: a commit or tag of a repository, and its date."""

    repository: Name
    folder: Name = "."
    revision: Revision | None = None
    date: Annotated[Day, BeforeValidator(_text_of_date)] | None = None


class ClaimFile(StrictRecord):
    """One claim. `value` is over all devices, `batch` per device, `gpus` 0 on a CPU.

    `options`, `steps` and `warmup` are those of `benchdock run`; `fingerprint` is the network's.
    """

    schema_version: Literal[1] = Field(default=1, alias="schema")
    id: Name | None = None
    model: Name
    framework: Name
    program: Name = OWN
    container: Name | None = None
    version: Name | None = None
    phase: Phase = "training"
    precision: Annotated[Dtype, BeforeValidator(_our_precision)] | None = "float32"
    gpu: Name | None = None
    gpus: Annotated[int, Field(ge=0, le=1024)] = 1
    system: Name | None = None
    batch: Annotated[int, Field(ge=1, le=LARGEST_BATCH)] | None = None
    value: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    unit: Literal["images/s", "samples/s", "ms/batch"] = "images/s"
    conditions: tuple[Name, ...] = ()
    network: Name | None = None
    code: ClaimCode | None = None
    source: ClaimSource = ClaimSource()
    options: Annotated[dict[str, str], BeforeValidator(_texts_of_options)] = Field(
        default_factory=dict
    )
    steps: Annotated[int, Field(ge=1)] | None = None
    warmup: Annotated[int, Field(ge=0)] | None = None
    fingerprint: Name | None = None

    def claim(self, name: str) -> Claim:
        """Return the claim with our spelling of names; `name` is used if it has no id."""
        on_cpu = self.gpus == 0
        return Claim(
            id=self.id or name,
            source=Source(**self.source.model_dump()),
            model=names.model(self.model),
            framework=names.framework(self.framework),
            program=self.program,
            container=self.container,
            version=self.version,
            phase=self.phase,
            precision=self.precision,
            gpu=self.gpu if on_cpu or self.gpu is None else names.gpu(self.gpu),
            gpus=self.gpus,
            system=self.system,
            batch=self.batch,
            value=self.value,
            unit="ms/batch" if self.unit == "ms/batch" else "images/s",
            conditions=self.conditions,
            network=self.network,
            suspect=(),
            code=Code(**self.code.model_dump()) if self.code else None,
        )


_RECORDS: dict[str, type[StrictRecord]] = {"source": ClaimSource, "code": ClaimCode}


class _Loader(yaml.SafeLoader):
    """Loads only plain values: no duplicate keys and no aliases, which make short files huge."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not supported here")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise yaml.YAMLError(f"duplicate key {twice!r}")
        return super().construct_mapping(node, deep)


def is_claim_file(word: str) -> bool:
    """Whether a word on the command line names a file and not a claim of the collection."""
    return word.endswith(SUFFIXES) or "/" in word


def read(path: Path) -> ClaimFile:
    """Read a claim. Raises RequestError that says where the mistake is."""
    data = read_given(path, LARGEST, so=", so it is not a claim")
    try:
        content = yaml.load(data, Loader=_Loader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise RequestError(f"{path} is not valid YAML: {_said(error)}") from None
    if not isinstance(content, dict):
        raise RequestError(
            f"{path} does not contain a claim", hint="write fields such as model: resnet50"
        )
    try:
        return ClaimFile.model_validate(content)
    except ValidationError as error:
        raise _mistake(path, error) from None


def _mistake(path: Path, error: ValidationError) -> RequestError:
    # A mistyped key is also a missing one; the typing mistake is more useful.
    for one in error.errors(include_url=False):
        key = str(one["loc"][-1]) if one["loc"] else ""
        if one["type"] == "extra_forbidden":
            record = _RECORDS[str(one["loc"][0])] if len(one["loc"]) > 1 else ClaimFile
            near = nearest(key, record.model_fields)
            hint = f"did you mean {near!r}?" if near else ""
            return RequestError(f"{path}: unknown key {key[:60]!r}", hint=hint)
        if one["type"] == "literal_error" and isinstance(one["input"], str):
            possible = _QUOTED.findall(one["ctx"]["expected"])
            mistake = unknown(key, one["input"], possible)
            return RequestError(f"{path}: {mistake.what}", hint=mistake.hint)
        if one["type"] == "string_too_short":
            field = one["loc"][0]
            return RequestError(f"{path}: {field} is empty", hint="write a name there")
        if one["type"] == "string_type":
            return RequestError(
                f"{path}: {key} is not text", hint=f"put it in quotes: {key}: '...'"
            )
    return RequestError(f"{path}: {first_mistake(error)}")


def _said(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error) or type(error).__name__
    where = f" in line {mark.line + 1}" if mark else ""
    text = " ".join(f"{problem}{where}".split())[:200]
    return text if text.isprintable() else ascii(text)
