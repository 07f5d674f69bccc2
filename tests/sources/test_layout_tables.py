"""Rows in tables: names beside values, numbers under names, the epochs of a detector; and tables that are none."""

import pytest
from reading import read, rows_of

from gradtop.record import Rows
from gradtop.sources.text.reader import TextReader

STABLE_BASELINES = """\
----------------------------------------
| rollout/                |            |
|    ep_rew_mean          | 22.3       |
| time/                   |            |
|    fps                  | 1234       |
|    iterations           | 1          |
|    total_timesteps      | 2048       |
----------------------------------------
------------------------------------------
| time/                   |              |
|    total_timesteps      | 4096         |
| train/                  |              |
|    learning_rate        | 0.0003       |
|    loss                 | 5.5          |
|    value_loss           | 1.23e+03     |
------------------------------------------
"""
GUIDED_DIFFUSION = """\
------------------------
| grad_norm | 0.1      |
| loss      | 1        |
| loss_q0   | 1.2      |
| step      | 10       |
------------------------
"""
SPINNING_UP = """\
---------------------------------------
|             Epoch |               1 |
|      AverageEpRet |            21.5 |
|            LossPi |          -0.012 |
---------------------------------------
"""
BOXES = """\
+--------+-------+
| Metric | Value |
+========+=======+
| step   | 100   |
+--------+-------+
| loss   | 2.3   |
+--------+-------+
┏━━━━━━━━┳━━━━━━━┓
┃ Metric ┃ Value ┃
┡━━━━━━━━╇━━━━━━━┩
│ step   │ 200   │
│ loss   │ 2.2   │
└────────┴───────┘
"""
FASTAI = """\
epoch     train_loss  valid_loss  accuracy  time
0         0.562340    0.345678    0.876543  00:12
Better model found at epoch 0 with valid_loss value: 0.345678.
1         0.462340    #na#        0.886543  01:12
"""
SPACY = """\
E    #       LOSS TOK2VEC  LOSS NER  ENTS_F  SCORE
---  ------  ------------  --------  ------  ------
  0       0          0.00     39.50    0.00    0.00
  1     200         17.00   1939.50    7.00    0.07
"""
NOTEBOOK = "Step\tTraining Loss\tValidation Loss\n500\t0.12\tNo log\n1000\t0.11\t0.2\n"
NOTEBOOK_WITH_BLANKS = "Step Training Loss Validation Loss\n500 0.12 0.3\n"
MARKDOWN = """\
| Training Loss | Epoch | Step | Validation Loss |
|:-------------:|:-----:|:----:|:---------------:|
| No log        | 1.0   | 500  | 0.34            |
| 0.2           | 2.0   | 1000 | 0.24            |
"""
COLUMNS = """\
iter    loss      lr
100     2.3   0.001
saved model.pt
200     nan   0.002
  300 |  2.1
iter | loss | lr
400 | 2.0 | 3e-4
iter,loss,lr
500,1.9,3e-4
"""
ULTRALYTICS = """\
      Epoch    GPU_mem   box_loss   cls_loss  Instances       Size
\r      1/100      0G      1.5      2.5         45        640:  25%|██▌       | 1/4 [00:00<00:02,  1.2it/s]\
\r      1/100      0G      1.25      2.25         45        640: 100%|██████████| 4/4 [00:01<00:00,  2.5it/s]
                 Class     Images  Instances      Box(P          R      mAP50  mAP50-95): 100%|██| 2/2 [00:00<00:00]
                   all        128        929       0.64      0.537      0.605      0.446
      Epoch    GPU_mem   box_loss   cls_loss  Instances       Size
      2/100      0G      1.125      2.125         45        640: 50% ━━━━━━────── 2/4 1.2it/s 3.4s
      2/100      0G      1.0      2.0         45        640: 100% ━━━━━━━━━━━━ 4/4 1.2it/s 3.4s
                 Class     Images  Instances      Box(P          R      mAP50  mAP50-95): 100% ━━━━━━━━━━━━ 2/2 1.2it/s
                   all        128        929       0.65      0.547      0.615      0.456
                   dog         12         29       0.75      0.647      0.715      0.556
Validating runs/detect/train/weights/best.pt...
                 Class     Images  Instances      Box(P          R      mAP50  mAP50-95): 100% ━━━━━━━━━━━━ 2/2 1.2it/s
                   all        128        929       0.99      0.99       0.99       0.99
"""
CLASSIFIER = """\
      Epoch    GPU_mem       loss  Instances       Size
        1/3      2.31G      0.975         16        224: 100%|██████████| 4/4 [00:01<00:00,  2.5it/s]
               classes   top1_acc   top5_acc: 100%|██████████| 2/2 [00:00<00:00]
                   all      0.898          1
"""

