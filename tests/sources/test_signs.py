"""What lines say that is no number: one sample line for every kind of event, and lines that only look like one."""

import pytest
from reading import read

from gradtop.record import End, Event, Record, Restart, Rows, RunFacts
from gradtop.sources.text.reader import TextReader


def said(line: str) -> list[Record]:
    return [record for record in read(TextReader(), line) if not isinstance(record, Rows | RunFacts)]


def only(line: str) -> Record:
    (record,) = said(line)
    return record


@pytest.mark.parametrize(
    ("line", "scale"),
    [
        ("[deepspeed] OVERFLOW! Rank 0 Skipping step. Attempted loss scale: 65536, reducing to 32768", 32768.0),
        ("[deepspeed] OVERFLOW! Rank 0 Skipping step. Attempted loss scale: 65536.0, reducing to 32768.0", 32768.0),
        (
            "[deepspeed] OVERFLOW! Rank 0 Skipping step. Attempted loss scale: 4, but hysteresis is 2. "
            "Reducing hysteresis to 1",
            None,
        ),
        ("[deepspeed] OVERFLOW! Skipping step. Gradients are non-finite, weights were not updated.", None),
        (
            "2026-11-23 14:36:09 | INFO | fairseq.trainer | NOTE: gradient overflow detected, "
            "ignoring gradient, setting loss scale to: 64.0",
            64.0,
        ),
        ("| WARNING: overflow detected, setting loss scale to: 32.0", 32.0),
        ("AMP: overflow detected, setting scale to 32768.0", 32768.0),
        ("Gradient overflow.  Skipping step, loss scaler 0 reducing loss scale to 16384.0", 16384.0),
        ("skipping update due to loss z-score of 5.1", None),
        ("skipping update due to grad z-score of 7.25", None),
    ],
)
def test_skipped_steps(line: str, scale: float | None) -> None:
    event = only(line)
    assert isinstance(event, Event)
    assert (event.event, event.level, event.data.get("loss_scale")) == ("skipped_step", "warning", scale)


@pytest.mark.parametrize(
    ("line", "kind", "limit", "step"),
    [
        ("Anomaly detected at step 14: gradient_vanishing", "gradient_vanishing", None, 14),
        ("WARN: grad_norm is not finite: nan", "nonfinite", None, None),
        ("Gradient norm is not finite: nan", "nonfinite", None, None),
        ("Loss NaN/Inf detected (attempt 1/3), recovering from last.pt...", "nonfinite", None, None),
        ("FloatingPointError: Loss became infinite or NaN at iteration=120!", "nonfinite", None, 120),
        ("Loss is nan, stopping training", "nonfinite", None, None),
        ("Loss is NaN", "nonfinite", None, None),
        ("step 7: grad_norm < 1e-6", "gradient_vanishing", 1e-6, 7),
        ("WARNING: exploding gradients detected at step 31", "gradient_exploding", None, 31),
    ],
)
def test_alarms(line: str, kind: str, limit: float | None, step: int | None) -> None:
    event = only(line)
    assert isinstance(event, Event)
    assert (event.event, event.data["kind"], event.data["limit"], event.step) == ("alarm", kind, limit, step)


@pytest.mark.parametrize(
    ("line", "step"),
    [
        ("saving checkpoint at iteration    1200 to /ckpt in torch_dist format", 1200),
        (
            "  [2026-11-23 14:36:09] successfully saved checkpoint from iteration    1000 to /ckpt [ t 1/8, p 1/4 ]",
            1000,
        ),
        ("Saving model checkpoint to out/checkpoint-500", 500),
        ("Saved state to sd-model/checkpoint-500", 500),
        ("saving checkpoint to out", None),
        ("Writing checkpoint at step 5000", 5000),
        ("Saving the checkpoint at step 100", 100),
        ("11/23 14:36:09 - mmengine - INFO - Saving checkpoint at 3 epochs", None),
        ("11/23 14:36:09 - mmengine - INFO - Saving checkpoint at 4000 iterations", 4000),
        ("[11/23 14:36:09 fvcore.common.checkpoint]: Saving checkpoint to ./output/model_0004999.pth", None),
    ],
)
def test_checkpoints(line: str, step: int | None) -> None:
    event = only(line)
    assert isinstance(event, Event)
    assert (event.event, event.step) == ("checkpoint", step)


