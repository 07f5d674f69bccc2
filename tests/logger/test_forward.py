import math
from collections.abc import Callable

import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from watching import Transformer, exact_rms, untouched, watched  # noqa: F401

pytestmark = pytest.mark.usefixtures("untouched")


def test_the_size_of_blocks_of_their_parts_and_of_what_is_outside_of_them() -> None:
    model = Transformer().eval()
    x = torch.randn(2, 6, 8)
    outputs: dict[str, Tensor] = {}
    names = ("embed", "layers.0", "layers.0.attn", "layers.0.mlp", "layers.1", "layers.1.attn", "layers.1.mlp", "head")
    for name, module in model.named_modules():
        if name in names:
            module.register_forward_hook(lambda m, a, y, name=name: outputs.setdefault(name, y.detach().clone()))
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    sizes = watched(model.train(), x)["activation_rms"]
    assert {name for name, size in sizes.items() if size is not None} == set(names)
    for name in names:
        assert sizes[name] == pytest.approx(exact_rms(outputs[name]), rel=1e-6)


def test_sizes_of_several_forwards_are_pooled() -> None:
    model = nn.Sequential(nn.Linear(4, 8))
    a, b = torch.randn(3, 4), 100.0 * torch.randn(7, 4)
    assert watched(model, a, b)["activation_rms"]["0"] == pytest.approx(exact_rms(model(a), model(b)), rel=1e-6)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_is_kept(value: float) -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU())
    x = torch.randn(3, 4)
    x[0, 0] = value
    told_size = watched(model, x)["activation_rms"]["0"]
    assert told_size is not None
    assert not math.isfinite(told_size)


def test_sizes_of_half_precision_do_not_overflow() -> None:
    model = nn.Sequential(nn.Linear(64, 64)).half()
    x = torch.full((512, 64), 200.0, dtype=torch.half)
    assert watched(model, x)["activation_rms"]["0"] == pytest.approx(exact_rms(model(x)), rel=1e-3)


@pytest.mark.parametrize(
    "relu",
    [nn.ReLU(), nn.ReLU(inplace=True), nn.ReLU6(), F.relu, torch.relu, F.relu6, Tensor.relu, Tensor.relu_, torch.relu_],
)
def test_units_that_are_zero_for_the_whole_batch(relu: Callable[[Tensor], Tensor]) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc1, self.fc2 = nn.Linear(4, 10), nn.Linear(10, 2)
            self.act = relu

        def forward(self, x: Tensor) -> Tensor:
            return self.fc2(self.act(self.fc1(x)))  # type: ignore[no-any-return]

    model = Net()
    with torch.no_grad():
        model.fc1.bias.fill_(0.5)
        model.fc1.bias[:3] = -100.0
    columns = watched(model, torch.randn(64, 5, 4))
    assert columns["dead_fraction"] == {"fc1": pytest.approx(0.3), "fc2": None}


@pytest.mark.parametrize("smooth", [nn.GELU(), nn.SiLU(), nn.LeakyReLU(), nn.Hardtanh(), nn.Hardswish()])
def test_other_activation_functions_have_no_dead_units(smooth: nn.Module) -> None:
    assert "dead_fraction" not in watched(nn.Sequential(nn.Linear(4, 4), smooth), torch.randn(3, 4))


def test_units_of_convolutions_are_channels() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3), nn.ReLU())
    norm, conv = model[1], model[3]
    assert isinstance(norm, nn.BatchNorm2d)
    assert isinstance(conv, nn.Conv2d)
    assert conv.bias is not None
    with torch.no_grad():
        norm.bias[:2] = -100.0
        conv.bias[:1] = -100.0
    dead = watched(model, torch.randn(4, 3, 9, 9))["dead_fraction"]
    assert dead == {"0": None, "1": pytest.approx(0.25), "3": pytest.approx(0.25)}


def test_a_unit_is_dead_only_if_it_is_zero_in_all_forwards() -> None:
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU())
    with torch.no_grad():
        next(model.parameters()).copy_(torch.eye(2))
    one, other, none = torch.tensor([[1.0, -1.0]]), torch.tensor([[-1.0, 1.0]]), torch.tensor([[-1.0, -1.0]])
    assert watched(model, one, none)["dead_fraction"]["0"] == 0.5
    assert watched(model, one, other)["dead_fraction"]["0"] == 0.0
    assert watched(model, none, none)["dead_fraction"]["0"] == 1.0


def test_a_unit_that_is_nan_is_not_dead() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    assert watched(model, torch.full((3, 2), math.nan))["dead_fraction"]["0"] == 0.0


def test_tuples_and_mappings_are_looked_into() -> None:
    class Out(nn.Module):
        def __init__(self, wrap: Callable[[Tensor], object]) -> None:
            super().__init__()
            self.fc, self.wrap = nn.Linear(4, 4), wrap

        def forward(self, x: Tensor) -> object:
            return self.wrap(self.fc(x))

    for wrap in (lambda y: (None, y), lambda y: {"ids": torch.ones(2).long(), "y": y}):
        model = nn.ModuleDict({"block0": Out(wrap)})["block0"]
        parent = nn.Sequential(model)
        sizes = watched(parent, torch.randn(3, 4))["activation_rms"]
        assert sizes["0"] is not None
