import copy
import math
import pickle
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint, create_selective_checkpoint_contexts

from gradtop.logger.activation import Activations, Readings
from gradtop.logger.notice import Notices
from gradtop.logger.readback import Readback

Columns = dict[str, dict[str, float | None]]


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    torch.manual_seed(0)
    yield
    assert torch._C._len_torch_function_stack() == 0
    assert not torch.nn.modules.module._global_forward_hooks
    assert not torch.nn.modules.module._global_forward_pre_hooks


def opened(model: nn.Module) -> Activations:
    activations = Activations(model, Notices())
    activations.open()
    activations.open()
    return activations


def told(readings: Readings | None) -> Columns:
    assert readings is not None
    columns = readings.columns(Readback(readings.vectors).values())
    return {column: dict(zip(readings.names, values, strict=True)) for column, values in columns.items()}


def watched(model: nn.Module, *inputs: Tensor, **keywords: Tensor) -> Columns:
    activations = opened(model)
    for x in inputs:
        model(x, **keywords)
    return told(activations.close())


def exact_rms(*outputs: Tensor) -> float:
    return math.sqrt(torch.cat([output.detach().double().flatten() for output in outputs]).square().mean().item())


class Attention(nn.Module):
    def __init__(self, width: int = 16, heads: int = 4, kind: str = "sdpa", p: float = 0.0) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.heads, self.kind = heads, kind
        self.softmax, self.dropout = nn.Softmax(dim=-1), nn.Dropout(p)

    def split(self, x: Tensor) -> list[Tensor]:
        batch, length, width = x.shape
        qkv = self.qkv(x).chunk(3, -1)
        return [part.view(batch, length, self.heads, width // self.heads).transpose(1, 2) for part in qkv]

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.split(x)
        if self.kind == "sdpa":
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            later = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
            scores = (q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])).masked_fill(later, torch.finfo(q.dtype).min)
            shares = self.softmax(scores) if self.kind == "module" else F.softmax(scores, dim=-1)
            y = self.dropout(shares) @ v
        return self.out(y.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class Block(nn.Module):
    def __init__(self, kind: str = "sdpa", p: float = 0.0) -> None:
        super().__init__()
        self.norm, self.attn = nn.LayerNorm(16), Attention(kind=kind, p=p)
        self.mlp = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Dropout(p), nn.Linear(32, 16))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm(x))
        return x + self.mlp(x)  # type: ignore[no-any-return]


class Transformer(nn.Module):
    def __init__(self, again: Callable[[nn.Module, Tensor], Tensor] | None = None, kind: str = "sdpa") -> None:
        super().__init__()
        self.embed, self.head = nn.Linear(8, 16), nn.Linear(16, 8)
        self.layers = nn.ModuleList(Block(kind, p=0.2) for _ in range(2))
        self.again = again

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        for layer in self.layers:
            x = layer(x) if self.again is None else self.again(layer, x)
        return self.head(x)  # type: ignore[no-any-return]


def reentrant(layer: nn.Module, x: Tensor) -> Tensor:
    return checkpoint(layer, x, use_reentrant=True)  # type: ignore[no-any-return]


def early_stopping(layer: nn.Module, x: Tensor) -> Tensor:
    return checkpoint(layer, x, use_reentrant=False)  # type: ignore[no-any-return]


def selective(layer: nn.Module, x: Tensor) -> Tensor:
    kept = [torch.ops.aten.bmm.default, torch.ops.aten.mm.default, torch.ops.aten.addmm.default]
    contexts = partial(create_selective_checkpoint_contexts, kept)
    return checkpoint(layer, x, use_reentrant=False, context_fn=contexts)  # type: ignore[no-any-return]


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


@pytest.mark.parametrize("kind", ["sdpa", "function", "module"])
def test_the_largest_logit_of_causal_attention(kind: str) -> None:
    model = nn.Sequential(Attention(kind=kind))
    attention = model[0]
    assert isinstance(attention, Attention)
    x = torch.randn(2, 20, 16)
    q, k, _ = (part.detach().double() for part in attention.split(x))
    later = torch.ones(20, 20, dtype=torch.bool).triu(1)
    exact = (q @ k.transpose(-2, -1) / 2.0).masked_fill(later, -math.inf).max().item()
    logits = watched(model, x)["max_attention_logit"]
    assert {name: logit for name, logit in logits.items() if logit is not None} == {"0": pytest.approx(exact, rel=1e-5)}