@pytest.mark.parametrize(
    ("line", "step"),
    [
        ("  successfully loaded checkpoint from /ckpt [ t 1/8, p 1/4 ] at iteration 1000", 1000),
        (" loading checkpoint from /ckpt at iteration 1000", 1000),
        ("  Resuming training from checkpoint with epoch 1 and global step 8", 8),
        ("Resuming training from out", None),
        ("Resuming training from out/step-00002000/lit_model.pth", None),
        ("Resuming from step 4000", 4000),
        ("=> resuming from checkpoint-4000", 4000),
        ("Successfully resumed from step 4000", 4000),
        ("Training resumed at step 4000", 4000),
        ("INFO: auto-resuming from out", None),
        ("Training starts at step 101", 101),
        (
            "Training starts at step 101, with local batch size 8, global batch size 64, "
            "sequence length 2048, total steps 1000 (warmup 200)",
            101,
        ),
        ("Loaded checkpoint checkpoints/checkpoint_last.pt (epoch 3 @ 1000 updates)", 1000),
        ("resumed epoch: 3, iter: 21990", 21990),
        ("[11/23 14:36:09 d2.engine.train_loop]: Starting training from iteration 1000", 1000),
        ("Restoring states from the checkpoint path at lightning_logs/version_0/checkpoints/last.ckpt", None),
        ("Restored all states from the checkpoint at lightning_logs/version_0/checkpoints/last.ckpt", None),
        ("Restored from checkpoint /ckpt", None),
        ("Epoch [1/2]: 跳过前100个step，从step 101开始", 100),
        ("Loading the checkpoint from outputs/checkpoint/step-100.", 100),
        ("Resuming from checkpoint checkpoint-1500", 1500),
        ("Resume checkpoint output/checkpoint-20.pth", None),
    ],
)
def test_resumes(line: str, step: int | None) -> None:
    assert only(line) == Restart(reason="resumed", step=step, line=1)


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("Training completed", "finished"),
        ("`Trainer.fit` stopped: `max_epochs=10` reached.", "finished"),
        ("[exiting program at iteration 1000] datetime: 2026-11-23 14:36:09", "finished"),
        ("Aborting training due to NaN loss.", "aborted"),
        ("Training finished.", "finished"),
        ("Training is complete.", "finished"),
        ("[after training is done] datetime: 2026-11-23 14:36:09", "finished"),
    ],
)
def test_ends(line: str, status: str) -> None:
    ends = [record.status for record in said(line) if isinstance(record, End)]
    assert ends == [status]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.", "cuda_oom"),
        ("RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB", "cuda_oom"),
        (
            "[rank3]:[E1123 14:36:09.1 ProcessGroupNCCL.cpp:607] [Rank 3] "
            "Watchdog caught collective operation timeout: WorkNCCL(SeqNum=9)",
            "nccl_timeout",
        ),
        (
            "slurmstepd: error: *** JOB 1809562 ON n1 CANCELLED AT 2026-11-23T14:36:09 DUE TO TIME LIMIT ***",
            "scheduler",
        ),
        ("slurmstepd: error: *** STEP 1.0 ON n1 CANCELLED AT 2026-11-23T14:36:09 ***", "scheduler"),
        ("slurmstepd: error: Detected 1 oom-kill event(s) in StepId=12.batch.", "scheduler"),
        (
            "slurmstepd: error: Detected 1 oom_kill event in StepId=12.0. Some of the step tasks have been OOM Killed.",
            "scheduler",
        ),
        ("torch.distributed.elastic.multiprocessing.errors.ChildFailedError: ", "traceback"),
        ("  traceback : Signal 9 (SIGKILL) received by PID 4242", "signal"),
        ("failed (exitcode: -9) local_rank: 0 (pid: 4242) of binary: /usr/bin/python, Signal 11 (SIGSEGV)", "signal"),
        (
            "Exception: Current loss scale already at minimum - cannot decrease scale anymore. Exiting run.",
            "loss_scale_minimum",
        ),
        ("Bus error (core dumped)", "signal"),
        ("terminate called after throwing an instance of 'c10::Error'", "signal"),
        ("terminate called without an active exception", "signal"),
        ("Segmentation fault (core dumped)", "signal"),
        ("./run.sh: line 3:  1234 Segmentation fault      python train.py", "signal"),
        ("Fatal Python error: Segmentation fault", "signal"),
        ("[n1:4242] Signal: Segmentation fault (11)", "signal"),
        ("ERROR: Unexpected segmentation fault encountered in worker.", "signal"),
        ("RuntimeError: DataLoader worker (pid 1) is killed by signal: Segmentation fault. ", "signal"),
    ],
)
def test_deaths(line: str, reason: str) -> None:
    event = only(line)
    assert isinstance(event, Event)
    assert (event.event, event.data["reason"]) == ("crash", reason)