YOLOV7 = """\
     Epoch   gpu_mem       box       obj       cls     total    labels  img_size
     0/299     3.23G   0.04473   0.06533   0.01995      0.13       227       640: 100%|████| 8/8 [00:01<00:00,  2.5it/s]
               Class      Images      Labels           P           R      mAP@.5  mAP@.5:.95: 100%|██| 2/2 [00:00<00:00]
                 all         128         929       0.669       0.661       0.712       0.472
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            STABLE_BASELINES,
            [
                {"step": 2048, "rollout/ep_rew_mean": 22.3, "time/fps": 1234, "time/iterations": 1},
                {"step": 4096, "lr": 3e-4, "loss": 5.5, "train/value_loss": 1230},
            ],
            id="stable-baselines",
        ),
        pytest.param(
            GUIDED_DIFFUSION, [{"step": 10, "grad_norm": 0.1, "loss": 1, "loss_q0": 1.2}], id="guided-diffusion"
        ),
        pytest.param(SPINNING_UP, [{"epoch": 1, "AverageEpRet": 21.5, "LossPi": -0.012}], id="spinning-up"),
        pytest.param(BOXES, [{"step": 100, "loss": 2.3}, {"step": 200, "loss": 2.2}], id="boxes"),
        pytest.param(
            FASTAI,
            [
                {"epoch": 0, "loss": 0.56234, "val_loss": 0.345678, "accuracy": 0.876543, "time_s": 12},
                {"epoch": 1, "loss": 0.46234, "accuracy": 0.886543, "time_s": 72},
            ],
            id="fastai",
        ),
        pytest.param(
            SPACY,
            [
                {"step": 0, "epoch": 0, "LOSS TOK2VEC": 0, "LOSS NER": 39.5, "ENTS_F": 0, "SCORE": 0},
                {"step": 200, "epoch": 1, "LOSS TOK2VEC": 17, "LOSS NER": 1939.5, "ENTS_F": 7, "SCORE": 0.07},
            ],
            id="spacy",
        ),
        pytest.param(
            NOTEBOOK, [{"step": 500, "loss": 0.12}, {"step": 1000, "loss": 0.11, "val_loss": 0.2}], id="notebook"
        ),
        pytest.param(NOTEBOOK_WITH_BLANKS, [{"step": 500, "loss": 0.12, "val_loss": 0.3}], id="notebook-blanks"),
        pytest.param(
            MARKDOWN,
            [{"step": 500, "epoch": 1, "val_loss": 0.34}, {"step": 1000, "epoch": 2, "loss": 0.2, "val_loss": 0.24}],
            id="markdown",
        ),
        pytest.param(
            COLUMNS,
            [
                {"step": 100, "loss": 2.3, "lr": 0.001},
                {"step": 200, "loss": float("nan"), "lr": 0.002},
                {"step": 400, "loss": 2.0, "lr": 3e-4},
                {"step": 500, "loss": 1.9, "lr": 3e-4},
            ],
            id="columns",
        ),
        pytest.param(
            CLASSIFIER,
            [
                {"epoch": 1, "gpu_mem": 2.31e9, "loss": 0.975},
                {"epoch": 1, "metrics/top1_acc": 0.898, "metrics/top5_acc": 1},
            ],
            id="classifier",
        ),
        pytest.param(
            YOLOV7,
            [
                {
                    "epoch": 0,
                    "gpu_mem": 3.23e9,
                    "box_loss": 0.04473,
                    "obj_loss": 0.06533,
                    "cls_loss": 0.01995,
                    "loss": 0.13,
                },
                {"epoch": 0, "metrics/precision": 0.669, "metrics/recall": 0.661}
                | {"metrics/mAP@.5": 0.712, "metrics/mAP@.5:.95": 0.472},
            ],
            id="yolov7",
        ),
    ],
)
def test_tables(text: str, expected: list[dict[str, float]]) -> None:
    assert rows_of(read(TextReader(), text)) == [pytest.approx(row, nan_ok=True) for row in expected]


def test_the_last_state_of_an_epoch_and_its_validation_are_its_rows() -> None:
    rows = rows_of(read(TextReader(), ULTRALYTICS))
    assert [(row["epoch"], row["box_loss"], row["cls_loss"]) for row in rows if "box_loss" in row] == [
        (1, 1.25, 2.25),
        (2, 1.0, 2.0),
    ]
    assert [row for row in rows if "box_loss" not in row] == [
        {"epoch": 1, "metrics/precision(B)": 0.64, "metrics/recall(B)": 0.537}
        | {"metrics/mAP50(B)": 0.605, "metrics/mAP50-95(B)": 0.446},
        {"epoch": 2, "metrics/precision(B)": 0.65, "metrics/recall(B)": 0.547}
        | {"metrics/mAP50(B)": 0.615, "metrics/mAP50-95(B)": 0.456},
    ]


def test_an_epoch_that_is_cut_off_by_the_next_counts_with_its_last_state() -> None:
    text = ULTRALYTICS.replace("4/4", "3/4")
    assert [row["box_loss"] for row in rows_of(read(TextReader(), text)) if "box_loss" in row] == [1.25, 1.0]


def test_a_training_that_is_resumed_in_an_epoch_has_its_rows() -> None:
    head, _, rest = ULTRALYTICS.partition("\n")
    again = f"{head}\n      1/100      0G      0.5      0.25      45        640: 100%|██| 4/4 [00:01<00:00,  2.5it/s]\n"
    rows = rows_of(read(TextReader(), f"{head}\n{rest}{again}"))
    assert (rows[-1]["epoch"], rows[-1]["box_loss"]) == (1, 0.5)


SETTINGS = """\
+-----------------------+----------------------------------------------------+
| Parameter             | Value                                              |
+-----------------------+----------------------------------------------------+
| max_sequence_length T | 1024                                               |
| learning rate (LR)    | 6.000000e-04                                       |
| epochs                | 10                                                 |
| val_loss_every        | 250                                                |
+-----------------------+----------------------------------------------------+
"""
NVIDIA_SMI = """\
+-----------------------------------------------------------------------------------------+
| NVIDIA-SMI 550.54.15              Driver Version: 550.54.15      CUDA Version: 12.4     |
|-----------------------------------------+------------------------+----------------------+
| GPU  Name                 Persistence-M | Bus-Id          Disp.A | Volatile Uncorr. ECC |
|=========================================+========================+======================|
|   0  NVIDIA H100 80GB HBM3          On  |   00000000:19:00.0 Off |                    0 |
| N/A   39C    P0            118W /  700W |    7237MiB /  81559MiB |      0%      Default |
+-----------------------------------------+------------------------+----------------------+
"""
SUMMARY = """\
  | Name    | Type             | Params | Mode