class Given(nn.Module):
    """Attention over what it is given."""

    def __init__(self, attend: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.attend = attend

    def forward(self, x: Tensor) -> Tensor:
        return self.attend(x * self.weight)


def _exact(q: Tensor, k: Tensor, mask: Tensor | None, scale: float) -> float:
    scores = q.double() @ k.double().transpose(-2, -1) * scale
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else scores + mask
    return float(scores.max())


def _lower() -> Tensor:
    return torch.ones(9, 9, dtype=torch.bool).tril()


@pytest.mark.parametrize(
    "mask",
    [
        None,
        _lower(),
        torch.zeros(9, 9).masked_fill(~_lower(), -math.inf),
        torch.zeros(9, 9).masked_fill(~_lower(), -1e9),
        torch.linspace(-3.0, 3.0, 9).expand(2, 1, 1, 9),
        (torch.arange(9) < 4).expand(2, 1, 1, 9),
        (torch.arange(9) < 4)[None, None, None],
    ],
)
def test_masks_and_scales_of_attention_functions(mask: Tensor | None) -> None:
    q, k = torch.randn(2, 3, 9, 4), torch.randn(2, 3, 9, 4)
    model = Given(lambda x: F.scaled_dot_product_attention(x, k, k, attn_mask=mask, scale=3.0))
    logits = watched(model, q)["max_attention_logit"]
    assert logits["model"] == pytest.approx(_exact(q, k, mask, 3.0), rel=1e-5)


def test_fewer_heads_of_keys_than_of_queries() -> None:
    q, k = torch.randn(2, 6, 5, 4), torch.randn(2, 2, 7, 4)
    q[:, 4] *= 10.0
    model = Given(lambda x: F.scaled_dot_product_attention(x, k, k, enable_gqa=True))
    exact = _exact(q, k.repeat_interleave(3, 1), None, 0.5)
    assert watched(model, q)["max_attention_logit"]["model"] == pytest.approx(exact, rel=1e-5)


def test_of_long_sequences_evenly_spaced_queries_of_two_entries_are_looked_at() -> None:
    q, k = torch.randn(8, 2, 200, 4), torch.randn(8, 2, 200, 4)
    model = Given(lambda x: F.scaled_dot_product_attention(x, k, k, is_causal=True))
    lower = torch.ones(200, 200, dtype=torch.bool).tril()
    at = torch.arange(199, -1, -4)
    exact = _exact(q[::4, :, at], k[::4], lower[at], 0.5)
    assert watched(model, q)["max_attention_logit"]["model"] == pytest.approx(exact, rel=1e-5)


def test_attention_that_is_masked_everywhere_has_no_logit() -> None:
    q = torch.randn(1, 1, 3, 4)
    mask = torch.full((3, 3), -1e9)
    model = Given(lambda x: F.scaled_dot_product_attention(x, x, x, attn_mask=mask).sum() + F.relu(x).sum())
    assert "max_attention_logit" not in watched(model, q)


def test_a_softmax_over_classes_or_experts_is_no_attention() -> None:
    gate = nn.Linear(4, 3)
    model = Given(lambda x: F.softmax(gate(x @ x.transpose(-2, -1) @ x), -1))
    assert "max_attention_logit" not in watched(model, torch.randn(2, 6, 4))


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("need_weights", [False, True])
def test_the_attention_module_of_torch(separate: bool, need_weights: bool) -> None:
    sides = {"kdim": 6, "vdim": 6} if separate else {}
    inner = nn.MultiheadAttention(8, 2, batch_first=True, **sides)
    nn.init.normal_(inner.in_proj_bias)
    x, y = torch.randn(2, 5, 8), torch.randn(2, 7, 6 if separate else 8)
    padding = torch.zeros(2, 7, dtype=torch.bool)
    padding[1, 3:] = True
    later = torch.ones(5, 7, dtype=torch.bool).triu(1)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attn = inner

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.attn(x, y, y, key_padding_mask=padding, attn_mask=later, need_weights=need_weights)[0]
            return out

    weights = (inner.q_proj_weight, inner.k_proj_weight) if separate else inner.in_proj_weight.chunk(3)
    q_bias, k_bias, _ = inner.in_proj_bias.chunk(3)
    q = F.linear(x, weights[0], q_bias).view(2, 5, 2, 4).transpose(1, 2).detach()
    k = F.linear(y, weights[1], k_bias).view(2, 7, 2, 4).transpose(1, 2).detach()
    exact = _exact(q, k, ~(later[None, None] | padding[:, None, None]), 0.5)
    assert watched(Net(), x)["max_attention_logit"]["attn"] == pytest.approx(exact, rel=1e-5)


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
            return self(y, deep - 1) if deep else y  # type: ignore[no-any-return]

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
