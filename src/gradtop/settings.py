"""`gradtop.toml`, for a log directory or a user: limits and choice of rules, home-made log lines, the app's looks.

[limits]
vanish_rows = 100

[rules]
mute = ["loss_plateau"]
profile = "rl"

[[profile]]
name = "my loop"
regex = '^it (?P<step>\\d+) L=(?P<loss>\\S+)'
sample = "it 12 L=2.5"

[app]
theme = "light"

[keys]
"overview.zoom" = "f"
"""

import dataclasses
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gradtop.catalogue import KINDS, PRECEDENCE
from gradtop.config import DARK, PROFILES, THEMES, Limits, Profile, Settings
from gradtop.errors import ConfigError

NAME = "gradtop.toml"
"""The name of a settings file."""
MAX_BYTES = 256 * 1024
"""A larger file is no settings file."""
_TABLES = ("limits", "rules", "profile", "app", "keys")
_RULES = ("mute", "profile")
_PROFILE = ("name", "regex", "sample", "names")
_LIMITS = {one.name: one for one in dataclasses.fields(Limits) if one.name != "profile"}
_MOST_ROWS = 1_000_000
"""The most of a limit in rows, episodes or evaluations: windows of rows are kept."""
_LEAST = {"burn_in_rows": 2, "oscillation_rows": 3, "accumulate_rows": 2}
"""Rows below which there is nothing to compare; 1 for all others."""
_MOST = {"no_learning_fall": 1}
"""A loss above 0 cannot fall by all of it."""
_KINDS = tuple(kind for kind in PRECEDENCE if kind in KINDS)


@dataclass(frozen=True, slots=True)
class Typed:
    """What the user typed: it goes before every file."""

    grad_floor: float | None = None
    """The limit of that name."""
    profile: str | None = None
    """One of `PROFILES`."""
    mute: tuple[str, ...] = ()
    """Kinds that are muted besides those that a file mutes."""
    rules: Path | None = None
    """A further settings file, which goes before the others."""

    def set(self) -> Iterator[tuple[str, Any, str]]:
        """(name, value, option) of what was typed, the muted kinds apart."""
        if self.grad_floor is not None:
            yield "grad_floor", self.grad_floor, "--grad-floor"
        if self.profile is not None:
            yield "profile", self.profile, "--profile"


@dataclass(slots=True)
class _Gathered:
    """What the files say, the later ones over the earlier ones, and where."""

    limits: dict[str, Any] = field(default_factory=dict)
    muted: frozenset[str] = frozenset()
    profiles: tuple[Profile, ...] = ()
    app: dict[str, str] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)


def settings_for(paths: Sequence[Path], environ: Mapping[str, str], typed: Typed | None = None) -> Settings:
    """What was typed, over `--rules`, over the nearest file above the logs at `paths`, over the user's own file.

    Args:
        paths: what is watched; the first one's directory and those above it are searched for a file.
        environ: the environment, for the user's configuration directory.
        typed: what the command line says.

    Raises:
        ConfigError: a file cannot be read, or holds a key or a value that is not known.
    """
    return _settings([*_files(paths, environ), *([typed.rules] if typed and typed.rules else [])], typed or Typed())


def settings_typed(typed: Typed) -> Settings:
    """The settings of the command line alone, for when the disk with the files does not answer."""
    return _settings([], typed)


def nearest(key: str, known: Iterable[str]) -> str:
    """`did you mean 'loss_spike'?`, or all that are known where none looks like it."""
    import difflib

    names = list(known)
    near = difflib.get_close_matches(key, names, 1, 0.5)
    return f"did you mean {near[0]!r}?" if near else f"known are {', '.join(names)}"


def known_kind(name: str) -> str:
    """The name of a kind of findings, as it is.

    Raises:
        ConfigError: there is no such kind; it says which one looks like it.
    """
    if name not in KINDS:
        raise ConfigError(f"{name!r:.60} is not a known kind; {nearest(name, _KINDS)}")
    return name


def _settings(files: Iterable[Path], typed: Typed) -> Settings:
    gathered = _Gathered()
    for path in files:
        _gather(gathered, path)
    for name, value, option in typed.set():
        gathered.limits[name], gathered.origins[name] = value, option
    if typed.mute:
        gathered.muted |= {known_kind(name) for name in typed.mute}
        gathered.origins["mute"] = " and ".join(filter(None, (gathered.origins.get("mute"), "--mute")))
    return Settings(
        limits=Limits(**gathered.limits),
        profiles=gathered.profiles,
        muted=gathered.muted,
        theme=gathered.app.get("theme", DARK),
        keys=gathered.keys,
        origins=gathered.origins,
    )


