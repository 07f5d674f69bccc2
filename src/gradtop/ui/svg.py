"""The screen as a picture that looks the same in every viewer: dots, blocks and frames are shapes, not characters."""

import re
from collections.abc import Iterable, Iterator, Sequence
from html import escape

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from rich.terminal_theme import SVG_EXPORT_THEME

from gradtop.ui.theme import Theme

WIDTH, HEIGHT = 10, 20
"""Of a cell, in the units of the picture."""
_MARGIN = 12
_FONT = "DejaVu Sans Mono, Menlo, Consolas, ui-monospace, monospace"
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no XML document may hold."""
_DOTS = ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3))
"""(column, row) of the bits of a braille character."""
_LINES = {
    "─": "M0 10h10", "│": "M5 0v20", "┤": "M5 0v20M0 10h5", "├": "M5 0v20M5 10h5", "┬": "M0 10h10M5 10v10",
    "┴": "M0 10h10M5 0v10", "┼": "M0 10h10M5 0v20", "╭": "M10 10q-5 0-5 10", "╮": "M0 10q5 0 5 10",
    "╰": "M10 10q-5 0-5-10", "╯": "M0 10q5 0 5-10", "┊": "M5 1v4M5 8v4M5 15v4", "╎": "M5 1v8M5 11v8",
}  # fmt: skip
_LOWER, _LEFT, _SHADES = "▁▂▃▄▅▆▇█", "▏▎▍▌▋▊▉", {"░": 0.25, "▒": 0.5, "▓": 0.75}
_PARTS = re.compile("[\u2801-\u28ff]+|[─│┤├┬┴┼╭╮╰╯┊╎]+|[▁-▐░▒▓▀]+| +|[^\u2801-\u28ff─│┤├┬┴┼╭╮╰╯┊╎▁-▐░▒▓▀ ]+")


def svg(rows: Sequence[Iterable[Segment]], columns: int, theme: Theme, title: str) -> str:
    """The rows of a screen as a document; `title` is what a reader for the blind says of it."""
    ground = theme.ground if theme.ground.startswith("#") else SVG_EXPORT_THEME.background_color.hex
    width, height = columns * WIDTH + 2 * _MARGIN, len(rows) * HEIGHT + 2 * _MARGIN
    body = "".join(piece for y, row in enumerate(rows) for piece in _row(row, y, ground))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">\n'
        f"<title>{_text(title)}</title>\n"
        f'<rect width="{width}" height="{height}" rx="8" fill="{ground}"/>\n'
        f'<g transform="translate({_MARGIN} {_MARGIN})" font-family="{_FONT}" font-size="16.6" xml:space="preserve">\n'
        f"{body}</g>\n</svg>\n"
    )


def _row(row: Iterable[Segment], y: int, ground: str) -> Iterator[str]:
    x = 0
    for text, style, control in row:
        if control or not text:
            continue
        color, behind = _colours(style or Style(), ground)
        cells = cell_len(text)
        if behind != ground:
            yield (
                f'<rect x="{x * WIDTH}" y="{y * HEIGHT}" width="{cells * WIDTH}" height="{HEIGHT}" fill="{behind}"/>\n'
            )
        for part in _PARTS.findall(text):
            yield from _part(
                part, x * WIDTH, y * HEIGHT, color, bool(style and style.bold), bool(style and style.underline)
            )
            x += cell_len(part)


def _part(part: str, x: int, y: int, color: str, bold: bool, underline: bool) -> Iterator[str]:
    """Characters of one kind, from a place on."""
    if part.isspace():
        return
    if "\u2801" <= part[0] <= "\u28ff":
        yield f'<path fill="{color}" d="{"".join(_braille(part, x, y))}"/>\n'
    elif part[0] in _LINES:
        shapes = "".join(_moved(_LINES[ch], x + i * WIDTH, y) for i, ch in enumerate(part))
        yield f'<path fill="none" stroke="{color}" stroke-width="{2.4 if bold else 1.4}" d="{shapes}"/>\n'
    elif (blocks := [_block(ch, x + i * WIDTH, y) for i, ch in enumerate(part)]) and all(blocks):
        yield f'<g fill="{color}">{"".join(blocks)}</g>\n'
    else:
        more = ' font-weight="bold"' if bold else ""
        more += ' text-decoration="underline"' if underline else ""
        length = cell_len(part) * WIDTH
        yield f'<text x="{x}" y="{y + 15}" textLength="{length}" fill="{color}"{more}>{_text(part)}</text>\n'


def _braille(part: str, x: int, y: int) -> Iterator[str]:
    for i, ch in enumerate(part):
        bits = ord(ch) - 0x2800
        for bit, (column, row) in enumerate(_DOTS):
            if bits >> bit & 1:
                yield f"M{x + i * WIDTH + 5 * column + 1} {y + 5 * row + 1}h3v3h-3z"


def _moved(path: str, x: int, y: int) -> str:
    """A path of one cell at its place: only what comes after an M is absolute."""
    return re.sub(r"M(\d+) (\d+)", lambda found: f"M{int(found[1]) + x} {int(found[2]) + y}", path)


def _block(ch: str, x: int, y: int) -> str:
    """A block character as a rectangle; nothing where it is none that is known."""
    left, top, width, height, more = float(x), float(y), float(WIDTH), float(HEIGHT), ""
    if ch in _LOWER:
        height = HEIGHT * (_LOWER.index(ch) + 1) / 8
        top = y + HEIGHT - height
    elif ch in _LEFT:
        width = WIDTH * (_LEFT.index(ch) + 1) / 8
    elif ch == "▀":
        height = HEIGHT / 2
    elif ch == "▐":
        left, width = x + WIDTH / 2, WIDTH / 2
    elif ch in _SHADES:
        more = f' opacity="{_SHADES[ch]}"'
    else:
        return ""
    return f'<rect x="{left:g}" y="{top:g}" width="{width:g}" height="{height:g}"{more}/>'


def _colours(style: Style, ground: str) -> tuple[str, str]:
    """(of the text, behind it), as a terminal shows them that has these colours."""
    theme = SVG_EXPORT_THEME
    color, behind = style.color, style.bgcolor
    front = theme.foreground_color.hex if color is None or color.is_default else color.get_truecolor(theme).hex
    back = ground if behind is None or behind.is_default else behind.get_truecolor(theme, foreground=False).hex
    if style.dim:
        front = _between(front, back)
    return (back, front) if style.reverse else (front, back)


def _between(a: str, b: str) -> str:
    return "#" + "".join(f"{(6 * int(a[i : i + 2], 16) + 4 * int(b[i : i + 2], 16)) // 10:02x}" for i in (1, 3, 5))


def _text(text: str) -> str:
    return escape(_ILLEGAL.sub("\ufffd", text))
