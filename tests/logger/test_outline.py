import pytest

pytest.importorskip("torch")

from torch import nn

from gradtop.logger.activation.outline import MOST, outline


def sized(model: nn.Module) -> list[str]:
    return [node.name for node in outline(model).values() if node.sized]


def block() -> nn.Module:
    return nn.ModuleDict({"norm": nn.LayerNorm(2), "mlp": nn.Sequential(nn.Linear(2, 2)), "act": nn.ReLU()})


class Wrapper(nn.Module):
    def __init__(self, name: str, inner: nn.Module) -> None:
        super().__init__()
        self.add_module(name, inner)


def test_blocks_and_their_parts_are_layers_and_weights_outside_of_blocks() -> None:
    model = nn.ModuleDict(
        {"embed": nn.Embedding(2, 2), "layers": nn.ModuleList([block(), block()]), "drop": nn.Dropout()}
    )
    assert sized(model) == ["embed", "layers.0", "layers.0.mlp", "layers.1", "layers.1.mlp"]


def test_without_blocks_each_module_with_weights_is_a_layer() -> None:
    assert sized(nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))) == ["0", "2"]


def test_blocks_by_name_and_number() -> None:
    model = nn.ModuleDict({"layer1": nn.Sequential(nn.Sequential(nn.Conv2d(2, 2, 1))), "fc": nn.Linear(2, 2)})
    assert sized(model) == ["layer1", "layer1.0", "fc"]


@pytest.mark.parametrize("name", ["module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"])
def test_wrappers_have_no_part_in_names(name: str) -> None:
    inner = nn.ModuleDict({"layers": nn.ModuleList([Wrapper("_checkpoint_wrapped_module", block())])})
    nodes = outline(Wrapper(name, inner)).values()
    assert [node.name for node in nodes if node.sized] == ["layers.0", "layers.0.mlp"]
    assert {node.name for node in nodes if node.weighs} == {"layers.0.norm", "layers.0.mlp.0"}


def test_of_too_many_the_deepest_are_left_out() -> None:
    experts = nn.ModuleList(nn.Sequential(nn.Linear(2, 2)) for _ in range(MOST))
    model = nn.ModuleDict({"layers": nn.ModuleList([nn.ModuleDict({"experts": experts})]), "head": nn.Linear(2, 2)})
    names = sized(model)
    assert len(names) == MOST
    assert names[:2] == ["layers.0", "layers.0.experts"]
    assert names[-1] == "head"


def test_a_reparametrised_module_has_weights_of_its_own() -> None:
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(2, 2, bias=False)))
    nodes = [node for node in outline(model).values() if node.weighs]
    assert [(node.name, node.sized) for node in nodes] == [("0", True)]
