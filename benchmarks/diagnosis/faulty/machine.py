"""Faults: precision, time, memory and the process."""

from ..change import Cost, Crash, GrowthInterval, Overflow
from ..plan import CNN, Log, Plan, Schedule, Setup, faulty

PLANS: tuple[Plan, ...] = (
    faulty(
        "skip_storm",
        400,
        800,
        "amp_skip_storm amp_scale_collapse amp_overflow nonfinite",
        "The loss scale is doubled after every good step from step 400 on: every second step overflows.",
        Setup(scaler=True, changes=(GrowthInterval(first=400, steps=1),)),
    ),
    faulty(
        "scale_collapse",
        400,
        700,
        "amp_scale_collapse amp_skip_storm nonfinite amp_overflow",
        "Every gradient overflows from step 400 on, whatever the loss scale.",
        Setup(scaler=True, shape=CNN, schedule=Schedule(kind="linear"), changes=(Overflow(first=400),)),
    ),
    faulty(
        "scale_sinks",
        300,
        900,
        "amp_scale_collapse amp_skip_storm nonfinite amp_overflow",
        "From step 300 on every fourth step overflows, whatever the loss scale.",
        Setup(scaler=True, changes=(Overflow(first=300, every=4),)),
    ),
    faulty(
        "slower",
        500,
        1000,
        "throughput_drop",
        "A step takes 1.6 times as long from step 500 on.",
        Setup(log=Log(machine=True, layers=0), changes=(Cost(first=500, factor=1.6),)),
    ),
    faulty(
        "tenfold_slower",
        400,
        800,
        "throughput_drop",
        "A step takes ten times as long from step 400 on; the log has nothing but its time to tell it.",
        Setup(task="blobs", log=Log(layers=0), changes=(Cost(first=400, factor=10.0),)),
    ),
    faulty(
        "loader_stalls",
        400,
        1000,
        "gpu_starved throughput_drop",
        "From step 400 on the step waits for its data almost as long as it computes.",
        Setup(log=Log(machine=True, layers=0), changes=(Cost(first=400, data_wait_s=0.04),)),
    ),
    faulty(
        "memory_ramp",
        300,
        1500,
        "memory_leak",
        "From step 300 on every step leaves 4 MB behind.",
        Setup(task="regression", log=Log(machine=True, layers=0), changes=(Cost(first=300, leak_bytes=4e6),)),
    ),
    faulty(
        "out_of_memory",
        450,
        900,
        "crashed",
        "The process runs out of memory at step 450 and is gone.",
        Setup(
            changes=(Crash(first=450, words="torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."),)
        ),
    ),
)
"""All of them, as they are listed."""
