import math
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from gradtop.logger.notice import Notices
from gradtop.logger.sample.update import CHUNK, CHUNKS, WHOLE, Change, Weights, window


class Move(NamedTuple):
    difference: float
    weight: float
    rested: bool
    doubtful: bool


def moved(change: Change) -> list[Move | None]:
    found = change.moved([vector.double() for vector in change.vectors])
    moves = {}
    rows = zip(found.members.tolist(), found.differences.tolist(), found.weights.tolist(), strict=True)
    for index, difference, weight in rows:
        moves[index] = Move(difference, weight, index in found.rested, found.rested.get(index, False))
    return [moves.get(tensor) for tensor in range(max(moves) + 1)]


def ratios(change: Change) -> list[float | None]:
    return [None if move is None else math.sqrt(move.difference / move.weight) for move in moved(change)]


def exact(after: Tensor, before: Tensor) -> float:
    wide = torch.complex128 if before.is_complex() else torch.float64
    difference = torch.linalg.vector_norm(after.to(wide) - before.to(wide))
    return float(difference / torch.linalg.vector_norm(before.to(wide)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.complex64])
def test_small_tensors_are_measured_whole(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    tensors = [torch.randn(shape, dtype=dtype) for shape in ((16, 16), (16, 16), (7,), ())]
    before = [tensor.clone() for tensor in tensors]
    weights = Weights(tensors, Notices())
    weights.before([])
    for tensor in tensors:
        tensor.add_(torch.randn_like(tensor) * 0.01)
    expected = [exact(tensor, was) for tensor, was in zip(tensors, before, strict=True)]
    assert ratios(weights.after()) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "shape", [(512, 512), (2048, 512), (512, 2048), (50_000,), (30_000, 4), (4, 30_000), (64, 64, 9, 9)]
)
def test_large_tensors_are_extrapolated(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    tensor = torch.randn(shape)
    before = tensor.clone()
    weights = Weights([tensor], Notices())
    weights.before([])
    tensor.add_(torch.randn(shape) * 0.01)
    (move,) = moved(change := weights.after())
    assert ratios(change) == pytest.approx([exact(tensor, before)], rel=0.06)
    assert move is not None
    assert math.sqrt(move.weight) == pytest.approx(float(before.norm()), rel=0.05)


@pytest.mark.parametrize("shape", [(512, 512), (16384, 512), (1000, 777), (5000,), (3, 5000), (4097,), (4096, 2)])
def test_a_window_stays_inside_and_reaches_all_columns(shape: tuple[int, ...]) -> None:
    places = torch.arange(math.prod(shape)).view(shape)
    seen = window(places)
    assert seen.shape == (CHUNKS, CHUNK)
    assert (
        len(set(seen.flatten().tolist())) > 0.9 * min(CHUNKS * CHUNK, places.numel())
        or places.numel() < 2 * CHUNKS * CHUNK
    )
    assert int(seen.min()) >= 0
    assert int(seen.max()) < places.numel()
    if len(shape) == 2 and shape[0] > CHUNKS:
        columns = seen % shape[1] * 8 // shape[1]
        assert len(set(columns.flatten().tolist())) == min(8, shape[1])


def test_the_views_stay_while_the_storage_does() -> None:
    model = nn.Linear(8, 8)
    tensors = list(model.parameters())
    weights = Weights(tensors, Notices())
    model.weight.data.add_(1.0)
    assert weights.stands(tensors)
    model.weight.data = model.weight.data.clone()
    assert not weights.stands(tensors)


def test_a_tensor_with_gaps_or_without_elements_is_not_sampled() -> None:
    tensors = [torch.randn(8, 8)[:, :4], torch.zeros(0), torch.ones(2).expand(3, 2), torch.ones(3)]
    weights = Weights(tensors, Notices())
    weights.before([])
    assert [move is None for move in moved(weights.after())] == [True, True, True, False]


def changed(tensor: Tensor, gradient: Tensor, row: int | None) -> Move | None:
    """What is said of a large tensor of which one row changes, or none."""
    weights = Weights([tensor], Notices())
    weights.before([(0, gradient)])
    if row is not None:
        tensor.view(tensor.shape[0], -1)[row] += 1.0
    return moved(weights.after())[0]


@pytest.mark.parametrize("sparse", [False, True])
def test_a_probe_tells_a_row_that_no_chunk_meets_from_no_change(sparse: bool) -> None:
    table = torch.ones(8000, 3)
    rows = torch.arange(8000)[:, None].expand(8000, 3)
    unseen = int(next(row for row in range(4000, 8000) if row not in set(window(rows.contiguous()).flatten().tolist())))
    gradient = torch.zeros(8000, 3)
    gradient[unseen, 1] = -0.5
    gradient = gradient.to_sparse(1) if sparse else gradient
    still = changed(table, gradient, None)
    assert still is not None
    assert (still.difference, still.doubtful) == (0.0, False)
    elsewhere = changed(table, gradient, unseen)
    assert elsewhere is not None
    assert (elsewhere.difference, elsewhere.doubtful) == (0.0, True)


def test_no_change_of_a_sample_is_in_doubt_without_a_probe() -> None:
    weights = Weights([torch.ones(WHOLE), torch.ones(WHOLE + 1)], Notices())
    weights.before([])
    seen, sampled = moved(weights.after())
    assert seen is not None
    assert sampled is not None
    assert (seen.difference, seen.rested, seen.doubtful) == (0.0, False, False), "every element was looked at"
    assert (sampled.difference, sampled.rested, sampled.doubtful) == (0.0, True, True)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_weights_that_are_no_numbers_any_more(bad: float) -> None:
    tensor = torch.ones(3)
    weights = Weights([tensor], Notices())
    weights.before([(0, torch.ones(3))])
    tensor[1] = bad
    (move,) = moved(weights.after())
    assert move is not None
    assert math.isnan(move.difference) == math.isnan(bad)
    assert not math.isfinite(move.difference)
    assert not move.doubtful