def _gather(gathered: _Gathered, path: Path) -> None:
    """Put what a file says over what is there; it says its muted kinds as a whole."""
    document, text = _document(path)
    rules = _table(document, "rules", path)
    limits: dict[str, Any] = dict(_limits(_table(document, "limits", path), path, text))
    limits |= _chosen_profile(rules, path, text)
    gathered.limits |= limits
    # A table [[profile]] is something else.
    gathered.origins |= {name: _place(path, text, name, "=") for name in limits}
    if "mute" in rules:
        gathered.muted = frozenset(_muted(rules["mute"], path, text))
        gathered.origins["mute"] = _place(path, text, "mute")
    gathered.app |= _app(_table(document, "app", path), path, text)
    keys = dict(_keys(_table(document, "keys", path), path, text))
    gathered.keys |= keys
    gathered.origins |= {f"keys.{name}": _place(path, text, name) for name in keys}
    # Those of the stronger file are tried first.
    gathered.profiles = (*_profiles(document.get("profile", []), path, text), *gathered.profiles)


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
    # Besides its own errors: an integer of thousands of digits.
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: is no valid TOML: {error}") from None
    for key in document:
        if key not in _TABLES:
            raise _unknown(path, text, key, _TABLES, "table")
    return document, text


def _table(document: Mapping[str, Any], name: str, path: Path) -> dict[str, Any]:
    table = document.get(name, {})
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: {name} is a table: write [{name}], and below it NAME = VALUE")
    return table


def _limits(table: Mapping[str, Any], path: Path, text: str) -> Iterator[tuple[str, float | int]]:
    for key, value in table.items():
        if key not in _LIMITS:
            raise _unknown(path, text, key, _LIMITS, "limit")
        whole = _LIMITS[key].type is int
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
            kind = "a whole number" if whole else "a number"
            raise ConfigError(f"{_place(path, text, key)}: {key} is {kind}, not {value!r:.40}")
        least, most = _LEAST.get(key, 1 if whole else 0), _MOST.get(key, _MOST_ROWS if whole else math.inf)
        if not (least <= value <= most if whole else least < value < most):
            known = f"from {least} to {most:,}" if whole else f"above 0 and below {most}" if key in _MOST else "above 0"
            raise ConfigError(f"{_place(path, text, key)}: {key} is a number {known}, not {value!r:.40}")
        yield key, value if whole else float(value)


def _chosen_profile(rules: Mapping[str, Any], path: Path, text: str) -> dict[str, str]:
    """What [rules] says of the kind of training; it holds no key that is not known."""
    for key in rules:
        if key not in _RULES:
            raise _unknown(path, text, key, _RULES, "key of [rules]")
    if "profile" not in rules:
        return {}
    chosen = rules["profile"]
    if chosen not in PROFILES:
        hint = nearest(chosen, PROFILES) if isinstance(chosen, str) else f"known are {', '.join(PROFILES)}"
        raise ConfigError(f"{_place(path, text, 'profile', '=')}: {chosen!r:.40} is not a known profile; {hint}")
    return {"profile": chosen}


def _muted(kinds: object, path: Path, text: str) -> Iterator[str]:
    if not isinstance(kinds, list) or not all(isinstance(kind, str) for kind in kinds):
        raise ConfigError(f"{_place(path, text, 'mute')}: mute is a list of kinds: write mute = ['loss_plateau']")
    for kind in kinds:
        try:
            yield known_kind(kind)
        except ConfigError as error:
            raise ConfigError(f"{_place(path, text, 'mute')}: {error}") from None


def _app(table: Mapping[str, Any], path: Path, text: str) -> dict[str, str]:
    """What [app] says of the looks of the app."""
    for key, value in table.items():
        if key != "theme":
            raise _unknown(path, text, key, ("theme",), "key of [app]")
        if value not in THEMES:
            hint = nearest(value, THEMES) if isinstance(value, str) else f"known are {', '.join(THEMES)}"
            raise ConfigError(f"{_place(path, text, key, '=')}: {value!r:.40} is not a known theme; {hint}")
    return dict(table)


def _keys(table: Mapping[str, Any], path: Path, text: str, above: str = "") -> Iterator[tuple[str, str]]:
    """Names and keys, written with dots or as tables in tables; whether there are such names is for the app to say."""
    for part, value in table.items():
        name = f"{above}{part}"
        if isinstance(value, dict) and not above:
            yield from _keys(value, path, text, f"{name}.")
        elif isinstance(value, str) and value.strip():
            yield name, value
        else:
            raise ConfigError(f'{_place(path, text, name)}: {name} is bound to {value!r:.40}; write "{name}" = "f"')


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
    return ConfigError(f"{_place(path, text, key)}: {key!r} is not a known {what}; {nearest(key, known)}")


def _place(path: Path, text: str, key: str, after: str = "[]=.]") -> str:
    """The file, with the line of a key where it is found; `after` is what may come after it, as a pattern."""
    pattern = re.compile(rf"\s*(?:\[+\s*)?[\"']?{re.escape(key)}[\"']?\s*{after}")
    line = next((number for number, line in enumerate(text.splitlines(), 1) if pattern.match(line)), None)
    return f"{path}, line {line}" if line is not None else str(path)
