"""What the names of layers tell of a model: their order of depth, which are weights, and the blocks they form."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_NUMBER = re.compile(r"(\d+)")
_LEAF = re.compile(r"[._/](?:weight|kernel|w)$", re.IGNORECASE)
_EMBEDDING = re.compile(
    r"(?:^|[._/])(?:wte|wpe|\w*emb|(?!un)\w*embed\w*|shared|cls_token|relative_attention_bias)(?:[._/\d]|$)",
    re.IGNORECASE,
)
_HEAD = re.compile(
    r"(?:^|[._/])(?:\w*head|cls|score|logits|to_logits|classifier|unembed\w*|output|final_\w+|ln_f|norm_f"
    r"|norm|fc|fc_?out|ff_out|conv_?out|out)(?:[._/]|$)",
    re.IGNORECASE,
)
_GAIN = re.compile(
    r"(?:^|[._/])(?:b|bias|\w+_bias|scale|\w+_scale|gamma|beta|alpha|gain|temperature|a_log|d)$"
    r"|(?:^|[._/])(?:\w*norm\w*|ln|ln_\w+|ln\d+|bn|bn\d+)(?:[._/]\d+)*(?:[._/](?:weight|scale|g))?$",
    re.IGNORECASE,
)
_EARLY = re.compile(r"enc|down|stem|patch", re.IGNORECASE)
_LATE = re.compile(r"dec|up", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Depth:
    """Layers by their places in the log."""

    order: tuple[int, ...]
    """All of them, from the input of the model to its output."""
    plain: tuple[bool, ...]
    """Whether each is a weight, as opposed to biases, gains of norms and embeddings, whose scales are their own."""
    blocks: Mapping[str, tuple[int, ...]]
    """The weights of each block, from input to output: `layers.3` holds `layers.3.attn.q.weight`."""


def depth_of(names: Sequence[str]) -> Depth:
    """Read the names of all layers, in the order in which the log has them."""
    turn: dict[str, int] = {}
    for name in names:
        for word in _NUMBER.split(name):
            turn.setdefault(word, len(turn))
    order = sorted(range(len(names)), key=lambda i: _key(names[i], turn))
    plain = tuple(not _GAIN.search(name) and not _EMBEDDING.search(name) for name in names)
    block_of = _blocks(names)
    blocks: dict[str, list[int]] = {}
    for i in order:
        if plain[i]:
            blocks.setdefault(block_of[i], []).append(i)
    return Depth(tuple(order), plain, {block: tuple(members) for block, members in blocks.items()})


def _key(name: str, turn: Mapping[str, int]) -> tuple[int, tuple[tuple[int, int], ...]]:
    """Embeddings, then numbers as numbers and words in the order in which the log has them, the last norm, heads."""
    group = 1
    if not _NUMBER.search(name):
        group = 0 if _EMBEDDING.search(name) else 1 if not _HEAD.search(name) else 2 if _GAIN.search(name) else 3
    parts = (part for part in _NUMBER.split(name) if part)
    return group, tuple((1, int(part)) if part.isdigit() else (_stage(part), turn[part]) for part in parts)


def _stage(word: str) -> int:
    """Encoders and what goes down come before what goes up and decoders."""
    return 0 if _EARLY.match(word) else 2 if _LATE.match(word) else 1


def _blocks(names: Sequence[str]) -> list[str]:
    """The block of each layer: its name up to the first number that tells it from others, else without its leaf."""
    parts = [name.replace("/", ".").split(".") for name in names]
    numbers: dict[tuple[str, ...], set[str]] = {}
    for split in parts:
        for i, part in enumerate(split):
            if _NUMBER.search(part):
                numbers.setdefault((*split[:i], _NUMBER.sub("#", part)), set()).add(part)
    return [_block(split, numbers) for split in parts]


def _block(split: Sequence[str], numbers: Mapping[tuple[str, ...], set[str]]) -> str:
    for i, part in enumerate(split):
        if len(numbers.get((*split[:i], _NUMBER.sub("#", part)), ())) > 1:
            deeper = i + 1 < len(split) and split[i + 1].isdigit()
            return ".".join(split[: i + 1 + deeper])
    return _LEAF.sub("", ".".join(split))