LOOK_ALIKES = """\
    raise FloatingPointError(f"Loss became infinite or NaN at iteration={self.iter}!")
print("Loss is NaN, stopping training")
        logger.warning("OVERFLOW! Skipping step.")
    # Gradient overflow. Skipping step, loss scaler 0 reducing loss scale to 1
    log.info(f"Saving checkpoint to {path}")
  --resume RESUME       resume from checkpoint (default: none)
  --save-interval N     saving checkpoint every N steps
parser.add_argument("--resume", help="Resuming training from checkpoint")
  resume_from_checkpoint .......................... None
"resume_from_checkpoint": null,
  save_total_limit: 3
  nan_check: enabled
  logging_nan_inf_filter=True,
  detect_anomaly ..... False
Anomaly detection is on: set detect_anomaly=False for speed
grad_norm threshold = 1e-6
Starting training from iteration 0
Training starts at step 1
Training starts at step 0
no checkpoint found, starting from scratch
checking whether to resume training
the loss is not nan
loss_scale_window ............................... 1000
signal handlers installed for SIGTERM
memory allocated: 10.2 GiB
killed processes: 0
The number of nan iterations is 0
overflow events so far: 0
your program will then likely die with a segmentation fault.
with a segmentation fault, a bus error or an internal assertion
# segmentation fault when the queue is full
the update is skipped if no inf/NaN gradients occur
consecutive iterations without inf/NaN gradients
the scale is lowered if inf/NaN gradients occur in an iteration.
a value that is used when restoring from the checkpoint
the training needs to be resumed from a particular batch
coroutines can be suspended and resumed at a later point
it begins after resuming from another
"""


@pytest.mark.parametrize("line", LOOK_ALIKES.splitlines())
def test_code_help_settings_and_prose_are_no_events(line: str) -> None:
    assert said(line) == []


def test_a_resume_begins_a_session_before_its_rows() -> None:
    log = "step 10 loss 2.5\nResuming training from checkpoint with epoch 1 and global step 8\nstep 9 loss 2.4\n"
    kinds = [type(record).__name__ for record in read(TextReader(), log)]
    assert kinds == ["Rows", "Restart", "Rows"]


def test_what_happened_is_placed_at_the_step_before_it() -> None:
    _, event = read(TextReader(), "step 10 loss 2.5\nskipping update due to loss z-score of 5.1\n")
    assert isinstance(event, Event)
    assert (event.step, event.line) == (10, 2)
