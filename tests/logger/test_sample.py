import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.optim import SGD, Adam, Optimizer
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

from gradtop.logger.notice import Notices
from gradtop.logger.sample import Sample, Sampler
from gradtop.logger.sample import norm as module
from gradtop.logger.sample.norm import clip

Column = list[float | None]


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 2))


def backward(model: nn.Module, scale: float = 1.0) -> None:
    (model(torch.randn(5, 6)).square().mean() * scale).backward()


def columns(sample: Sample | None, factor: float = 1.0) -> tuple[dict[str, Column], float]:
    assert sample is not None
    return sample.columns(sample.sums(), factor)


def stepped(sampler: Sampler, optimizer: Optimizer, scale: Tensor | float | None = None, weights: bool = True) -> None:
    sampler.before(optimizer, scale, weights=weights)
    optimizer.step()
    sampler.after(optimizer)


def wide(tensor: Tensor) -> Tensor:
    return tensor.detach().to_dense().to(torch.complex128 if tensor.is_complex() else torch.float64)


def norm(tensors: Sequence[Tensor | None]) -> float:
    """The norm of all in double precision."""
    squares = 0.0
    for tensor in tensors:
        if tensor is not None:
            squares += float(wide(tensor).abs().square().sum())
    return math.sqrt(squares)


def layers(model: nn.Module) -> list[list[nn.Parameter]]:
    return [own for module in model.modules() if (own := list(module.parameters(recurse=False)))]


def compared(model: nn.Module, optimizer: Optimizer, sampler: Sampler) -> None:
    """One step, each number against plain double precision."""
    gradients = [norm([parameter.grad for parameter in layer]) for layer in layers(model)]
    before = [[parameter.detach().clone() for parameter in layer] for layer in layers(model)]
    stepped(sampler, optimizer)
    weights = [norm(layer) for layer in before]
    moves = [
        norm([wide(parameter) - wide(old) for parameter, old in zip(layer, olds, strict=True)])
        for layer, olds in zip(layers(model), before, strict=True)
    ]
    found, total = columns(sampler.take())
    assert found["grad_norm"] == pytest.approx(gradients)
    assert found["weight_norm"] == pytest.approx(weights)
    assert found["update_ratio"] == pytest.approx([move / weight for move, weight in zip(moves, weights, strict=True)])
    assert total == pytest.approx(math.hypot(*gradients))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_step_in_numbers(dtype: torch.dtype) -> None:
    model = net()
    optimizer = SGD(model.parameters(), lr=0.5)
    sampler = Sampler(model, [optimizer], "module", Notices())
    for _ in range(3):
        backward(model)
    model.to(dtype)
    compared(model, optimizer, sampler)
    assert sampler.names == ("0", "2", "4")
    assert sampler.numel == (56, 72, 18)


def test_complex_parameters_and_several_groups() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 3, dtype=torch.complex64), nn.Linear(3, 3, dtype=torch.complex64))
    groups = [{"params": list(layer.parameters()), "lr": rate} for layer, rate in zip(model, (0.1, 0.5), strict=True)]
    optimizer = SGD(groups)
    model(torch.randn(4, 3, dtype=torch.complex64)).abs().square().mean().backward()
    compared(model, optimizer, Sampler(model, [optimizer], "module", Notices()))


