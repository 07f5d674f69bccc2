"""The model is found by what the optimizer trains."""

import gc

import torch
from torch import nn

from gradtop.attach.model import holding, living, parameters


def test_the_root_that_holds_the_parameters_is_the_model() -> None:
    outer = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 1)))
    other = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(outer.parameters(), lr=0.1)
    roots, optimizers = living()
    assert any(root is outer for root in roots)
    assert any(root is other for root in roots)
    assert not any(root is outer[1] for root in roots)
    assert any(one is optimizer for one in optimizers)
    assert holding(roots, parameters(optimizer)) is outer


def test_a_container_with_a_teacher_beside_it_is_not_preferred_to_the_smaller_root() -> None:
    student, teacher = nn.Linear(2, 2), nn.Linear(2, 2)
    both = nn.ModuleList([student, teacher])
    assert holding([both, student], {id(parameter) for parameter in student.parameters()}) is student


def test_two_models_come_as_one_with_their_class_names() -> None:
    first, second = nn.Linear(2, 2), nn.Linear(2, 1)
    wanted = {id(parameter) for module in (first, second) for parameter in module.parameters()}
    whole = holding([first, second], wanted)
    assert whole is not None
    assert [name for name, _ in whole.named_parameters()] == [
        "Linear.weight", "Linear.bias", "Linear_2.weight", "Linear_2.bias",
    ]  # fmt: skip


def test_parameters_of_no_module_have_no_model() -> None:
    weight = nn.Parameter(torch.zeros(2))
    assert holding([nn.Linear(2, 2)], {id(weight)}) is None


def test_objects_that_are_no_modules_are_asked_nothing() -> None:
    class Meta(type):
        __hash__ = None  # type: ignore[assignment]

        def __eq__(cls, other: object) -> bool:
            raise AssertionError

    class Proxy(metaclass=Meta):
        @property  # type: ignore[misc]
        def __class__(self) -> type:
            raise AssertionError

    proxy = Proxy()
    raw = nn.Module.__new__(nn.Module)  # its __init__ has not run
    assert gc.is_tracked(proxy)
    roots, _ = living()
    assert not any(root is raw for root in roots)
    assert type(proxy) is Proxy
