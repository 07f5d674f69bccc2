"""What reaches a terminal is only ever plain, visible text."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradtop.clean import MAX_MARKS, clean, shorten, strip_sequences

ESC = "\x1b"
HOSTILE = [
    f"{ESC}]0;PWNED-TITLE\x07",
    f"{ESC}]52;c;cm0gLXJmIH4=\x07",
    f"{ESC}]8;;http://evil.example\x07link{ESC}]8;;\x07",
    f"{ESC}[2J{ESC}[H",
    f"{ESC}[?1049l",
    f"{ESC}[31;1mred{ESC}[0m",
    f"{ESC}P+q544e{ESC}\\",
    f"{ESC}_apc{ESC}\\",
    f"{ESC}c",
    f"{ESC}(0",
    "\x9b31m",
    "\x9d0;title\x9c",
    "\x90dcs\x9c",
    f"{ESC}[201~",
    "\u202etxt.exe\u202c",
    "zero\u200bwidth\u2060join\ufeff",
    "nul\x00del\x7fbell\x07",
    "back\x08space\x0c\x0b",
    "line\u2028sep\u0085next",
    "\ud800 lone",
    "tag\U000e0041\U000e007f",
    "a" + "\u0301" * 50,
    f"open {ESC}]52;c;never closed",
]


def is_plain(text: str) -> bool:
    return all(unicodedata.category(ch)[0] != "C" or ch == "\ufffd" for ch in text)


@pytest.mark.parametrize("payload", HOSTILE)
def test_hostile_text_is_only_visible_characters(payload: str) -> None:
    assert is_plain(clean(payload))


@given(st.text(st.characters(codec=None), max_size=300))
def test_any_text_is_only_visible_characters(text: str) -> None:
    assert is_plain(clean(text))


@given(st.text("\x1b\x9b]P[0;?mH\\\x07a ", max_size=60))
def test_pieces_of_sequences_leave_no_control_character(text: str) -> None:
    assert is_plain(clean(text))


def test_ordinary_text_is_left_alone() -> None:
    for text in ("loss 2.31, lr=3e-4 [1/100] [/bold]", "损失：2.3，学习率", "Größe µ±°→…", "résumé"):
        assert clean(text) == text


def test_colours_go_and_words_stay() -> None:
    assert clean(f"{ESC}[38;2;180;60;0mgrad_norm:  1.42{ESC}[39m") == "grad_norm:  1.42"


def test_an_operating_system_command_takes_its_payload_with_it() -> None:
    assert clean(f"a{ESC}]52;c;cm0gLXJmIH4=\x07b") == "ab"


def test_control_characters_become_pictures() -> None:
    assert clean("a\x00b\x07") == "a␀b␇"


def test_piles_of_marks_are_capped() -> None:
    assert len(clean("a" + "\u0301" * 50)) == 1 + MAX_MARKS


def test_long_text_is_cut_and_says_so() -> None:
    assert clean("x" * 100, limit=10) == "x" * 9 + "…"
    assert clean("x" * 10, limit=10) == "x" * 10


def test_tabs_become_spaces() -> None:
    assert clean("a\tb") == "a   b"


def test_strip_sequences_keeps_line_structure() -> None:
    assert strip_sequences(f"{ESC}[31mstep: 1{ESC}[0m\r") == "step: 1\r"


def test_shorten_keeps_both_ends() -> None:
    assert shorten("layers.11.attn.qkv.weight", 12) == "layer…weight"
    assert shorten("short", 12) == "short"
    assert shorten("anything", 1) == "…"
    assert shorten("anything", 0) == ""