def test_activation_checkpointing_changes_no_number() -> None:
    class Checkpointed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.last = net(), nn.Linear(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.last(checkpoint(self.inner, x, use_reentrant=False))
            return y

    model = Checkpointed()
    optimizer = Adam(model.parameters())
    backward(model)
    compared(model, optimizer, Sampler(model, [optimizer], "module", Notices()))


@pytest.mark.parametrize("scale", [1024.0, torch.tensor(1024.0), torch.tensor([1024.0], dtype=torch.float64)])
def test_a_loss_scale_is_taken_out(scale: Tensor | float) -> None:
    model = net()
    optimizer = SGD(model.parameters(), lr=0.0)
    sampler = Sampler(model, [optimizer], "module", Notices())
    backward(model, 1024.0)
    expected = [norm([parameter.grad for parameter in layer]) / 1024.0 for layer in layers(model)]
    sampler.before(optimizer, scale)
    if isinstance(scale, Tensor):
        scale.mul_(2.0)
    found, total = columns(sampler.take())
    assert found == {"grad_norm": pytest.approx(expected)}
    assert total == pytest.approx(math.hypot(*expected))


def test_norms_go_back_to_before_clipping_by_a_factor() -> None:
    model = net()
    optimizer = SGD(model.parameters(), lr=0.1)
    sampler = Sampler(model, [optimizer], "module", Notices())
    backward(model)
    expected = [norm([parameter.grad for parameter in layer]) for layer in layers(model)]
    given = float(nn.utils.clip_grad_norm_(model.parameters(), 0.01))
    sampler.before(optimizer)
    sample = sampler.take()
    _, total = columns(sample)
    found, restored = columns(sample, given / total)
    assert found["grad_norm"] == pytest.approx(expected)
    assert restored == pytest.approx(given)


def test_norms_that_clipping_read_are_used() -> None:
    model = net()
    optimizer = SGD(model.parameters(), lr=0.1)
    sampler = Sampler(model, [optimizer], "module", Notices())
    backward(model)
    expected = [norm([parameter.grad for parameter in layer]) for layer in layers(model)]
    halves = list(model[0].parameters()), list(model[2].parameters())
    for parameters in halves:
        sampler.given(parameters, clip(parameters, 0.001)[1])
    sampler.before(optimizer)
    found, total = columns(sampler.take(), factor=7.0)
    assert found["grad_norm"] == pytest.approx(expected)
    assert total == pytest.approx(math.hypot(*expected))
    sampler.before(optimizer)
    again, _ = columns(sampler.take())
    assert again["grad_norm"] == pytest.approx([0.001, 0.001, expected[2]], rel=1e-3)


def test_none_zero_and_infinity_are_told_apart() -> None:
    model = net()
    optimizer = SGD(model.parameters(), lr=0.1)
    sampler = Sampler(model, [optimizer], "module", Notices())
    model[2].weight.grad = torch.zeros(8, 8)
    model[4].bias.grad = torch.tensor([1.0, math.inf])
    sampler.before(optimizer)
    sample = sampler.take()
    assert sample is not None
    assert not sample.empty
    assert columns(sample) == ({"grad_norm": [None, 0.0, math.inf]}, math.inf)


def test_no_gradient_at_all() -> None:
    model = net()
    optimizer = SGD(model.parameters(), lr=0.1)
    sampler = Sampler(model, [optimizer], "module", Notices())
    stepped(sampler, optimizer, weights=False)
    sample = sampler.take()
    assert sample is not None
    assert sample.empty
    assert columns(sample) == ({"grad_norm": [None] * 3, "update_ratio": [None] * 3}, 0.0)
    assert sampler.take() is None


@pytest.mark.parametrize("size", [1e-25, 1e25])
def test_gradients_whose_squares_fp32_cannot_hold(size: float) -> None:
    model = nn.Linear(3, 3)
    model.weight.grad = torch.full((3, 3), size)
    sampler = Sampler(model, [], "module", Notices())
    sampler.before(None)
    found, _ = columns(sampler.take())
    assert found["grad_norm"] == [pytest.approx(3 * size), None]


def test_two_optimizers_each_for_its_own() -> None:
    model = net()
    first, second = SGD(model[0].parameters(), lr=0.1), Adam(model[2].parameters())
    sampler = Sampler(model, [first, second], "module", Notices())
    backward(model)
    expected = [norm([parameter.grad for parameter in layer]) for layer in layers(model)]
    stepped(sampler, first, weights=False)
    found, _ = columns(sampler.take())
    assert found["grad_norm"] == [pytest.approx(expected[0]), None, pytest.approx(expected[2])]
    stepped(sampler, first)
    stepped(sampler, second)
    found, _ = columns(sampler.take())
    assert found["grad_norm"] == pytest.approx(expected)
    ratios = found["update_ratio"]
    assert ratios[0] is not None
    assert ratios[1] is not None
    assert ratios[2] == 0.0, "no optimizer has it, so it does not move"


def test_frozen_layers_and_tied_weights() -> None:
    model = net()
    model[4].weight = model[2].weight
    optimizer = SGD(model.parameters(), lr=0.1)
    sampler = Sampler(model, [optimizer], "parameter", Notices())
    assert sampler.names == ("0.weight", "0.bias", "2.weight", "2.bias", "4.bias")
    model[0].requires_grad_(False)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter) if parameter.requires_grad else None
    stepped(sampler, optimizer, weights=False)
    found, _ = columns(sampler.take())
    assert found["grad_norm"] == [None, None, 8.0, pytest.approx(math.sqrt(8)), pytest.approx(math.sqrt(2))]
    assert found["update_ratio"][:2] == [None, None]


def test_names_that_change_have_a_version() -> None:
    model = net()
    optimizer = SGD(model.parameters(), lr=0.1)
    sampler = Sampler(model, [optimizer], "module", Notices())
    backward(model)
    stepped(sampler, optimizer)
    assert sampler.version == 0
    sampler.take()
    model.append(nn.Linear(2, 2))
    optimizer.add_param_group({"params": model[5].parameters()})
    stepped(sampler, optimizer)
    assert (sampler.version, sampler.names) == (1, ("0", "2", "4", "5"))
    found, _ = columns(sampler.take())
    assert found["grad_norm"][3] is None
    stepped(sampler, other := SGD([nn.Parameter(torch.ones(2))], lr=0.1))
    assert (sampler.version, len(sampler.names)) == (2, 5)
    stepped(sampler, other)
    assert sampler.version == 2


