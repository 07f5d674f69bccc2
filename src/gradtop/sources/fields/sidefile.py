"""Settings that trainers leave in files beside their logs: `args.yaml`, `hparams.yaml`, `config.yaml`, `config.json`.

They are read as data: tags of Python objects are passed over, nothing is imported, built or run.
"""

import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from gradtop.record import Record, RunFacts, merged
from gradtop.sources.fields.setting import fact_of, facts_from

SIDE_FILES = (
    *("config.json", "config.yaml", "config.yml", ".hydra/config.yaml", "files/config.yaml", "params.json"),
    *("hparams.json", "hparams.yml", "hparams.yaml", "training_args.json", "training_args.yaml"),
    *("args.json", "args.yml", "args.yaml"),
)
"""Names, from a log's directory; where several state one fact the later name has it."""
MAX_BYTES = 1 << 20
"""A larger JSON file is no configuration."""
MAX_YAML_BYTES = 1 << 17
"""A larger YAML file is not read: 100 KiB of it take up to half a second."""
MAX_DEPTH = 6
"""Levels of a configuration that are looked into."""
MAX_SETTINGS = 5_000
"""Settings of one file that are looked at."""
MAX_ITEMS = 500
"""Items of one list that are looked at."""
BEFORE_S = 60 * 86_400.0
"""Seconds by which a side file may be older than the newest log: it is written at the start of a training."""
AFTER_S = 86_400.0
"""Seconds by which it may be newer: beyond that it is of a later launch that writes elsewhere."""

_NOT_TRAINING = frozenset(
    ("model", "critic", "ref", "reward_model", "data", "dataset", "val", "eval", "test", "datamodule", "tokenizer")
)
"""Parts of a configuration whose learning rates and batch sizes are not those of the training."""
_OF_MODEL = frozenset(("layers", "params", "trainable"))


def stated_beside(path: Path) -> list[Record]:
    """The facts in the side files of a log, as its source gives them out."""
    facts = facts_beside([path])
    return [msgspec.structs.replace(facts, beside=True)] if facts.origin else []


def facts_beside(paths: Sequence[Path]) -> RunFacts:
    """What the side files in the directories of a run's logs state; nothing where there are none.

    Args:
        paths: the files of one run. A directory that holds files of several runs does not belong here: its side
            files cannot be told apart.

    Never raises: a file that cannot be read, is too large, too old or not well-formed states nothing.
    """
    told = RunFacts()
    newest = max((_modified(path) or 0.0 for path in paths), default=0.0)
    for folder in dict.fromkeys(path.parent for path in paths):
        for name in SIDE_FILES:
            if (facts := _facts_in(folder / name, name, newest)) is not None:
                told = merged(told, facts)
    return told


def _facts_in(path: Path, name: str, newest: float) -> RunFacts | None:
    modified = _modified(path)
    if modified is None or not newest - BEFORE_S <= modified <= newest + AFTER_S:
        return None
    try:
        found = _decoded(path)
    except (OSError, ValueError, RecursionError):
        return None
    return facts_from(_settings(found), name)


def _modified(path: Path) -> float | None:
    """Unix seconds of the last change of a regular file; None for anything else."""
    try:
        info = path.stat()
    except (OSError, ValueError):
        return None
    return info.st_mtime if stat.S_ISREG(info.st_mode) else None


def _decoded(path: Path) -> object:
    """The content of a JSON or YAML file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is too large or not well-formed.
    """
    most = MAX_BYTES if path.suffix == ".json" else MAX_YAML_BYTES
    # Non-blocking, so that a pipe put in its place meanwhile cannot hold up the reader.
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        data = os.read(fd, most + 1)
    finally:
        os.close(fd)
    if len(data) > most:
        raise ValueError("larger than a configuration")
    text = data.decode("utf-8", errors="replace")
    return json.loads(text) if path.suffix == ".json" else _yaml(text)


def _yaml(text: str) -> object:
    """A YAML document as mappings, lists and strings: tags, of Python objects too, are passed over.

    Raises:
        ValueError: it is not well-formed.
    """
    import yaml

    try:
        return yaml.load(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        raise ValueError(str(error)[:200]) from None


def _settings(found: object) -> Iterator[tuple[str, object]]:
    """The settings of a configuration, those of the outer levels first, each by its name and by `parent/name`."""
    level: list[tuple[str, object]] = [("", found)]
    looked = 0
    for _ in range(MAX_DEPTH):
        below: list[tuple[str, object]] = []
        for parent, content in level:
            for name, value in _members(content):
                looked += 1
                if looked > MAX_SETTINGS:
                    return
                yield from _named(parent, name, value)
                below.append((name, value))
        level = below


def _members(content: object) -> Sequence[tuple[str, object]]:
    """The named parts of a mapping; of a list of pairs as well, which is how ordered mappings are written."""
    if isinstance(content, Mapping):
        return [(str(name), value) for name, value in content.items()]
    if isinstance(content, list):
        return [_pair(item) for item in content[:MAX_ITEMS] if isinstance(item, list | Mapping)]
    return ()


def _pair(item: object) -> tuple[str, object]:
    """A [name, value] of a list; anything else has no name."""
    if isinstance(item, list) and len(item) == 2 and isinstance(item[0], str):
        return item[0], item[1]
    return "", item


def _named(parent: str, name: str, value: object) -> Iterator[tuple[str, object]]:
    if name == "value" and not isinstance(value, Mapping | list):
        yield parent, value  # W&B writes {name: {value: ...}}
    elif parent and fact_of(f"{parent}/{name}") is not None:
        yield f"{parent}/{name}", value
    elif fact_of(name) in _OF_MODEL or parent.lower() not in _NOT_TRAINING:
        yield name, value