-----------------------------------------------------
0 | model   | LlamaForCausalLM | 1.1 B  | train
1 | loss_fn | CrossEntropyLoss | 0      | train
-----------------------------------------------------
1.1 B     Trainable params
"""
PACKAGES = "Package    Version\n---------- -------\nnumpy      1.26.4\nsteps      1.0\nloss       2.0\n"
YAML = """\
train:
  epochs: 10
  steps: 1000
  grad_norm: 1.0
optimizer:
  lr: 0.1
  loss: mse
"""
JSON = """\
Model config GPT2Config {
  "architectures": ["GPT2LMHeadModel"],
  "n_embd": 768,
  "task_specific_params": {
    "text-generation": {"do_sample": true, "max_length": 50}
  },
  "steps": 10, "grad_norm": 1.0,
  "vocab_size": 50257
}
"""
TIMERS = """\
(min, max) time across ranks (ms):
    forward-backward ...............................: (1021.11, 1022.30)
    optimizer ......................................: (21.11, 22.30)
"""
SUMMARIES = """\
***** train metrics *****
  epoch                    =        3.0
  train_loss               =     0.5
              precision    recall  f1-score   support
           0       0.90      0.91      0.90       100
    accuracy                           0.90       200
"""
PROSE = """\
Step 1: install the requirements
  python: 3.11
Epoch 1/10: this loss is explained in the paper
  accuracy: 0.99
| Model | Accuracy | Step |
| gpt   | 0.95 (ours) | see below |
"""


@pytest.mark.parametrize("text", [SETTINGS, NVIDIA_SMI, SUMMARY, PACKAGES, YAML, JSON, TIMERS, SUMMARIES, PROSE])
def test_settings_and_reports_are_no_rows(text: str) -> None:
    assert [record for record in read(TextReader(), text) if isinstance(record, Rows)] == []
