"""Settings from TOML and to TOML, checked by name and kind."""

import dataclasses
import json
import math
import sys
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import SettingError
from .config import GONE, RENAMED, RunConfig

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Table = dict[str, Any]

CONFIGS = Path(__file__).parent / "configs"
"""Settings that come with the package: a folder a family, a file a stage."""
STAGES = (1, 2, 3)


def load_config(path: Path, changes: Mapping[str, Any] | None = None) -> RunConfig:
    """Read a run's settings.

    Args:
        path: a TOML file.
        changes: values that replace the file's, by dotted name: `{"losses.pixel": 2.0}`.

    Raises:
        SettingError: not TOML, an unknown or missing setting, or a value of the wrong kind.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingError(f"{path}: cannot be read as TOML: {error}") from error
    for name, value in (changes or {}).items():
        _put(values, name, value)
    _refuse_two_meanings(values, path)
    return build(RunConfig, values, str(path))


def _refuse_two_meanings(values: Table, path: Path) -> None:
    """`commitment` once meant `code_feature` too: a file that means that must not go unheeded.

    Raises:
        SettingError: a stage II or III whose losses name the one and not the other.
    """
    losses = values.get("losses")
    if values.get("stage") == 1 or not isinstance(losses, dict):
        return
    if "commitment" in losses and "code_feature" not in losses:
        raise SettingError(
            f"{path}: losses.commitment is stage I's alone; the weight of L_code_feat' in stages "
            "II and III is called 'code_feature' now: rename it"
        )


def stages_of(name: str) -> tuple[int, ...]:
    """The stages that a folder or a family has settings for; all of them if there is no such.

    A variant made from a trained model has the last stage alone.
    """
    folder = Path(name) if Path(name).is_dir() else CONFIGS / name
    return tuple(s for s in STAGES if (folder / f"stage{s}.toml").is_file()) or STAGES


def find_config(stage: int, name: str) -> Path:
    """The file of a stage's settings: a file, a folder, or a family that comes with the package.

    Raises:
        SettingError: neither; the message names the families.
    """
    path = Path(name)
    if path.is_file():
        return path
    if (own := path / f"stage{stage}.toml").is_file():
        return own
    shipped = CONFIGS / name / f"stage{stage}.toml"
    if path.name == name and shipped.is_file():
        return shipped
    families = ", ".join(sorted(each.name for each in CONFIGS.iterdir() if each.is_dir()))
    reason = "has no settings for this stage" if (CONFIGS / name).is_dir() else "there is no such"
    raise SettingError(
        f"{name}: {reason} file or family; give a TOML file, or for stage {stage} one of {families}"
    )


def parse_value(text: str) -> Any:
    """A value as the command line gives it: TOML, or else plain text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def to_toml(config: Any) -> str:
    """All settings, defaults too, as a TOML file that gives the same config."""
    return "\n".join(_lines(config, ""))


def build(kind: Any, values: Table, where: str) -> Any:
    """Make the dataclass `kind` of a table, its fields that are dataclasses of sub-tables.

    Raises:
        SettingError: an unknown or missing setting, or a value of the wrong kind.
    """
    known = typing.get_type_hints(kind)
    unknown = sorted(set(values) - set(known))
    if unknown:
        wrong, now = unknown[0], RENAMED.get(unknown[0])
        if now in known:
            raise SettingError(f"{where}: {wrong} is called {now!r} now: rename it")
        if unknown[0] in GONE:
            raise SettingError(f"{where}: {wrong} is no more ({GONE[unknown[0]]}): delete it")
        raise SettingError(f"{where}: unknown setting {wrong}; known are {sorted(known)}")
    converted = {
        name: _convert(known[name], value, f"{where}: {name}") for name, value in values.items()
    }
    try:
        return kind(**converted)
    except SettingError as error:
        raise SettingError(f"{where}: {error}") from error
    except TypeError as error:  # a setting without a default is missing
        raise SettingError(f"{where}: {error}") from error


def _convert(kind: Any, value: Any, where: str) -> Any:
    """A TOML value as the field wants it.

    Raises:
        SettingError: a value of the wrong kind.
    """
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise SettingError(f"{where} must be a table, got {value}")
        return build(kind, value, where)
    if typing.get_origin(kind) is tuple:
        return _convert_list(typing.get_args(kind), value, where)
    accepted = (int, float) if kind is float else kind
    if not isinstance(value, accepted) or isinstance(value, bool) is not (kind is bool):
        raise SettingError(f"{where} must be {_word(kind)}, got {value}")
    if kind is float and not math.isfinite(value):
        raise SettingError(f"{where} must be a finite number, got {value}")
    return float(value) if kind is float else value


def _convert_list(kinds: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise SettingError(f"{where} must be a list, got {value}")
    if kinds[-1] is ...:
        kinds = (kinds[0],) * len(value)
    if len(kinds) != len(value):
        raise SettingError(f"{where} must have {len(kinds)} values, got {value}")
    return tuple(_convert(kind, each, where) for kind, each in zip(kinds, value, strict=True))


def _word(kind: Any) -> str:
    if isinstance(kind, types.UnionType):
        return str(kind)
    return {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}[kind]


def _put(values: Table, name: str, value: Any) -> None:
    *tables, last = name.split(".")
    for table in tables:
        inner = values.setdefault(table, {})
        if not isinstance(inner, dict):
            raise SettingError(f"{name}: {table!r} is no table")
        values = inner
    values[last] = value


def _lines(config: Any, prefix: str) -> Iterator[str]:
    tables = {}
    for item in dataclasses.fields(config):
        value = getattr(config, item.name)
        if dataclasses.is_dataclass(value):
            tables[item.name] = value
        else:
            yield f"{item.name} = {_text(value)}"
    for name, table in tables.items():
        yield f"\n[{prefix}{name}]"
        yield from _lines(table, f"{prefix}{name}.")


def _text(value: Any) -> str:
    """A TOML value; its texts, numbers and lists are written as JSON's are."""
    return json.dumps(value)
