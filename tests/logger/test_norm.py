import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from gradtop.logger.notice import Notices
from gradtop.logger.sample import norm as module
from gradtop.logger.sample.norm import LARGE, PIECE, ROW, SMALL, Norms, Reader, clip


def norms(tensors: Sequence[Tensor | None], notices: Notices | None = None) -> Norms:
    return Reader(notices or Notices()).read(tensors)


def read(tensors: Sequence[Tensor | None], notices: Notices | None = None) -> list[float | None]:
    return roots(norms(tensors, notices), len(tensors))


def roots(measured: Norms, count: int) -> list[float | None]:
    members, squares = measured.squares([vector.double() for vector in measured.vectors])
    found = dict(zip(members.tolist(), squares.sqrt().tolist(), strict=True))
    return [found.get(index) for index in range(count)]


def exact(tensor: Tensor) -> float:
    wide = tensor.to_dense().to(torch.complex128 if tensor.is_complex() else torch.float64)
    return float(torch.linalg.vector_norm(wide))


def check(tensors: Sequence[Tensor], within: float = 1e-5) -> None:
    assert read(tensors) == pytest.approx([exact(tensor) for tensor in tensors], rel=within)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.complex64])
def test_norms_are_those_of_double_precision(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    check([torch.randn(shape, dtype=dtype) * 0.01 for shape in ((3, 5), (7,), (), (64, 32, 3, 3))])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("elements", [LARGE, LARGE + 1, PIECE, 2 * PIECE + ROW + 5])
def test_large_tensors_lose_nothing_to_fp32(dtype: torch.dtype, elements: int) -> None:
    torch.manual_seed(0)
    check([torch.randn(elements, dtype=dtype) * 0.01, torch.full((elements,), 0.1, dtype=dtype)])


def test_rows_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGE", 32)
    monkeypatch.setattr(module, "ROW", 8)
    torch.manual_seed(0)
    check([torch.randn(8 * 8 * 33 + 3), torch.randn(257).bfloat16()])


def test_small_tensors_that_are_read_as_one_stay_apart() -> None:
    torch.manual_seed(0)
    image = torch.randn(3, 4, 5, 6)
    shapes = ((7,), (3, 5), (7,), (5, 3), (3, 5), (), (), (1,), (SMALL,), (SMALL,), (SMALL + 1,))
    check([*map(torch.randn, shapes), image, image.to(memory_format=torch.channels_last), torch.randn(7).double()])


def test_what_is_kept_of_a_reading_goes_with_the_looks() -> None:
    torch.manual_seed(0)
    reader = Reader(Notices())
    small, other, sparse = torch.randn(2, 3), torch.randn(2, 3), torch.randn(2, 3).to_sparse()
    for tensors in (
        [small, other, small],
        [other, small, other],
        [small, None, other],
        [None, small, other],
        [small.double(), None, other],
        [small[:1], small[1:], other],
        [sparse, small, other],
        [small * 1e30, small * 0.0, other],
        [small, small, other],
    ):
        expected = [None if tensor is None else exact(tensor) for tensor in tensors]
        assert roots(reader.read(tensors), 3) == pytest.approx(expected)


def test_the_order_of_the_memory_does_not_matter() -> None:
    torch.manual_seed(0)
    image = torch.randn(64, 64, 9, 9)
    gaps = torch.randn(600, 1000)[:, :500]
    check(
        [
            image.to(memory_format=torch.channels_last),
            image.permute(3, 0, 2, 1),
            gaps,
            gaps.t(),
            gaps.expand(2, 600, 500),
        ]
    )


@pytest.mark.parametrize("scale", [1e-25, 1e-40, 1e-18, 1e18, 1e25, 1e37])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("elements", [100, LARGE + 100])
def test_squares_that_fp32_cannot_hold(scale: float, dtype: torch.dtype, elements: int) -> None:
    torch.manual_seed(0)
    check([(torch.randn(elements, dtype=torch.float64) * scale).to(dtype), torch.ones(3, dtype=dtype)])


def test_zero_nan_infinity_none_and_empty_are_told_apart() -> None:
    tensors = [torch.zeros(5), torch.tensor([1.0, math.nan]), torch.tensor([1.0, -math.inf]), None, torch.zeros(0, 4)]
    tensors += [torch.tensor([math.nan, math.inf]), torch.zeros(LARGE + 1)]
    zero, nan, infinite, none, empty, both, large = read(tensors)
    assert (zero, infinite, none, empty, large) == (0.0, math.inf, None, 0.0, 0.0)
    assert nan is not None
    assert math.isnan(nan)
    assert both is not None
    assert math.isnan(both)


def test_sparse_gradients_are_added_up_first() -> None:
    rows = torch.tensor([[1, 4, 1]])
    twice = torch.sparse_coo_tensor(
        rows, torch.tensor([[1.0, 2.0], [0.5, 0.5], [3.0, -2.0]]), (6, 2), check_invariants=True
    )
    assert read([twice]) == pytest.approx([exact(twice)])
    assert not twice.is_coalesced()


def test_conjugated_and_negated_views() -> None:
    torch.manual_seed(0)
    value = torch.randn(6, dtype=torch.complex64)
    check([value.conj(), value.conj().imag])


def test_what_has_no_values_is_left_out_with_one_notice(caplog: pytest.LogCaptureFixture) -> None:
    notices = Notices()
    tensors = [torch.empty(3, device="meta"), torch.ones(4), torch.empty(3, device="meta"), torch.ones(4).int()]
    assert read(tensors, notices) == [None, 2.0, None, None]
    assert [record.message for record in caplog.records] == [
        "gradtop: a parameter is on the meta device, without values: it is left out",
        "gradtop: a parameter is of type torch.int32: it is left out",
    ]


def test_devices_that_accumulate_in_float64_need_no_second_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DOUBLE", frozenset({"cpu"}))
    torch.manual_seed(0)
    tensors = [torch.randn(100) * scale for scale in (1e-25, 1.0, 1e25)]
    measured = norms([*tensors, torch.randn(100).bfloat16()])
    assert not measured.exact
    assert roots(measured, 4)[:3] == pytest.approx([exact(tensor) for tensor in tensors])


def model() -> nn.Module:
    torch.manual_seed(0)
    made = nn.Sequential(nn.Linear(20, 30), nn.Linear(30, 5), nn.Linear(5, 5).double())
    for number, parameter in enumerate(made.parameters()):
        parameter.grad = torch.randn_like(parameter) * (number + 1)
    return made


@pytest.mark.parametrize("max_norm", [0.5, 1e6, math.inf])
@pytest.mark.parametrize("spoilt", [None, math.nan, math.inf])
def test_clip_leaves_the_bits_that_torch_leaves(max_norm: float, spoilt: float | None) -> None:
    ours, theirs = list(model().parameters()), list(model().parameters())
    for parameters in (ours, theirs):
        parameters[1].grad = None
        gradient = parameters[2].grad
        assert gradient is not None
        if spoilt is not None:
            gradient[0, 0] = spoilt
    total, clipped = clip(ours, max_norm)
    before = {id(b): None if a.grad is None else exact(a.grad) for a, b in zip(theirs, ours, strict=True)}
    expected = nn.utils.clip_grad_norm_(theirs, max_norm)
    assert torch.equal(total.nan_to_num(-1.0), expected.nan_to_num(-1.0))
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine.grad is None) == (other.grad is None)
        if mine.grad is not None and other.grad is not None:
            assert torch.equal(mine.grad.view(torch.uint8), other.grad.view(torch.uint8))
    assert clipped.vector.tolist() == pytest.approx([before[id] for id in clipped.ids], nan_ok=True)


def test_clip_without_a_gradient() -> None:
    total, clipped = clip(nn.Linear(2, 2).parameters(), 1.0)
    assert float(total) == 0.0
    assert clipped.ids == ()


def test_norms_that_16_bits_rounded_are_not_kept() -> None:
    parameter = nn.Parameter(torch.ones(3, dtype=torch.bfloat16))
    parameter.grad = torch.ones_like(parameter)
    assert clip([parameter], 1.0)[1].ids == ()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_16_bit_gradients_are_measured_in_single_precision_before_they_are_clipped(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    parameters = [nn.Parameter(torch.zeros(size, dtype=dtype)) for size in (7, 3 * LARGE + 1)]
    parameters.append(nn.Parameter(torch.zeros(5)))
    for parameter in parameters:
        parameter.grad = torch.randn_like(parameter)
    before = {id(each): exact(each.grad) for each in parameters if each.grad is not None}
    _, clipped = clip(parameters, 0.1, wide=True)
    assert dict(zip(clipped.ids, clipped.vector.tolist(), strict=True)) == pytest.approx(before, rel=1e-5)
