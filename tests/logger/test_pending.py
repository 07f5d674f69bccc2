"""Values that wait: copied, never read from the device, all sent off at once."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from gradtop.logger import pending
from gradtop.logger.pending import Flight, Row, kept


class HostReads(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what reads a number from a tensor."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += "_local_scalar_dense" in str(func)
        return func(*args, **(kwargs or {}))


def test_a_scalar_of_any_shape_and_type_waits_as_its_own_copy() -> None:
    with HostReads() as reads:
        loss = torch.full((1, 1), 2.5, dtype=torch.bfloat16, requires_grad=True)
        waiting = kept(loss)
        assert reads.count == 0
    assert isinstance(waiting, Tensor)
    assert not waiting.requires_grad
    with torch.no_grad():
        loss.zero_()
    assert waiting.item() == 2.5


@pytest.mark.parametrize(
    "hostile",
    [
        torch.ones(2), torch.empty(0), torch.ones((), device="meta"), torch.ones((), dtype=torch.complex64),
        "3", b"3", None, [1.0], {}, object(),
    ],
)  # fmt: skip
def test_what_is_no_number_is_left_out(hostile: object) -> None:
    assert kept(hostile) is None


@pytest.mark.parametrize("number", [2.5, math.inf, 3, True])
def test_what_the_cpu_has_is_a_number_at_once_and_what_a_device_has_waits(
    monkeypatch: pytest.MonkeyPatch, number: float
) -> None:
    assert kept(torch.tensor(number)) == float(number)
    assert isinstance(kept(torch.tensor(number)), float)
    monkeypatch.setattr(pending, "at_hand", lambda _: False)
    waiting = kept(torch.tensor(number))
    assert isinstance(waiting, Tensor)
    assert next(iter(Flight([Row(1, 1.0, {"loss": waiting})]).rows()))[2] == {"loss": float(number)}


def test_numbers_are_floats() -> None:
    assert [kept(3), kept(True), kept(10**400), kept(-(10**400))] == [3.0, 1.0, math.inf, -math.inf]


def test_rows_arrive_as_they_were_given() -> None:
    rows = [
        Row(1, 10.0, {"loss": torch.tensor(1.5), "lr": 0.1, "n": torch.tensor(3)}),
        Row(2, 11.0, {"loss": torch.tensor(math.nan), "norm": torch.tensor(2.0, dtype=torch.float64)}),
    ]
    flight = Flight(rows)
    assert flight.ready()
    (first, second) = flight.rows()
    assert list(first) == [1, 10.0, {"loss": 1.5, "lr": 0.1, "n": 3.0}]
    assert list(second[:2]) == [2, 11.0]
    assert math.isnan(second[2]["loss"])
    assert second[2]["norm"] == 2.0
