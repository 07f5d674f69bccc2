"""`TransformersCallback` in the real Trainer, on models of a few thousand parameters."""

import copy
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from trained import QUIET, Gradients, Stream, by_module, doubled, same, total, weights

pytestmark = QUIET

CLIP = 0.5


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"):
        monkeypatch.setenv(name, "1")


def language_model() -> Any:
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config(vocab_size=50, n_positions=8, n_embd=16, n_layer=2, n_head=2))


def batches(count: int = 32) -> list[dict[str, torch.Tensor]]:
    drawn = torch.randint(0, 50, (count, 8), generator=torch.Generator().manual_seed(1))
    return [{"input_ids": row, "labels": row} for row in drawn]


def trainer(output: Path, callbacks: list[Any], **arguments: Any) -> Any:
    from transformers import Trainer, TrainingArguments

    class Watched(Trainer):  # type: ignore[misc]
        """Keeps the gradients of each optimizer step as they are before clipping."""

        def training_step(self, *args: Any, **kwargs: Any) -> Any:
            loss = super().training_step(*args, **kwargs)
            self.gradients = doubled(self.model)
            if self.accelerator.sync_gradients:
                seen.append(self.gradients)
            return loss

    seen: list[Gradients] = []
    plain = {
        "output_dir": str(output), "max_steps": 6, "per_device_train_batch_size": 4, "logging_steps": 2,
        "learning_rate": 1e-2, "warmup_steps": 2, "max_grad_norm": CLIP, "save_strategy": "no", "report_to": [],
        "use_cpu": True, "disable_tqdm": True, "dataloader_pin_memory": False, "seed": 3,
    }  # fmt: skip
    args = TrainingArguments(**plain | arguments)
    made = Watched(language_model(), args, train_dataset=batches(), eval_dataset=batches(8), callbacks=callbacks)
    made.seen = seen
    return made


