"""Settings in the text of a log are facts of the run, with the line that states them, and never metrics."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from reading import read

from gradtop.record import Record, Rows, RunFacts, merged
from gradtop.sources.text.fact import FactReader
from gradtop.sources.text.reader import TextReader
from gradtop.sources.text.signs import Place

MEGATRON = """\
------------------------ arguments ------------------------
  bf16 ............................................ True
  clip_grad ....................................... 1.0
  fp16 ............................................ False
  global_batch_size ............................... 1024
  lr .............................................. 0.0003
  lr_decay_iters .................................. 320000
  lr_warmup_fraction .............................. None
  lr_warmup_iters ................................. 2000
  lr_warmup_samples ............................... 0
  micro_batch_size ................................ 4
  min_lr .......................................... 3e-05
  num_layers ...................................... 24
  optimizer ....................................... adam
  train_iters ..................................... 500000
  world_size ...................................... 64
-------------------- end of arguments ---------------------
"""
NEOX = """\
  clip_grad ....................... 1.0.........default
  gradient_accumulation_steps ..... 2..........updated
  lr .............................. 0.0006.....updated
  train_iters ..................... 320000.....updated
  warmup .......................... 0.01.......default
"""
DEEPSPEED = """\
[2026-01-02 15:45:22,160] [INFO] [config.py:1003:print] DeepSpeedEngine configuration:
[2026-01-02 15:45:22,160] [INFO] [config.py:1003:print]   bfloat16_enabled ............. True
[2026-01-02 15:45:22,160] [INFO] [config.py:1003:print]   gradient_accumulation_steps .. 4
[2026-01-02 15:45:22,160] [INFO] [config.py:1003:print]   gradient_clipping ............ 0.5
[2026-01-02 15:45:22,160] [INFO] [config.py:1003:print]   train_batch_size ............. 32
[2026-01-02 15:45:22,160] [INFO] [config.py:1003:print]   train_micro_batch_size_per_gpu  1
"""
HUGGING_FACE = """\
[INFO|trainer.py:2129] 2026-04-24 20:44:49,942 >> ***** Running training *****
[INFO|trainer.py:2130] 2026-04-24 20:44:49,942 >>   Num examples = 100,000
[INFO|trainer.py:2131] 2026-04-24 20:44:49,942 >>   Num Epochs = 3
[INFO|trainer.py:2132] 2026-04-24 20:44:49,942 >>   Instantaneous batch size per device = 8
[INFO|trainer.py:2134] 2026-04-24 20:44:49,942 >>   Total train batch size (w. parallel, distributed & \
accumulation) = 32
[INFO|trainer.py:2135] 2026-04-24 20:44:49,943 >>   Gradient Accumulation steps = 2
[INFO|trainer.py:2136] 2026-04-24 20:44:49,943 >>   Total optimization steps = 9,375
[INFO|trainer.py:2137] 2026-04-24 20:44:49,943 >>   Number of trainable parameters = 7,840,794
"""
UNSLOTH = r"""
==((====))==  Unsloth - 2x faster free finetuning | Num GPUs used = 1
   \\   /|    Num examples = 1,000 | Num Epochs = 1 | Total steps = 60
O^O/ \_/ \    Batch size per device = 2 | Gradient accumulation steps = 4
\        /    Data Parallel GPUs = 1 | Total batch size (2 x 4 x 1) = 8
 "-____-"     Trainable parameters = 41,943,040 of 8,072,204,288 (0.52% trained)
"""
KOHYA = """\
running training / 学習開始
  num train images * repeats / 学習画像の数×繰り返し回数: 1600
  num batches per epoch / 1epochのバッチ数: 800
  num epochs / epoch数: 2
  batch size per device / バッチサイズ: 2
  gradient accumulation steps / 勾配を合計するステップ数 = 4
  total optimization steps / 学習ステップ数: 1600
