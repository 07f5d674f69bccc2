import copy
import pickle
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from watching import (  # noqa: F401
    Given,
    Transformer,
    early_stopping,
    exact_rms,
    opened,
    reentrant,
    selective,
    told,
    untouched,
    watched,
)

from gradtop.logger.activation import Activations
from gradtop.logger.notice import Notices

pytestmark = pytest.mark.usefixtures("untouched")


def train(
    model: nn.Module, steps: int, activations: Activations | None, around: AbstractContextManager[object]
) -> tuple[list[Tensor], Tensor]:
    torch.manual_seed(1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    model.train()
    for _ in range(steps):
        if activations is not None:
            activations.open()
        x = torch.randn(3, 7, 8, requires_grad=True)
        with around:
            loss = (model(x) - x).square().mean()
        loss.backward()
        if activations is not None:
            activations.close()
        optimizer.step()
        optimizer.zero_grad()
    return [parameter.detach().clone() for parameter in model.parameters()], torch.get_rng_state()


@pytest.mark.parametrize("kind", ["sdpa", "function"])
@pytest.mark.parametrize("again", [None, reentrant, early_stopping, selective])
def test_the_training_is_the_same_bit_by_bit(again: Callable[[nn.Module, Tensor], Tensor] | None, kind: str) -> None:
    model = Transformer(again, kind)
    plain, plain_rng = train(copy.deepcopy(model), 20, None, nullcontext())
    seen, seen_rng = train(model, 20, opened(model), nullcontext())
    assert all(torch.equal(a, b) for a, b in zip(plain, seen, strict=True))
    assert torch.equal(plain_rng, seen_rng)


def test_a_checkpoint_that_keeps_products_gets_those_of_the_model_back() -> None:
    def attend(x: Tensor) -> Tensor:
        y = F.scaled_dot_product_attention(x, x, x)
        return torch.bmm(torch.bmm(y[0], y[0].transpose(1, 2)), y[0])

    model = Given(attend)
    x = torch.randn(1, 2, 5, 4)
    (expected,) = torch.autograd.grad(selective(model, x).square().sum(), model.weight)
    activations = opened(model)
    (found,) = torch.autograd.grad(selective(model, x).square().sum(), model.weight)
    assert "max_attention_logit" in told(activations.close())
    assert torch.equal(found, expected)


def test_the_training_is_the_same_under_autocast() -> None:
    model = Transformer(kind="function")
    plain, _ = train(copy.deepcopy(model), 5, None, torch.autocast("cpu", dtype=torch.bfloat16))
    seen, _ = train(model, 5, opened(model), torch.autocast("cpu", dtype=torch.bfloat16))
    assert all(torch.equal(a, b) for a, b in zip(plain, seen, strict=True))


@pytest.mark.parametrize("again", [reentrant, early_stopping, selective])
def test_what_is_computed_again_counts_once(again: Callable[[nn.Module, Tensor], Tensor]) -> None:
    model = Transformer(again)
    x = torch.randn(2, 5, 8, requires_grad=True)
    counts = []
    for backward in (False, True):
        activations = opened(model)
        y = model(x)
        if backward:
            y.sum().backward()
        readings = activations.close()
        assert readings is not None
        counts.append([len(entries) for entries in readings.entries])
    assert counts == [[12], [12]]


def test_no_number_is_read_from_the_device() -> None:
    model = Transformer(kind="function")
    x = torch.randn(2, 5, 8)
    activations = opened(model)
    with torch.autograd.profiler.profile() as profile:
        model(x)
        readings = activations.close()
    assert readings is not None
    names = {event.name for event in profile.function_events}
    assert "aten::linalg_vector_norm" in names
    assert not names & {"aten::item", "aten::_local_scalar_dense", "aten::is_nonzero"}


def test_the_model_is_copied_and_pickled_as_without() -> None:
    model = Transformer()
    before = pickle.dumps(model)
    activations = opened(model)
    model(torch.randn(2, 5, 8))
    assert pickle.dumps(model) == before
    copy.deepcopy(model)(torch.randn(2, 5, 8))
    assert list(model.state_dict()) == list(Transformer().state_dict())
    activations.close()


def test_only_training_forwards_of_this_model_and_thread_count() -> None:
    model, other = nn.Sequential(nn.Linear(4, 4)), nn.Linear(4, 4)
    x = torch.randn(2, 4)
    activations = opened(model)
    with torch.no_grad():
        model(x)
    model.eval()(x)
    model.train()
    other(x)
    thread = threading.Thread(target=model, args=(x,))
    thread.start()
    thread.join()
    torch.func.vmap(model)(x)
    assert activations.close() is None


def test_nothing_is_seen_before_the_second_call_and_after_close() -> None:
    model = nn.Sequential(nn.Linear(4, 4))
    activations = Activations(model, Notices())
    for seen in (False, True, True):
        activations.open()
        model(torch.randn(2, 4))
        assert (activations.close() is not None) is seen
        model(torch.randn(2, 4))
        assert activations.close() is None


@pytest.mark.parametrize("raised", [ValueError, KeyboardInterrupt])
def test_a_forward_that_raises_leaves_nothing_behind(raised: type[BaseException]) -> None:
    def attend(x: Tensor) -> Tensor:
        if x.shape[0] == 1:
            raise raised
        return F.relu(x)

    model = nn.Sequential(nn.Linear(4, 4), Given(attend))
    activations = opened(model)
    with pytest.raises(raised):
        model(torch.randn(1, 4))
    assert torch._C._len_torch_function_stack() == (raised is KeyboardInterrupt)
    model(torch.randn(3, 4))
    assert activations.close() is not None
    assert torch._C._len_torch_function_stack() == 0


def test_modes_of_the_training_go_on_as_without() -> None:
    model = nn.Sequential(nn.Linear(4, 4), Given(lambda x: F.relu(x + in_meta(x))))

    def in_meta(x: Tensor) -> Tensor:
        with torch.device("meta"):
            assert torch.empty(()).is_meta
        return torch.zeros(())

    with torch.device("cpu"):
        assert watched(model, torch.randn(2, 4))["dead_fraction"]["1"] is not None


def test_a_module_that_is_called_twice_and_one_that_calls_itself() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x: Tensor, deep: int = 2) -> Tensor:
            y = F.relu(self.fc(x))
            return self(y, deep - 1) if deep else y

    model = Twice()
    x = torch.randn(5, 4)
    outputs: list[Tensor] = []
    handle = model.fc.register_forward_hook(lambda m, a, y: outputs.append(y))
    columns = watched(model, x)
    handle.remove()
    assert len(outputs) == 3
    assert columns["activation_rms"]["fc"] == pytest.approx(exact_rms(*outputs), rel=1e-6)
    dead = torch.stack([(output <= 0).all(0) for output in outputs]).all(0).double().mean().item()
    assert columns["dead_fraction"]["fc"] == pytest.approx(dead)