@pytest.mark.parametrize("sparse", [False, True])
def test_an_embedding_whose_sampled_rows_rest_is_not_said_to_rest(sparse: bool) -> None:
    model = nn.Embedding(50_000, 8, sparse=sparse)
    optimizer = SGD(model.parameters(), lr=0.1)
    sampler = Sampler(model, [optimizer], "module", Notices())
    ratios = []
    for rate in (0.1, 0.1, 0.0, 0.0):
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        model(torch.tensor([1, 1, 7])).sum().backward()
        expected = norm([model.weight.grad])
        stepped(sampler, optimizer)
        found, _ = columns(sampler.take())
        assert found["grad_norm"] == pytest.approx([expected])
        ratios += found["update_ratio"]
    assert ratios == [None, None, 0.0, 0.0]


def test_weights_of_zero_have_no_ratio() -> None:
    model = nn.Linear(4, 4, bias=False)
    nn.init.zeros_(model.weight)
    optimizer = SGD(model.parameters(), lr=0.1)
    sampler = Sampler(model, [optimizer], "module", Notices())
    model.weight.grad = torch.ones(4, 4)
    stepped(sampler, optimizer)
    found, _ = columns(sampler.take())
    assert found == {"grad_norm": [4.0], "update_ratio": [None], "weight_norm": [0.0]}


def test_sums_of_ranks_are_elementwise_sums() -> None:
    model = net()
    sampler = Sampler(model, [], "module", Notices())
    backward(model)
    sampler.before(None)
    sample = sampler.take()
    assert sample is not None
    one, total = columns(sample)
    four, doubled = sample.columns([4 * value for value in sample.sums()])
    assert four["grad_norm"] == pytest.approx([2 * value for value in one["grad_norm"] if value is not None])
    assert doubled == pytest.approx(2 * total)


def test_training_is_not_touched() -> None:
    def trained(sampled: bool) -> list[Tensor]:
        model = net()
        optimizer = Adam(model.parameters())
        sampler = Sampler(model, [optimizer], "module", Notices())
        random: Callable[[], Tensor] = torch.random.get_rng_state
        for _ in range(3):
            optimizer.zero_grad()
            backward(model)
            before = random()
            stepped(sampler, optimizer) if sampled else optimizer.step()
            assert torch.equal(before, random())
            columns(sampler.take()) if sampled else None
        return [parameter.detach() for parameter in model.parameters()]

    assert all(map(torch.equal, trained(True), trained(False)))


def test_a_model_without_parameters() -> None:
    sampler = Sampler(nn.ReLU(), [], "module", Notices())
    sampler.before(None)
    sample = sampler.take()
    assert sample is not None
    assert sample.empty
    assert columns(sample) == ({"grad_norm": []}, 0.0)


class Reads(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what would wait for a device."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(
        self, func: Any, types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.count += func._overloadpacket in (torch.ops.aten._local_scalar_dense, torch.ops.aten.nonzero)
        return func(*args, **(kwargs or {}))


def test_nothing_waits_for_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DOUBLE", frozenset({"cpu"}))
    model = nn.Sequential(nn.Embedding(50_000, 4), nn.Linear(4, 4, bias=False))
    optimizer = SGD(model.parameters(), lr=0.1)
    sampler = Sampler(model, [optimizer], "module", Notices())
    for _ in range(2):
        optimizer.zero_grad()
        model(torch.tensor([1, 7])).sum().backward()
        with Reads() as reads:
            sampler.given(list(model[1].parameters()), clip(model[1].parameters(), 1.0)[1])
            sampler.before(optimizer, torch.tensor(2.0), weights=True)
        optimizer.step()
        with reads:
            sampler.after(optimizer)
            sample = sampler.take()
        assert sample is not None
        sample.sums()
        assert reads.count == 0


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[None]:
    """A process group of this process alone."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.usefixtures("alone")
def test_sharded_parameters_are_measured_by_their_local_part() -> None:
    model, plain = net(), net()
    mesh = init_device_mesh("cpu", (1,))
    for layer in model:
        fully_shard(layer, mesh=mesh)
    optimizer, other = SGD(model.parameters(), lr=0.5), SGD(plain.parameters(), lr=0.5)
    sampler = Sampler(model, [optimizer], "module", Notices())
    expected = Sampler(plain, [other], "module", Notices())
    assert (sampler.names, sampler.numel) == (expected.names, expected.numel)
    sampler.reduced = True
    for net_, stepping, reading in ((model, optimizer, sampler), (plain, other, expected)):
        torch.manual_seed(1)
        backward(net_)
        stepped(reading, stepping)
    found, total = columns(sampler.take())
    wanted, whole = columns(expected.take())
    assert total == pytest.approx(whole)
    assert {name: pytest.approx(column) for name, column in wanted.items()} == found
