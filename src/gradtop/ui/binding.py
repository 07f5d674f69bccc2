"""Keys that the user binds anew, `"overview.zoom" = "f"` below `[keys]` in gradtop.toml: which, and conflicts."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from textual.keys import _character_to_key

from gradtop.config import Settings
from gradtop.errors import ConfigError
from gradtop.settings import nearest
from gradtop.ui.keys import TABLE, Key, Table

NAMED = (
    *("enter", "escape", "tab", "space", "backspace", "delete", "insert", "home", "end", "pageup", "pagedown"),
    *("up", "down", "left", "right"),
    *(f"f{i}" for i in range(1, 25)),
)
"""Keys that are no character."""
MODIFIERS = ("alt", "ctrl", "shift")
_SAME = {"ctrl+i": "tab", "ctrl+m": "enter", "ctrl+left_square_bracket": "escape"}
"""What a terminal cannot tell apart."""
_LAST_WAY_OUT = "ctrl+c"
_CHARACTERS = {_character_to_key(chr(code)): chr(code) for code in range(0x21, 0x7F)}
"""`slash` is `/`."""
_SHOWN = {"up": "↑", "down": "↓", "left": "←", "right": "→", "escape": "esc", "pageup": "pgup", "pagedown": "pgdn"}


def rebound(settings: Settings) -> tuple[Key, ...]:
    """The table with the user's own keys.

    Raises:
        ConfigError: there is no such key or nothing of that name to bind, or two things would have the same key.
    """
    if not settings.keys:
        return TABLE
    known = [key.id for key in TABLE]
    for name in settings.keys:
        if name not in known:
            raise ConfigError(
                f"{_place(settings, name)}: {name!r:.60} is nothing that has a key; {nearest(name, known)}"
            )
    table = tuple(_bound(key, settings) if key.id in settings.keys else key for key in TABLE)
    for problem in _conflicts(table, settings):
        raise ConfigError(problem)
    return table


def keymap(table: Table) -> dict[str, str]:
    """What differs from the table as it is, for the toolkit."""
    return {key.id: key.keys for key, usual in zip(table, TABLE, strict=True) if key is not usual}


def _bound(key: Key, settings: Settings) -> Key:
    names = _parted(settings.keys[key.id])
    try:
        bound = [canonical(name) for name in names]
    except ValueError as error:
        raise ConfigError(f"{_place(settings, key.id)}: {error}") from None
    if _LAST_WAY_OUT in key.keys.split(",") and _LAST_WAY_OUT not in bound:
        bound.append(_LAST_WAY_OUT)
    return replace(key, keys=",".join(bound), shown=shown(bound[0]))


def _parted(names: str) -> list[str]:
    """`f, F` as its two names; a comma alone is a key."""
    return [","] if names.strip() == "," else [name.strip() for name in names.split(",")]


def canonical(name: str) -> str:
    """The toolkit's name of a key.

    Raises:
        ValueError: no key has this name; it says what is meant, maybe.
    """
    # The plus sign is a key as well as what joins keys.
    *modifiers, last = [*name[:-1].rstrip("+").split("+"), "+"] if name.endswith("+") else name.split("+")
    found = {modifier.lower() for modifier in modifiers if modifier}
    key = _character_to_key(last) if len(last) == 1 else last.lower()
    known = key in NAMED or key in _CHARACTERS or (len(last) == 1 and last.isprintable() and not last.isspace())
    if not known or not found <= set(MODIFIERS):
        raise ValueError(f"{name!r:.40} is no key; {_nearest(name)}")
    if len(key) == 1 and key.isalpha():
        # No terminal tells ctrl+F from ctrl+f, and shift+f is F.
        key = key.lower() if found - {"shift"} else key.upper() if found else key
        found -= {"shift"}
    return _SAME.get("+".join([*sorted(found), key]), "+".join([*sorted(found), key]))


def _nearest(name: str) -> str:
    """A key that looks like it, or what there is."""
    near = nearest(name.lower(), (*NAMED, "ctrl+f", "alt+f"))
    return near if "mean" in near else "write one character, or a name such as enter, pageup, f5 or ctrl+f"


def shown(key: str) -> str:
    """A key as the footer prints it."""
    *modifiers, last = key.split("+")
    return "+".join([*modifiers, _SHOWN.get(last) or _CHARACTERS.get(last) or last])


def _conflicts(table: Table, settings: Settings) -> Iterator[str]:
    """What has a key that something else has in the same room; said of the one that was bound anew."""
    taken: dict[tuple[str, str], Key] = {}
    for key in sorted(table, key=lambda key: key.id in settings.keys):
        for name in key.keys.split(","):
            for other in _holders(taken, key.room, name):
                yield (
                    f"{_place(settings, key.id)}: {shown(name)!r} is the key of {other.id!r} ({other.help}) already; "
                    f"choose another one, or bind {other.id!r} anew too"
                )
            taken[key.room, name] = key


def _holders(taken: Mapping[tuple[str, str], Key], room: str, name: str) -> list[Key]:
    """Who holds a key where it would hold too: in the same room, or anywhere if either holds everywhere."""
    return [
        key for (place, held), key in taken.items() if held == name and (place == room or "everywhere" in (place, room))
    ]


def _place(settings: Settings, name: str) -> str:
    return settings.origins.get(f"keys.{name}", "[keys]")
