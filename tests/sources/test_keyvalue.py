import pytest

from gradtop.sources.fields.plan import plan_row
from gradtop.sources.text.keyvalue import key_values


def row_of(line: str) -> dict[str, float]:
    """The fields of a line of prose under their canonical names."""
    fields = key_values(line) or []
    plan = plan_row(fields, structured=False)
    row = dict(zip(plan.names, plan.values([number.value for _, number in fields]), strict=True))
    for counter in (plan.step, plan.total):
        if counter is not None:
            row[counter.canonical] = fields[counter.index][1].value
    return row


@pytest.mark.parametrize(
    ("line", "row"),
    [
        ("Step 14: grad_norm=0.0000005", {"step": 14, "grad_norm": 5e-7}),
        ("Step 10: Loss: 8.2345", {"step": 10, "loss": 8.2345}),
        ("Step 3: Total Grad Norm = 0.000001", {"step": 3, "grad_norm": 1e-6}),
        ("Step 12 | loss 7.43 | lr 1e-6", {"step": 12, "loss": 7.43, "lr": 1e-6}),
        (
            "iter 100: loss 2.31, time 12.5ms, mfu 25.00%",
            {"step": 100, "loss": 2.31, "step_time_s": 0.0125, "mfu": 0.25},
        ),
        ("step 2000: train loss 1.08, val loss 1.12", {"step": 2000, "loss": 1.08, "val_loss": 1.12}),
        ("s:99 trl:5.1235 lr:0.000120 norm:1.23", {"step": 99, "loss": 5.1235, "lr": 1.2e-4, "grad_norm": 1.23}),
        ("s:250 tel:4.9876", {"step": 250, "val_loss": 4.9876}),
        (
            "step  100/19560 | loss 5.12 (+0.12z)| norm 1.23 (-0.31z)| lr 1.20e-04 | 310.0 ms | 50.0% bf16 MFU "
            "| 845123 tok/s",
            {
                "step": 100,
                "total_steps": 19560,
                "loss": 5.12,
                "grad_norm": 1.23,
                "lr": 1.2e-4,
                "step_time_s": 0.31,
                "mfu": 0.5,
                "tokens_per_s": 845123,
            },
        ),
        (
            "step 00120/21400 (0.56%) | loss: 5.1 | lrm: 1.00 | dt: 500.0ms | tok/sec: 1,046,012 | bf16_mfu: 48.00 "
            "| eta: 9m",
            {
                "step": 120,
                "total_steps": 21400,
                "loss": 5.1,
                "step_time_s": 0.5,
                "tokens_per_s": 1046012,
                "mfu": 0.48,
            },
        ),
        ("Step 00250 | Validation bpb: 0.912345", {"step": 250, "val_bpb": 0.912345}),
        (
            " iteration     1200/  500000 | consumed samples:  64 | elapsed time per iteration (ms): 1250.0 | "
            "learning rate: 2.9E-04 | lm loss: 2.3E+00 | loss scale: 1.0 | grad norm: 0.456 | "
            "number of skipped iterations:   0 | number of nan iterations:   0 |",
            {
                "step": 1200,
                "total_steps": 500000,
                "samples": 64,
                "step_time_s": 1.25,
                "lr": 2.9e-4,
                "loss": 2.3,
                "loss_scale": 1.0,
                "grad_norm": 0.456,
                "skipped": 0,
                "nan_iters": 0,
            },
        ),
        (
            " validation loss at iteration 1000 | lm loss value: 2.5E+00 | lm loss PPL: 1.2E+01 |",
            {"step": 1000, "val_loss": 2.5, "val_ppl": 12.0},
        ),
        (
            "step: 10  loss:  7.86  grad_norm:  1.42  memory: 12.34GiB(25.00%)  tps: 12,345  tflops: 123.45  "
            "mfu: 12.5%",
            {"step": 10, "loss": 7.86, "grad_norm": 1.42, "tokens_per_s": 12345, "tflops": 123.45, "mfu": 0.125},
        ),
        ("validate step: 100  loss:  6.1  memory: 12.34GiB(25.00%)  tps: 45,678", {"step": 100, "val_loss": 6.1}),
        (
            "step:250/3375 val_loss:4.199 train_time:115487ms step_avg:500.0ms",
            {"step": 250, "total_steps": 3375, "val_loss": 4.199, "step_time_s": 0.5},
        ),
        (
            "step:5 - training/global_step:5 - actor/pg_loss:np.float64(0.0012) - actor/grad_norm:0.345 - "
            "critic/mean:0.12",
            {"step": 5, "loss": 0.0012, "grad_norm": 0.345},
        ),
        ("Step 14 | loss:1.5 grad_norm:tensor(2.25, device='cuda:0') ", {"step": 14, "loss": 1.5, "grad_norm": 2.25}),
        ("step=10, skipped=2, lr=[9.7e-06, 9.7e-06], mom=[(0.9, 0.999)]", {"step": 10, "skipped": 2, "lr": 9.7e-6}),
        (
            "Epoch 1 | iter 128 step 8 | loss train: 2.345, val: n/a | iter time: 250.0 ms",
            {"step": 8, "loss": 2.345, "epoch": 1, "step_time_s": 0.25},
        ),
        (
            "epoch 001:   1000 / 3200 loss=8.2, num_updates=1000, gnorm=1.2",
            {"step": 1000, "epoch": 1, "loss": 8.2, "grad_norm": 1.2},
        ),
        ("loss： 2.3， step： 5", {"step": 5, "loss": 2.3}),
        ("WARNING step 14: grad_norm 5e-7 < 1e-6", {"step": 14, "grad_norm": 5e-7}),
    ],
)
def test_lines_of_known_loops(line: str, row: dict[str, float]) -> None:
    assert row_of(line) == pytest.approx(row)


@pytest.mark.parametrize(
    "line",
    [
        "number of nan iterations",
        "| learning rate (LR)    | 6.000000e-04 |",
        "grad_norm < 1e-6",
        "python train.py --lr 0.001 --steps 1000",
        "Warmup (500) + decay (800) steps exceed total steps (1000).",
        "gradient accumulation steps 4, every 100 steps",
        "aux loss: 0.5",
        "layer 3 grad_norm: 0.5",
        "NVIDIA-SMI 525.60.13    Driver Version: 525.60.13",
        "| N/A   30C    P0    60W / 400W |      0MiB / 40960MiB |      0%      Default |",
    ],
)
def test_lines_that_give_no_metric(line: str) -> None:
    assert row_of(line) == {}


def test_a_very_long_segment_is_not_scanned() -> None:
    assert key_values("step 1 loss 2 " * 2000) is None


def test_a_parts_number_does_not_reach_into_the_next_name() -> None:
    assert row_of("step 5: foo: 3 loss: 2") == {"step": 5, "loss": 2}
