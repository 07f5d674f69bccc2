import copy
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.nn.utils import parametrize

from gradtop.logger.sample.table import Table


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.q_proj = nn.Linear(4, 4)
        self.out = nn.Linear(4, 4, bias=False)


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(4))
        self.attn = Attention()
        self.mlp = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 4))


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(()))
        self.embed = nn.Embedding(10, 4)
        self.layers = nn.ModuleList([Block()])
        self.head = nn.Linear(4, 10, bias=False)
        self.head.weight = self.embed.weight


def adam(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters())


MODULES = (
    "temperature", "embed", "layers.0.gamma", "layers.0.attn.q_proj", "layers.0.attn.out", "layers.0.mlp.0",
    "layers.0.mlp.2",
)  # fmt: skip


def test_a_layer_is_a_module_that_owns_parameters_and_tied_ones_stand_once() -> None:
    model = Model()
    table = Table(model, [adam(model)], "module")
    assert table.names == MODULES
    assert table.numel == (1, 40, 4, 20, 16, 40, 36)
    assert table.layers == (0, 1, 2, 3, 3, 4, 5, 5, 6, 6)
    assert table.orphans == ()


def test_blocks_and_parameters() -> None:
    model = Model()
    assert Table(model, [], "block").names == (
        "temperature", "embed", "layers.0.gamma", "layers.0.attn", "layers.0.mlp",
    )  # fmt: skip
    assert Table(model, [], "parameter").names == tuple(name for name, _ in model.named_parameters())


def test_numbers_in_a_row_are_one_block() -> None:
    stages = nn.ModuleDict({"stages": nn.ModuleList([nn.ModuleList([Block(), Block()])]), "stem": nn.Linear(2, 2)})
    assert Table(stages, [], "block").names[:3] == ("stages.0.0.gamma", "stages.0.0.attn", "stages.0.0.mlp")
    assert Table(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), [], "block").names == ("0", "1")


@pytest.mark.parametrize("detail", ["module", "parameter", "block"])
def test_wrappers_leave_no_trace_in_names(detail: Literal["module", "parameter", "block"]) -> None:
    model = Model()
    expected = Table(model, [], detail).names
    wrapped = copy.deepcopy(model)
    wrapped.layers[0] = checkpoint_wrapper(wrapped.layers[0])
    compiled = torch.compile(nn.DataParallel(wrapped), backend="eager")
    assert isinstance(compiled, nn.Module)
    assert Table(compiled, [], detail).names == expected


def test_an_own_submodule_called_module_stays() -> None:
    model = nn.ModuleDict({"module": nn.Linear(2, 2), "head": nn.Linear(2, 2)})
    assert Table(model, [], "module").names == ("module", "head")


def test_parametrized_weights_belong_to_their_module() -> None:
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(3, 3)), nn.Linear(3, 3))
    assert parametrize.is_parametrized(model[0])
    assert Table(model, [], "module").names == ("0", "1")
    assert Table(model, [], "parameter").names[:3] == ("0.bias", "0.weight.original0", "0.weight.original1")


def test_a_frozen_backbone_is_left_out_until_it_is_trained() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[0].requires_grad_(False)
    table = Table(model, [adam(model)], "module")
    names = [table.names]
    assert not table.refresh()
    model[0].requires_grad_(True)
    assert table.refresh()
    names.append(table.names)
    model[1].requires_grad_(False)
    assert not table.refresh()
    assert [*names, table.names] == [("1",), ("0", "1"), ("0", "1")]


def test_layers_that_come_later() -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    optimizer = adam(model)
    tables = Table(model, [optimizer], "module"), Table(model, [], "module")
    model.append(nn.Linear(2, 3))
    assert tables[1].refresh()
    assert not tables[0].refresh()
    optimizer.add_param_group({"params": model[1].parameters()})
    assert tables[0].refresh()
    assert [table.names for table in tables] == [("0", "1")] * 2
    assert not any(table.refresh() for table in tables)


def test_a_lazy_layer_is_taken_up_when_it_has_a_shape() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.LazyLinear(3))
    table = Table(model, [], "module")
    assert table.names == ("0",)
    model(torch.ones(1, 2))
    assert table.refresh()
    assert table.numel == (6, 9)


def test_what_only_the_optimizers_know() -> None:
    model = nn.Linear(2, 2)
    loose = [nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(2))]
    groups: list[dict[str, Any]] = [{"params": model.parameters()}, {"params": loose}]
    both = torch.optim.SGD(groups, lr=0.1)
    assert Table(model, [both], "module").names == ("weight", "bias", "group1.0", "group1.1")
    assert Table(None, [both], "block").names == ("group0.0", "group0.1", "group1.0", "group1.1")
    two = [torch.optim.SGD([tensor], lr=0.1) for tensor in loose]
    assert Table(None, two, "module").names == ("optimizer0.group0.0", "optimizer1.group0.0")


def test_names_that_the_optimizer_was_given() -> None:
    optimizer = torch.optim.SGD(Model().named_parameters(), lr=0.1)
    assert Table(None, [optimizer], "module").names == (*MODULES[:2], "layers.0", *MODULES[3:])


def test_parameters_that_no_optimizer_has() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    optimizer = adam(model[1])
    table = Table(model, [optimizer], "module")
    assert table.orphans == (0, 1)
    assert table.part(optimizer) == (2, 3)


def test_an_optimizer_that_was_not_given_is_adopted() -> None:
    model = nn.Linear(2, 2)
    table = Table(model, [adam(model)], "module")
    assert not table.adopt(adam(model))
    other: Tensor = nn.Parameter(torch.ones(3))
    later = torch.optim.SGD([other], lr=0.1)
    assert table.adopt(later)
    assert not table.adopt(later)
    assert table.names == ("weight", "bias", "optimizer1.group0.0")


def test_nothing_to_measure() -> None:
    table = Table(nn.ReLU(), [], "module")
    assert (table.names, table.tensors) == ((), ())
    assert not table.refresh()
