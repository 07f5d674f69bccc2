"""What is typed to choose among many names, and what it must not do to whoever waits for it."""

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradtop.errors import FilterError
from gradtop.filter import MOST_CHARS, NAME_CHARS, Filter, Typed, expression, parsed

NAMES = ("loss", "val_loss", "train/acc", "Eval/F1 macro", "grad_norm/layers.10.mlp", "lr")


def kept(text: str) -> list[str]:
    found = parsed(text)
    return [name for name in NAMES if found.admits(name)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [*NAMES]),
        ("   ", [*NAMES]),
        ("loss", ["loss", "val_loss"]),
        ("LR", []),
        ("eval", ["Eval/F1 macro"]),
        ("Eval", ["Eval/F1 macro"]),
        ("EVAL", []),
        ("loss val", ["val_loss"]),
        ("loss|lr", ["loss", "val_loss", "lr"]),
        ("loss !val | lr", ["loss", "lr"]),
        ("!loss !lr", ["train/acc", "Eval/F1 macro", "grad_norm/layers.10.mlp"]),
        ("!!lr", ["lr"]),
        ('"f1 macro"', ["Eval/F1 macro"]),
        ('"macro f1"', []),
        ("macro f1", ["Eval/F1 macro"]),
        ("train/acc", ["train/acc"]),
        ("/^l/", ["loss", "lr"]),
        ("/train/acc/", ["train/acc"]),
        ("/train\\/acc/", ["train/acc"]),
        ("/^(loss|lr)$/", ["loss", "lr"]),
        ("/layers\\.\\d+/ mlp", ["grad_norm/layers.10.mlp"]),
        ("!/loss|norm/ !lr", ["train/acc", "Eval/F1 macro"]),
        ("/f1/", ["Eval/F1 macro"]),
        ("/F\\S/", ["Eval/F1 macro"]),
        ("/\\Smacro/", []),
        ("/E/", ["Eval/F1 macro"]),
        # While it is typed.
        ("loss |", ["loss", "val_loss"]),
        ("loss !", ["loss", "val_loss"]),
        ('"f1 mac', ["Eval/F1 macro"]),
        ("/^lo", ["loss"]),
        ("/", [*NAMES]),
        ("| |", [*NAMES]),
        ("!", [*NAMES]),
    ],
)
def test_the_grammar(text: str, expected: list[str]) -> None:
    assert kept(text) == expected


def test_a_name_may_go_by_several_texts() -> None:
    norm = parsed("grad_norm | !norm")
    assert norm.admits("grad norm", "grad_norm")
    assert not parsed("!grad_norm").admits("grad norm", "grad_norm")
    assert parsed("/^loss$/").admits("the loss", "loss")


def test_fields_are_looked_for_where_the_list_has_them() -> None:
    live = parsed('state:LIVE | state:"not read" !old', ("state",))
    assert not live.admits("a", fields={"state": "live"})
    assert live.admits("a", fields={"state": "not read yet"})
    assert not live.admits("old", fields={"state": "not read yet"})
    assert parsed("state:live").admits("x/state:live")
    assert not parsed("state:live", ("state",)).admits("x/state:live")
    assert parsed('"state:live"', ("state",)).admits("x/state:live")
    assert parsed("state:", ("state",)) == Filter("state:")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("/(((/", "/(((/: missing )"),
        ("loss /[a-/", "unterminated character set"),
        ("/a\\", "bad escape"),
        ("/*/", "nothing to repeat"),
        ("/a{9999999999}/", "the repetition number is too large"),
        ("/(a+)+$/", "could take too long"),
        ("/^loss(x|x)*y/", "could take too long"),
        ("/(ab?|ba?)+c/", "could take too long"),
        ("/a*a*a*a*a*b/", "could take too long"),
        ("x" * 10_000, "at most 300 characters, and this one has 10,000"),
    ],
)
def test_what_cannot_be_used_says_why_and_the_last_one_holds(text: str, says: str) -> None:
    with pytest.raises(FilterError) as error:
        parsed(text)
    assert says in str(error.value)
    typed = Typed().retyped("loss").retyped(text)
    assert (typed.text, typed.filter.text) == (text, "loss")
    assert says in typed.problem
    assert typed.retyped("lr") == Typed("lr", parsed("lr"))


@pytest.mark.parametrize(
    "pattern", [".*loss.*", "layer.*attn.*weight", r"^(train|val)/\w+_(loss|acc)$", "(a|b).*(c|d)"]
)
def test_ordinary_expressions_are_taken(pattern: str) -> None:
    assert expression(pattern).pattern == pattern


def test_an_expression_sees_the_start_of_a_long_name_and_a_word_all_of_it() -> None:
    name = "a" * NAME_CHARS + "/end"
    assert parsed("end").admits(name)
    assert not parsed("/end/").admits(name)


def test_nothing_is_printed_about_an_odd_expression() -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        expression("[[a]b]")
    assert said == []


@given(st.text('ab/!|"\\()[]*+?. :é😀\n\t', max_size=24), st.text("ab/. ", max_size=12))
def test_any_text_is_a_filter_or_an_explained_mistake(text: str, name: str) -> None:
    typed = Typed().retyped(text, ("a",))
    assert typed.problem or typed.filter.text == text
    assert typed.filter.admits(name) in (True, False)


@given(st.text("lr/ab ", max_size=MOST_CHARS))
def test_words_in_any_order_are_each_in_the_name(name: str) -> None:
    words = name.replace("/", " ").split()
    assert parsed(" ".join(reversed(words))).admits(name)
    assert not words or not parsed("!" + words[0]).admits(name)


def test_an_expression_is_tried_on_thousands_of_names() -> None:
    names = [f"train/block_{i}/{'x' * 200}" for i in range(5000)]
    found = parsed("/block_\\d*7.*x+$/ !9")
    assert sum(found.admits(name) for name in names) == sum("7" in str(i) and "9" not in str(i) for i in range(5000))
