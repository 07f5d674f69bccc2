"""What the frameworks' objects have in common, without a framework."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import gradtop.integrations
from gradtop.integrations.recording import Recording, bare, unharmed
from gradtop.logger.rate import rates


def test_no_framework_is_imported_before_its_name_is_taken() -> None:
    code = """
import sys, gradtop.integrations
found = {"torch", "transformers", "lightning", "accelerate", "numpy", "msgspec"} & set(sys.modules)
assert not found, found
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=50)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="KerasCallback"):
        _ = gradtop.integrations.KerasCallback


def test_a_hook_that_fails_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    class Callback:
        def __init__(self) -> None:
            self.recording = Recording(None, {})

        @unharmed
        def on_step(self) -> None:
            raise RuntimeError("no such attribute")

    callback = Callback()
    callback.on_step()
    callback.on_step()
    (record,) = caplog.records
    assert record.getMessage() == "gradtop: on_step recorded nothing: RuntimeError: no such attribute"


def test_a_failure_of_the_process_is_not_swallowed() -> None:
    class Callback:
        def __init__(self) -> None:
            self.recording = Recording(None, {})

        @unharmed
        def on_step(self) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Callback().on_step()


def test_a_recording_without_a_training_does_nothing(tmp_path: Path) -> None:
    recording = Recording(tmp_path, {})
    recording.busy()
    recording.step(1, loss=1.0)
    recording.close("finished")
    assert list(tmp_path.iterdir()) == []


def test_optimizers_are_found_inside_wrappers() -> None:
    class Wrapper:
        def __init__(self, optimizer: object) -> None:
            self.optimizer = optimizer

    sgd = torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=0.1)
    assert bare(Wrapper(Wrapper(sgd))) == [sgd]
    assert bare(None) == bare(Wrapper(object())) == []


def test_rates_of_groups_are_told_where_they_differ() -> None:
    groups = [{"params": [nn.Parameter(torch.ones(1))], "lr": rate} for rate in (0.1, 0.1)]
    sgd = torch.optim.SGD(groups)
    assert rates([sgd]) == {"lr": 0.1}
    sgd.param_groups[1]["lr"] = 0.2
    assert rates([sgd]) == {"lr": 0.1, "lr/1": 0.2}
    assert rates([]) == {"lr": None}
