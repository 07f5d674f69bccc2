"""`gradtop.toml`: limits of the rules, and profiles for home-made log lines, from a log directory and from the user.

[limits]
vanish_rows = 100

[[profile]]
name = "my loop"
regex = '^it (?P<step>\\d+) L=(?P<loss>\\S+)'
sample = "it 12 L=2.5"
"""

import dataclasses
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gradtop.config import Limits, Profile, Settings
from gradtop.errors import ConfigError

NAME = "gradtop.toml"
"""The name of a settings file."""
MAX_BYTES = 256 * 1024
"""A larger file is no settings file."""
_TABLES = ("limits", "profile")
_PROFILE = ("name", "regex", "sample", "names")
_LIMITS = {field.name: field for field in dataclasses.fields(Limits)}


def settings_for(paths: Sequence[Path], environ: Mapping[str, str], **typed: float | None) -> Settings:
    """The settings for the logs at `paths`: typed limits, over the nearest file above them, over the user's own file.

    Args:
        paths: what is watched; the first one's directory and those above it are searched for a file.
        environ: the environment, for the user's configuration directory.
        typed: limits from the command line; None leaves one as it is.

    Raises:
        ConfigError: a file cannot be read, or holds a key or a value that is not known.
    """
    limits: dict[str, Any] = {}
    profiles: list[Profile] = []
    for path in _files(paths, environ):
        document, text = _document(path)
        limits |= dict(_limits(document.get("limits", {}), path, text))
        # Those beside the logs are tried before the user's own.
        profiles = [*_profiles(document.get("profile", []), path, text), *profiles]
    limits |= {name: value for name, value in typed.items() if value is not None}
    return Settings(limits=Limits(**limits), profiles=tuple(profiles))


def _files(paths: Sequence[Path], environ: Mapping[str, str]) -> Iterator[Path]:
    """The settings files that exist, the strongest last."""
    home = environ.get("HOME", "")
    base = environ.get("XDG_CONFIG_HOME") or (f"{home}/.config" if home else "")
    own = Path(base) / "gradtop" / NAME if base else None
    if own is not None and _exists(own):
        yield own
    near = next((folder / NAME for folder in _above(paths) if _exists(folder / NAME)), None)
    if near is not None and near != own:
        yield near


def _above(paths: Sequence[Path]) -> Iterator[Path]:
    """The directory of the first path, and all above it."""
    first = next((path for path in paths if str(path) != "-"), Path())
    try:
        start = first.absolute()
        folder = start if start.is_dir() else start.parent
    except (OSError, ValueError):
        return
    yield from (folder, *folder.parents)


def _exists(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _document(path: Path) -> tuple[dict[str, Any], str]:
    """The tables of a settings file, all of them known, and its text."""
    import tomllib

    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ConfigError(f"{path}: larger than {MAX_BYTES // 1024} KiB: this is no settings file")
        text = data.decode("utf-8")
        document = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}; remove it or make it readable") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: is no valid TOML: {error}") from None
    for key in document:
        if key not in _TABLES:
            raise _unknown(path, text, key, _TABLES, "table")
    return document, text


def _limits(table: object, path: Path, text: str) -> Iterator[tuple[str, float | int]]:
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: limits is a table: write [limits], and below it NAME = NUMBER")
    for key, value in table.items():
        if key not in _LIMITS:
            raise _unknown(path, text, key, _LIMITS, "limit")
        whole = _LIMITS[key].type is int
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
            kind = "a whole number" if whole else "a number"
            raise ConfigError(f"{_place(path, text, key)}: {key} is {kind}, not {value!r:.40}")
        if not math.isfinite(value) or value <= 0:
            raise ConfigError(f"{_place(path, text, key)}: {key} is a number above 0, not {value!r:.40}")
        yield key, value if whole else float(value)


def _profiles(found: object, path: Path, text: str) -> Iterator[Profile]:
    if not isinstance(found, list):
        raise ConfigError(f"{path}: profile is a list of tables: write [[profile]] with two brackets")
    lines = [number for number, line in enumerate(text.splitlines(), 1) if re.match(r"\s*\[\[\s*profile\s*\]\]", line)]
    for i, table in enumerate(found):
        origin = f"{path}, line {lines[i]}" if i < len(lines) else f"{path}, profile {i + 1}"
        yield _profile(table, path, text, origin)


def _profile(table: object, path: Path, text: str, origin: str) -> Profile:
    if not isinstance(table, dict):
        raise ConfigError(f"{origin}: a profile is a table: write [[profile]], and below it name, regex and sample")
    for key in table:
        if key not in _PROFILE:
            raise _unknown(path, text, key, _PROFILE, "key of a profile")
    values: dict[str, str] = {}
    for key in ("name", "regex", "sample"):
        value = table.get(key)
        if not isinstance(value, str) or not value.strip():
            raise ConfigError(f"{origin}: the profile has no {key}; write {key} = '...'")
        values[key] = value
    names = table.get("names", {})
    if not isinstance(names, dict) or not all(isinstance(name, str) and name.strip() for name in names.values()):
        raise ConfigError(f"{origin}: names is a table of GROUP = 'metric name'")
    return Profile(names=tuple(names.items()), origin=origin, **values)


def _unknown(path: Path, text: str, key: str, known: Iterable[str], what: str) -> ConfigError:
    import difflib

    names = list(known)
    near = difflib.get_close_matches(key, names, 1, 0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(names)}"
    return ConfigError(f"{_place(path, text, key)}: {key!r} is not a known {what}; {hint}")


def _place(path: Path, text: str, key: str) -> str:
    """The file, with the line of a key where it is found."""
    pattern = re.compile(rf"\s*(?:\[+\s*)?[\"']?{re.escape(key)}[\"']?\s*[\]=.]")
    line = next((number for number, line in enumerate(text.splitlines(), 1) if pattern.match(line)), None)
    return f"{path}, line {line}" if line is not None else str(path)