def breaking(at: int, error: type[BaseException] = ValueError) -> Any:
    """A callback that breaks the training off after a step."""
    from transformers import TrainerCallback

    class Breaking(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            if state.global_step == at:
                raise error("no more")

    return Breaking()


def logged(made: Any, name: str) -> dict[int, float]:
    """What the Trainer itself kept, but for its summary."""
    return {row["step"]: row[name] for row in made.state.log_history if name in row and "train_runtime" not in row}


def test_every_step_is_a_row_and_the_losses_are_those_of_the_trainer(tmp_path: Path) -> None:
    from gradtop.integrations import TransformersCallback

    made = trainer(tmp_path, [TransformersCallback()], eval_strategy="steps", eval_steps=3)
    made.train()
    stream = Stream.of(tmp_path)
    assert stream.column("loss") == logged(made, "loss")
    assert stream.column("val_loss") == logged(made, "eval_loss")
    rates, norms = stream.column("lr"), stream.column("grad_norm")
    assert list(rates) == list(norms) == [1, 2, 3, 4, 5, 6]
    for step, rate in logged(made, "learning_rate").items():
        assert rates[step] == rate
    for step, norm in logged(made, "grad_norm").items():
        assert norms[step] == pytest.approx(norm, rel=1e-6)
    assert all(wait >= 0 for wait in stream.column("data_time_s").values())
    assert stream.records[-1] == stream.only("end")[0]
    assert (stream.records[-1]["status"], stream.records[-1]["step"]) == ("finished", 6)


def test_norms_per_layer_are_those_before_clipping(tmp_path: Path) -> None:
    from gradtop.integrations import TransformersCallback

    made = trainer(tmp_path, [TransformersCallback(every=1)])
    made.train()
    stream, exact = Stream.of(tmp_path), made.seen[2]
    assert total(exact) > CLIP
    assert stream.column("grad_norm")[3] == pytest.approx(total(exact), rel=1e-5)
    layers = stream.layers(3, "grad_norm")
    assert layers.keys() == by_module(exact).keys()
    assert layers == pytest.approx(by_module(exact), rel=1e-4)


def test_facts_are_those_of_the_arguments(tmp_path: Path) -> None:
    from gradtop.integrations import TransformersCallback

    trainer(tmp_path, [TransformersCallback(lr_max=7.0)], gradient_accumulation_steps=2, run_name="first").train()
    (facts,) = Stream.of(tmp_path).only("run")
    assert facts["run"] == "first"
    stated = {"total_steps": 6, "warmup_steps": 2, "clip_norm": CLIP, "accumulation": 2, "batch_size": 8, "lr_max": 7.0}
    assert facts["train"].items() >= {**stated, "optimizer": "AdamW"}.items()
    assert facts["semantics"]["grad_norm"] == "pre_clip"


def test_accumulated_micro_batches_are_one_step(tmp_path: Path) -> None:
    from gradtop.integrations import TransformersCallback

    made = trainer(tmp_path, [TransformersCallback(every=1)], gradient_accumulation_steps=3, max_steps=4)
    made.train()
    stream = Stream.of(tmp_path)
    assert list(stream.column("grad_norm")) == [1, 2, 3, 4]
    assert stream.column("loss") == logged(made, "loss")
    assert stream.layers(2, "grad_norm") == pytest.approx(by_module(made.seen[1]), rel=1e-4)


def test_the_weights_are_the_same_without_it(tmp_path: Path) -> None:
    from gradtop.integrations import TransformersCallback

    bare = trainer(tmp_path / "bare", [])
    bare.train()
    recorded = trainer(tmp_path / "recorded", [TransformersCallback(every=1)])
    recorded.train()
    assert same(weights(bare.model), weights(recorded.model))
    assert torch.nn.utils.clip_grad_norm_.__module__ == "torch.nn.utils.clip_grad"


def test_bf16(tmp_path: Path) -> None:
    from gradtop.integrations import TransformersCallback

    made = trainer(tmp_path, [TransformersCallback(every=1)], bf16=True)
    made.train()
    stream = Stream.of(tmp_path)
    assert stream.only("run")[0]["train"]["precision"] == "bf16"
    assert stream.layers(1, "grad_norm") == pytest.approx(by_module(made.seen[0]), rel=1e-4)


def test_a_resumed_training_is_a_new_session_whose_steps_go_on(tmp_path: Path) -> None:
    from gradtop.integrations import TransformersCallback

    saving = {"save_strategy": "steps", "save_steps": 4}
    trainer(tmp_path, [TransformersCallback()], **saving).train()
    trainer(tmp_path, [TransformersCallback()], **saving, max_steps=8).train(str(tmp_path / "checkpoint-4"))
    stream = Stream.of(tmp_path)
    assert [facts["session"] for facts in stream.only("run")] == [1, 2]
    rows = [row["step"] for row in stream.only("metrics") if "lr" in row]
    assert rows == [1, 2, 3, 4, 5, 6, 5, 6, 7, 8]
    assert next(event["message"] for event in stream.only("event")) == "checkpoint-4"


def test_a_training_that_fails_ends_as_crashed(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]); import test_transformers as tests\n"
        "from gradtop.integrations import TransformersCallback\n"
        "tests.trainer(Path(sys.argv[2]), [TransformersCallback(), tests.breaking(3)]).train()\n"
    )
    command = [sys.executable, "-c", script, str(Path(__file__).parent), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert "ValueError: no more" in done.stderr
    stream = Stream.of(tmp_path)
    assert stream.only("end")[0]["status"] == "crashed"
    assert "ValueError: no more" in stream.only("event")[-1]["message"]


def test_training_again_closes_what_an_interrupted_training_left_open(tmp_path: Path) -> None:
    from gradtop.integrations import TransformersCallback

    made, breaks = trainer(tmp_path, [TransformersCallback()]), breaking(2, KeyboardInterrupt)
    made.add_callback(breaks)
    with pytest.raises(KeyboardInterrupt):
        made.train()
    made.remove_callback(breaks)
    made.train()
    assert [end["status"] for end in Stream.of(tmp_path).only("end")] == ["aborted", "finished"]


def test_a_copy_has_not_begun(tmp_path: Path) -> None:
    from gradtop.integrations import TransformersCallback

    callback = TransformersCallback(tmp_path, every=5)
    trainer(tmp_path, [callback], max_steps=1).train()
    for made in (copy.deepcopy(callback), pickle.loads(pickle.dumps(callback))):
        assert made.recording.log is None
        assert made.recording.options == {"every": 5}
