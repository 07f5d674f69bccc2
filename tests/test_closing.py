"""How logs end, read from real files by the sources that follow them."""

from pathlib import Path

import pytest

from gradtop.closing import last_words
from gradtop.config import Settings
from gradtop.detect.process.gone import Close
from gradtop.monitor import Monitor

ROWS = "".join(f"step {step}: loss {5 - step / 100:.3f}, lr 1e-4\n" for step in range(60))


@pytest.mark.parametrize(
    ("end", "close", "text"),
    [
        ("", Close.OPEN, ""),
        ("Saved PyTorch Model State to model.pth\n", Close.WORDS, "Saved PyTorch Model State to model.pth"),
        ("best val loss 1.23 at 400\nbye\n-----\n", Close.WORDS, "best val loss 1.23 at 400"),
        ("Total time: 2:03:11\nWandB: syncing\n", Close.WORDS, "Total time: 2:03:11"),
        ("Process 73578 exits successfully.\n", Close.WORDS, "Process 73578 exits successfully."),
        ("the loader is not done yet\n", Close.OPEN, "the loader is not done yet"),
        ("epoch done, going on\n", Close.OPEN, "epoch done, going on"),
        ("UserWarning: the saved file is old\n", Close.WORDS, "UserWarning: the saved file is old"),
        ("gathering statistics\n", Close.OPEN, "gathering statistics"),
        ("step 60: lo", Close.CUT, ""),
        ("step 60: val loss 4.1\n", Close.EVALUATION, ""),
    ],
)
def test_the_end_of_a_log(tmp_path: Path, end: str, close: Close, text: str) -> None:
    (tmp_path / "train.log").write_text("finished loading, all done\n" + ROWS + end)
    monitor = Monitor((tmp_path,), Settings())
    monitor.poll()
    while monitor.backlog:
        monitor.poll()
    run = monitor.newest()
    words = last_words(run.sources, run._history.origins(), run.view().x_kind)
    monitor.close()
    assert (words.close, words.text) == (close, text)


def test_nothing_is_known_of_the_end_of_no_log() -> None:
    assert last_words((), (), "step").quoted == ""
