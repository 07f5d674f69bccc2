"""Side files state facts, whatever is in them, and never run anything."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gradtop.sources.fields.sidefile import AFTER_S, BEFORE_S, MAX_BYTES, SIDE_FILES, facts_beside

ULTRALYTICS = """\
task: detect
mode: train
epochs: 100
time: null
batch: 16
optimizer: AdamW
seed: 0
lr0: 0.01
warmup_epochs: 3.0
amp: true
"""
AUTOMATIC = ULTRALYTICS.replace("AdamW", "auto")
LIGHTNING = """\
lr: 1e-4
max_steps: 20000
warmup_steps: 500
optimizer: !!python/name:torch.optim.adamw.AdamW ''
loss: !!python/object:torch.nn.modules.loss.CrossEntropyLoss
  training: true
  state: !!python/tuple [1, 2]
trainer: !!python/object/apply:os.system ["touch BOOM"]
accumulate_grad_batches: 4
gradient_clip_val: 1.0
precision: bf16-mixed
"""
WANDB = """\
_wandb:
    value:
        cli_version: 0.31.0
        max_steps: {desc: null}
learning_rate:
    value: 0.0002
max_steps:
    value: -1
num_train_epochs:
    value: 3
warmup_ratio:
    value: 0.1
max_grad_norm:
    value: 0.3
bf16:
    desc: null
    value: true
"""
HYDRA = """\
trainer:
  max_steps: 5000
  accumulate_grad_batches: 2
optim:
  lr: 0.0003
  grad_clip: 1.0
model:
  num_layers: 12
  batch_size: 7
critic:
  optim: {lr: 9}
data:
  batch_size: 9
optimizer:
  _target_: torch.optim.AdamW
  betas: [0.9, 0.95]
"""
DETECTRON = """\
SOLVER:
  BASE_LR: 0.02
  MAX_ITER: 90000
  WARMUP_ITERS: 1000
  IMS_PER_BATCH: 16
"""
PAIRS = "!!python/object/apply:collections.OrderedDict\n- - - learning_rate\n    - 0.0003\n  - - batch_size\n    - 64\n"
CONFIG_JSON = '{"model_type": "gpt2", "num_hidden_layers": 24, "torch_dtype": "bfloat16", "vocab_size": 50257}'
ARGS_JSON = '{"max_steps": 1000, "learning_rate": 5e-05, "warmup_steps": 0.05, "per_device_train_batch_size": 8}'


def stated(folder: Path, files: Mapping[str, str]) -> dict[str, Any]:
    log = folder / "train.log"
    log.write_text("step 1 loss 2.5\n")
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    facts = facts_beside([log])
    return {**msgspec.to_builtins(facts.model), **msgspec.to_builtins(facts.train)}


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (
            "args.yaml",
            ULTRALYTICS,
            {"epochs": 100.0, "batch_size": 16, "optimizer": "AdamW", "lr_max": 0.01, "warmup_epochs": 3.0}
            | {"precision": "amp"},
        ),
        (
            "args.yaml",
            AUTOMATIC,
            {"epochs": 100.0, "batch_size": 16, "warmup_epochs": 3.0, "precision": "amp"},
        ),
        (
            "hparams.yaml",
            LIGHTNING,
            {"lr_max": 1e-4, "total_steps": 20000, "warmup_steps": 500, "accumulation": 4, "clip_norm": 1.0}
            | {"precision": "bf16"},
        ),
        (
            "config.yaml",
            WANDB,
            {"lr_max": 0.0002, "epochs": 3.0, "warmup_ratio": 0.1, "clip_norm": 0.3, "precision": "bf16"},
        ),
        (
            ".hydra/config.yaml",
            HYDRA,
            {"total_steps": 5000, "accumulation": 2, "lr_max": 0.0003, "clip_norm": 1.0, "layers": 12}
            | {"optimizer": "AdamW"},
        ),
        ("config.yaml", DETECTRON, {"lr_max": 0.02, "total_steps": 90000, "warmup_steps": 1000, "batch_size": 16}),
        ("config.yml", PAIRS, {"lr_max": 0.0003, "batch_size": 64}),
        ("config.json", CONFIG_JSON, {"layers": 24}),
        (
            "training_args.json",
            ARGS_JSON,
            {"total_steps": 1000, "lr_max": 5e-05, "warmup_ratio": 0.05, "micro_batch_size": 8},
        ),
    ],
)
def test_side_files(tmp_path: Path, name: str, text: str, expected: dict[str, Any]) -> None:
    assert stated(tmp_path, {name: text}) == expected


def test_nothing_in_a_side_file_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    stated(tmp_path, {"hparams.yaml": LIGHTNING})
    assert not (tmp_path / "BOOM").exists()


def test_a_file_of_the_training_goes_before_one_of_the_model(tmp_path: Path) -> None:
    files = {"config.json": '{"num_hidden_layers": 24, "max_steps": 5}', "args.json": ARGS_JSON}
    told = stated(tmp_path, files)
    assert (told["layers"], told["total_steps"]) == (24, 1000)
    facts = facts_beside([tmp_path / "train.log"])
    assert (facts.origin["layers"], facts.origin["total_steps"]) == ("config.json", "args.json")


ENDINGS = {name.rpartition(".")[2]: name for name in SIDE_FILES}
"""Kind of file → one name of it: what reads a file goes by its ending."""


@pytest.mark.parametrize("name", [name for end, name in ENDINGS.items() if end in ("yaml", "json")])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\1\2\xff\xfe",
        b"{",
        b"- [\n",
        b"[" * 100_000,
        b"a: &a [*a, *a]\nmax_steps: 5\n",
        b"a: &a {x: y}\n" + b"".join(b"k%d: &k%d [*a, *a, *k%d]\n" % (i, i, max(0, i - 1)) for i in range(1, 60)),
        b"at: !!timestamp x\nlr: !!float y\nb: !!binary \xff\n",
        b"max_steps: " + b"9" * 5000,
        b'{"max_steps": NaN, "epochs": 1e999, "lr": true}',
        b"max_steps: !!int x\n",
        b"lr: 2026-99-99\n? [a, b]\n: 3\n",
        b"x" * (MAX_BYTES + 1),
    ],
    ids=lambda content: str(content[:12]),
)
def test_odd_content_states_nothing(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / "train.log").touch()
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(content)
    assert facts_beside([tmp_path / "train.log"]).origin == {}


def test_what_is_no_regular_file_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "train.log").touch()
    (tmp_path / "args.yaml").mkdir()
    os.mkfifo(tmp_path / "hparams.yaml")
    (tmp_path / "config.yaml").symlink_to("/dev/zero")
    (tmp_path / "config.json").symlink_to("nowhere")
    assert facts_beside([tmp_path / "train.log"]).origin == {}
    assert facts_beside([tmp_path / "gone" / "train.log"]).origin == {}
    assert facts_beside([]).origin == {}


@pytest.mark.parametrize(
    ("age_s", "taken"), [(0.0, True), (BEFORE_S - 60, True), (BEFORE_S + 60, False), (-AFTER_S - 60, False)]
)
def test_a_side_file_of_another_time_is_of_another_run(tmp_path: Path, age_s: float, taken: bool) -> None:
    log, side = tmp_path / "train.log", tmp_path / "args.yaml"
    log.touch()
    side.write_text(ULTRALYTICS)
    at = log.stat().st_mtime - age_s
    os.utime(side, (at, at))
    assert bool(facts_beside([log]).origin) is taken