def test_compiled_models_are_left_alone_and_it_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    class OptimizedModule(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self._orig_mod = inner

    model = OptimizedModule(nn.Linear(4, 4))
    activations = opened(nn.Sequential(model))
    activations.open()
    assert activations.close() is None
    assert [record.getMessage() for record in caplog.records] == [
        "gradtop: activations are not recorded: torch.compile is in use, and would compile again to be watched"
    ]


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")
def test_what_is_compiled_inside_the_model_is_known_after_the_first_step(caplog: pytest.LogCaptureFixture) -> None:
    model = nn.Sequential(nn.Linear(4, 4), Given(torch.compile(lambda x: x * 2.0, backend="eager", fullgraph=True)))
    activations = Activations(model, Notices())
    for _ in range(3):
        activations.open()
        model(torch.randn(2, 4))
        assert activations.close() is None
    assert len([record for record in caplog.records if record.name == "gradtop"]) == 1


def test_a_failure_of_ours_is_said_once_and_the_forward_goes_on(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **kwargs: object) -> Tensor:
        raise RuntimeError("no")

    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    x = torch.randn(2, 4)
    expected = model(x)
    monkeypatch.setattr(torch.linalg, "vector_norm", fail)
    activations = opened(model)
    assert torch.equal(model(x), expected)
    activations.close()
    activations.open()
    assert activations.close() is None
    assert [record.getMessage() for record in caplog.records] == [
        "gradtop: activations are not recorded: RuntimeError: no"
    ]