"""
DIFFUSERS = """\
05/25/2026 06:45:27 - INFO - __main__ - ***** Running training *****
05/25/2026 06:45:27 - INFO - __main__ -   Instantaneous batch size per device = 4
05/25/2026 06:45:27 - INFO - __main__ -   Total train batch size (w. parallel, distributed & accumulation) = 16
05/25/2026 06:45:27 - INFO - __main__ -   Total optimization steps = 15000
"""
LLM_C = """\
+-----------------------+----------------------------------------------------+
| Parameter             | Value                                              |
+-----------------------+----------------------------------------------------+
| resume                | 0                                                  |
| micro batch size B    | 64                                                 |
| sequence length T     | 1024                                               |
| total batch size      | 524288                                             |
| learning rate (LR)    | 6.000000e-04                                       |
| warmup iterations     | 700                                                |
| max_steps             | -1                                                 |
+-----------------------+----------------------------------------------------+
| precision             | BF16                                               |
+-----------------------+----------------------------------------------------+
| num_layers L          | 12                                                 |
| num_parameters        | 124475904                                          |
+-----------------------+----------------------------------------------------+
| train_num_batches     | 19560                                              |
+-----------------------+----------------------------------------------------+
=> setting grad_accum_steps=8
"""
TITAN = """\
[rank0]:[titan] 2026-05-11 08:48:11,715 - root - INFO - \x1b[34mModel llama3 8B \
\x1b[31msize: 8,030,261,248 total parameters\x1b[39m
[rank0]:[titan] 2026-05-11 08:48:12,357 - root - INFO - Trainer is initialized with local batch size 8, \
global batch size 64, gradient accumulation steps 2, sequence length 2048, total steps 1000 (warmup 200)
"""
ARGUMENTS = """\
05/25/2026 06:45:27 - INFO - __main__ - Training/evaluation parameters TrainingArguments(
_n_gpu=1,
adam_beta1=0.9,
bf16=True,
fp16=False,
gradient_accumulation_steps=4,
learning_rate=5e-05,
max_grad_norm=1.0,
max_steps=-1,
num_train_epochs=3.0,
optim=OptimizerNames.ADAMW_TORCH,
output_dir=out,
per_device_train_batch_size=8,
warmup_ratio=0.03,
warmup_steps=0,
)
  Total optimization steps = 1000
"""
NAMESPACE = (
    "Namespace(accum_iter=2, batch_size=64, clip_grad=None, data='/data', epochs=800, fp16=False, lr=0.0024,"
    " opt='adamw', warmup_epochs=40)\n"
)
NAMESPACE_LINES = "[22:15:01.1] {}".format(NAMESPACE.replace(", ", ",\n"))
ULTRALYTICS = (
    "engine/trainer: task=detect, mode=train, model=yolov8n.pt, data=coco8.yaml, epochs=100, time=None, batch=16,"
    " imgsz=640, optimizer=auto, amp=True, lr0=0.01, momentum=0.937, warmup_epochs=3.0\n"
    "Model summary: 225 layers, 3,157,200 parameters, 3,157,184 gradients, 8.9 GFLOPs\n"
    "Starting training for 100 epochs...\n"
)
YAML = """\
Running FullFinetuneRecipe with resolved config:

batch_size: 2
gradient_accumulation_steps: 8
epochs: 1
max_steps_per_epoch: null
output_dir: /tmp/out
optimizer:
  _component_: torch.optim.AdamW
  lr: 2.0e-05
clip_grad_norm: 1.0
"""
JSON_LINES = """\
{
    "train_batch_size": 32,
    "gradient_accumulation_steps": 4,
    "gradient_clipping": 1.0,
}
"""


def facts(text: str) -> RunFacts:
    return facts_in(read(TextReader(), text))


def facts_in(records: Sequence[Record]) -> RunFacts:
    told = RunFacts()
    for record in records:
        assert not isinstance(record, Rows), record
        if isinstance(record, RunFacts):
            told = merged(told, record)
    return told


def stated(text: str) -> dict[str, Any]:
    told = facts(text)
    return {**msgspec.to_builtins(told.model), **msgspec.to_builtins(told.train)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            MEGATRON,
            {"precision": "bf16", "clip_norm": 1.0, "batch_size": 1024, "lr_max": 0.0003, "warmup_steps": 2000}
            | {"micro_batch_size": 4, "layers": 24, "optimizer": "adam", "total_steps": 500000, "decay_steps": 320000},
            id="Megatron",
        ),
        pytest.param(
            NEOX, {"clip_norm": 1.0, "accumulation": 2, "lr_max": 0.0006, "total_steps": 320000}, id="gpt-neox"
        ),
        pytest.param(
            DEEPSPEED, {"precision": "bf16", "accumulation": 4, "clip_norm": 0.5, "batch_size": 32}, id="DeepSpeed"
        ),
        pytest.param(
            HUGGING_FACE,
            {"trainable": 7_840_794, "epochs": 3.0, "micro_batch_size": 8, "batch_size": 32, "accumulation": 2}
            | {"total_steps": 9375},
            id="Hugging Face",
        ),
        pytest.param(
            UNSLOTH,
            {"params": 8_072_204_288, "trainable": 41_943_040, "epochs": 1.0, "total_steps": 60, "accumulation": 4}
            | {"micro_batch_size": 2, "batch_size": 8},
            id="Unsloth",
        ),
        pytest.param(KOHYA, {"epochs": 2.0, "micro_batch_size": 2, "accumulation": 4, "total_steps": 1600}, id="kohya"),
        pytest.param(DIFFUSERS, {"micro_batch_size": 4, "batch_size": 16, "total_steps": 15000}, id="diffusers"),
        pytest.param(
            LLM_C,
            {"micro_batch_size": 64, "batch_tokens": 524_288, "lr_max": 0.0006, "warmup_steps": 700, "layers": 12}
            | {"precision": "bf16", "params": 124_475_904, "total_steps": 19560, "accumulation": 8},
            id="llm.c",
        ),
        pytest.param(
            TITAN,
            {"params": 8_030_261_248, "micro_batch_size": 8, "batch_size": 64, "accumulation": 2}
            | {"total_steps": 1000, "warmup_steps": 200},
            id="torchtitan",
        ),
        pytest.param(
            ARGUMENTS,
            {"precision": "bf16", "accumulation": 4, "lr_max": 5e-05, "clip_norm": 1.0, "epochs": 3.0}
            | {"optimizer": "ADAMW_TORCH", "micro_batch_size": 8, "warmup_ratio": 0.03, "total_steps": 1000},
            id="TrainingArguments",
        ),
        pytest.param(
            NAMESPACE,
            {"accumulation": 2, "batch_size": 64, "epochs": 800.0, "lr_max": 0.0024, "optimizer": "adamw"}
            | {"warmup_epochs": 40.0},
            id="Namespace",
        ),
        pytest.param(
            NAMESPACE_LINES,
            {"accumulation": 2, "batch_size": 64, "epochs": 800.0, "lr_max": 0.0024, "optimizer": "adamw"}
            | {"warmup_epochs": 40.0},
            id="Namespace on many lines",
        ),
        pytest.param(
            ULTRALYTICS,
            {"params": 3_157_200, "epochs": 100.0, "batch_size": 16, "precision": "amp", "warmup_epochs": 3.0},
            id="Ultralytics",
        ),
        pytest.param(
            YAML,
            {"batch_size": 2, "accumulation": 8, "epochs": 1.0, "lr_max": 2e-05, "clip_norm": 1.0},
            id="a YAML dump",
        ),
        pytest.param(JSON_LINES, {"batch_size": 32, "accumulation": 4, "clip_norm": 1.0}, id="a JSON dump"),
    ],
)
def test_dumps_and_banners(text: str, expected: dict[str, Any]) -> None:
    assert stated(text) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("tokens per iteration will be: 491,520", {"batch_tokens": 491_520}),
        ("number of parameters: 123.59M", {"params": 123_590_000}),
        ("Number of parameters: 560,988,160", {"params": 560_988_160}),
        ("number parameters: 1.104 billion", {"params": 1_104_000_000}),
        ("Total number of parameters in billions: 0.36", {"params": 360_000_000}),
        ("number of params (M): 111.91", {"params": 111_910_000}),
        ("Overriding: max_iters = 5000", {"total_steps": 5000}),
        ("Config param warmup_steps_fraction: 0.1", {"warmup_ratio": 0.1}),
        ("Config param steps: 150001", {"total_steps": 150_001}),
        ("Calculated number of iterations from target data:param ratio: 21,400", {"total_steps": 21_400}),
        ("Using user-provided number of iterations: 1,000", {"total_steps": 1000}),
        ("Total batch size 524,288 => gradient accumulation steps: 8", {"batch_tokens": 524_288, "accumulation": 8}),
        (
            "num. shared model params: 60,523,520 (num. trained: 60,523,000)",
            {"params": 60_523_520, "trainable": 60_523_000},
        ),
        ("| num. model params: 210808832 (num. trained: 210808832)", {"params": 210_808_832, "trainable": 210_808_832}),
        ("85.1 M    Trainable params", {"trainable": 85_100_000}),
        ("85.1 M    Total params", {"params": 85_100_000}),
        (" Total params: 1,234 (4.82 KB)", {"params": 1234}),
        (" Trainable params: 1,234 (4.82 KB)", {"trainable": 1234}),
        (
            "trainable params: 4,194,304 || all params: 6,742,609,920 || trainable%: 0.0622",
            {"params": 6_742_609_920, "trainable": 4_194_304},
        ),
        ("Model resnet50 created, param count:25557032", {"params": 25_557_032}),
        ("Scheduled epochs: 310. LR stepped per epoch.", {"epochs": 310.0}),
        (" > Model has 86410668 parameters", {"params": 86_410_668}),
        ("LLM可训练总参数量：25.830 百万", {"params": 25_830_000}),
        ("Model Params: 26.03M", {"params": 26_030_000}),
        ("Using bfloat16 Automatic Mixed Precision (AMP)", {"precision": "bf16"}),
        ("Using 16bit Automatic Mixed Precision (AMP)", {"precision": "fp16"}),
        ("Start training for 800 epochs", {"epochs": 800.0}),
        ("train_cfg = dict(by_epoch=True, max_epochs=200, val_interval=1)", {"epochs": 200.0}),
        ("train_cfg = dict(max_iters=40000, type='IterBasedTrainLoop', val_interval=4000)", {"total_steps": 40_000}),
        (
            "    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=0.0001))",
            {"optimizer": "SGD", "lr_max": 0.1},
        ),
        ("    clip_grad=dict(max_norm=0.1, norm_type=2),", {"clip_norm": 0.1}),
        ("Total training steps: 435", {"total_steps": 435}),
        ("total_num_steps: 1234", {"total_steps": 1234}),
        (
            "{'lr': 0.001, 'steps': 1000, 'loss': 'mse', 'bs': 32, 'opt': 'adam'}",
            {"lr_max": 0.001, "total_steps": 1000, "optimizer": "adam"},
        ),
        (
            "2026-07-22 21:55:56,616\t44k\tINFO\t{'train': {'seed': 1234, 'epochs': 10000, 'learning_rate': 0.0001,"
            " 'betas': [0.8, 0.99], 'batch_size': 2, 'fp16_run': True}, 'model': {'n_layers': 6}}",
            {"epochs": 10000.0, "lr_max": 0.0001, "batch_size": 2, "precision": "fp16", "layers": 6},
        ),
    ],
)
def test_one_line(line: str, expected: dict[str, Any]) -> None:
    assert stated(line) == expected


NO_FACTS = """\
trainer = Trainer(max_steps=1000, learning_rate=1e-3, epochs=3, batch_size=8)
    args = parser.parse_args(["--lr", "0.1", "--epochs", "3", "--batch_size", "8"])
parser.add_argument("--max_steps", type=int, default=1000)
  --max_steps MAX_STEPS  total steps = 1000 (default: 1000)
def train(lr=1e-3, max_steps=1000, warmup_steps=100, batch_size=8):
learning_rate = 6e-4
max_iters = 600000
# Total optimization steps = 1000
print(f"  Total optimization steps = {max_steps}")
lr: 0.001
batch_size: 32
  "max_steps": 1000,
  train_iters ..................................... None
  max_steps ....................................... -1
  lr .............................................. False
 iteration 1200/ 500000 | learning rate: 2.900000E-04 | global batch size:  1024 | loss scale: 1.0 |
{"lr": 0.1, "epoch": 3, "batch_size": 4}
the total steps are many, and batch size is not known
"""


@pytest.mark.parametrize("line", NO_FACTS.splitlines())
def test_code_help_and_lone_lines_state_nothing(line: str) -> None:
    assert not [record for record in read(TextReader(), line) if isinstance(record, RunFacts) and record.origin]


def test_single_settings_after_the_first_row_may_be_metrics() -> None:
    config = "batch_size: 2\nepochs: 1\nlr: 2.0e-05\n"
    after = read(TextReader(), "step 1 loss 2.5\n" + config)
    assert not [record for record in after if isinstance(record, RunFacts)]
    before = read(TextReader(), config + "step 1 loss 2.5\n")
    assert [record.train.lr_max for record in before if isinstance(record, RunFacts)] == [2e-05]


def test_settings_far_from_each_other_are_no_dump() -> None:
    far = "\n".join(["batch_size: 2", *["step of the installer"] * 20, "epochs: 1", *["warm"] * 20, "lr: 2.0e-05"])
    assert stated(far) == {}


def test_rows_follow_a_dump_that_has_no_end() -> None:
    records = read(TextReader(), "Namespace(lr=0.1,\nepochs=3,\nstep 1 loss 2.5\nstep 2 loss 2.4\n")
    assert sum(len(record) for record in records if isinstance(record, Rows)) >= 1


def test_the_line_that_states_a_fact_is_known() -> None:
    told = facts(HUGGING_FACE)
    assert (told.origin["total_steps"], told.origin["trainable"]) == ("line 7", "line 8")


@pytest.mark.parametrize(
    ("text", "warmup"),
    [
        (ARGUMENTS, 30),
        (MEGATRON, 2000),
        (NAMESPACE, None),
        (NAMESPACE + "Total optimization steps = 1000", 50),
        ("  Total optimization steps = 1000", None),
    ],
)
def test_the_warm_up_is_worked_out_from_a_part_of_the_total(text: str, warmup: int | None) -> None:
    assert facts(text).train.warmup == warmup


@pytest.mark.parametrize(
    ("begin", "filler"),
    [("total batch", " "), ("| batch", " "), ("a ..", "\t"), ("batch = b", "\t"), ("x.batch", " - ")],
)
def test_a_long_line_of_one_character_is_read_to_its_end(begin: str, filler: str) -> None:
    text = begin + filler * (20_000 // len(filler)) + "\0"
    assert FactReader().read(Place(text, 1, None, None), text.lower()) is None
