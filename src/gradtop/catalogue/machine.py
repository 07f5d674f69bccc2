"""Kinds of findings about time, memory and devices."""

from gradtop.catalogue.kind import Advice, Check, Kind

_NVIDIA_SMI = Check(
    "See nvidia-smi -q -d PERFORMANCE,TEMPERATURE,POWER on each node: heat and power limits slow a GPU."
)

THROUGHPUT = Kind(
    id="throughput_drop",
    needs="step times, tokens or samples per second, or rows with their time",
    title="Slower steps",
    meaning="A step takes longer than it did over the last 1,000 rows, and it stays so.",
    severity="notice from 4 % on for 80 of 100 rows; watch from 1.5 times on, after 30 rows, sooner from 2.5",
    limits=("throughput_rise", "throughput_rows", "throughput_watch"),
    criteria=(
        ("persists", "Steps take longer row after row"),
        ("large", "A step takes at least 1.5 times as long as before"),
        ("per_unit", "A token or a sample takes longer too, so the steps did not just become larger"),
        ("same_session", "It began without a resume, on the same hardware"),
    ),
    causes=(
        "One slow GPU or node that all others wait for: heat, a power limit, a failing link.",
        "Data that arrives more slowly: a shared disk, fewer or dead data-loader workers.",
        "Another job on the same machine.",
        "Longer sequences, a larger batch or more of the model at work from here on: then this is no fault.",
        "More logging, evaluation or checkpointing than before.",
    ),
    checks=(
        Check("Compare the step times of {ranks} around {first_step}: one slow rank holds up all."),
        _NVIDIA_SMI,
        Check(
            "See what it waits for ({usual_time} before, {time} now): py-spy dump --pid {pid}.",
            "See what it waits for ({usual_time} before, {time} now): py-spy dump --pid of the training process.",
        ),
        Check("Look at the time for data in a step, at the disk (iostat) and at other jobs (nvidia-smi, top)."),
    ),
    reference="BLOOM-176B went from 105.2 to 111.1 s per iteration (+5.6 %) by one slow GPU: told after 82 rows",
    forms={
        "resumed": Advice(
            (
                "Other hardware, or fewer GPUs, than before the resume.",
                "A slow GPU or node in the new allocation.",
                "Another batch size, sequence length, precision or compile mode than before: then this is no fault.",
            ),
            (
                Check(
                    "Compare hardware and settings of both launches ({usual_time} before, {time} now).",
                    "Compare hardware and settings of both launches.",
                ),
                _NVIDIA_SMI,
            ),
        ),
    },
)

MEMORY = Kind(
    id="memory_leak",
    needs="memory of the process or the GPU in its rows",
    title="Memory grows",
    meaning="Memory grows all the time, not only at the start, and will run out.",
    severity="watch when it grows by 20 % per 1,000 steps or runs out before the planned end; intervene when it runs "
    "out within 30 minutes",
    limits=("memory_growth", "memory_from_step", "memory_eta_s"),
    criteria=(
        ("grows", "Its lowest values rise from span to span, without a pause"),
        ("material", "It grows by 20 % per 1,000 steps, or runs out before the planned end or within 30 minutes"),
        ("runs_out", "It runs out within 30 minutes"),
        ("after_start", "It still grows after the first steps"),
    ),
    causes=(
        "Tensors that keep their graph: losses or outputs collected without .item() or .detach().",
        "Lists, caches or metrics that grow with every step.",
        "Data-loader workers that keep what they read (copy-on-write of Python objects).",
        "Fragmentation of the GPU's memory by inputs of ever new shapes.",
    ),
    checks=(
        Check("Save a checkpoint before it runs out ({full}).", "Save a checkpoint before it runs out."),
        Check("Look for what is appended in every step: losses, outputs and metrics need .item() or .detach()."),
        Check(
            "Compare torch.cuda.memory_allocated with memory_reserved: only reserved grows if memory is fragmented "
            "(then PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True)."
        ),
        Check("Take snapshots some hundred steps apart: torch.cuda.memory._dump_snapshot, or tracemalloc on the host."),
        Check("For host memory: num_workers=0 for a while tells whether the workers hold it."),
    ),
    reference="SageMaker's GPUMemoryIncrease takes a moving average up 5 %; here the floors of 8 spans have to rise",
)

STARVED = Kind(
    id="gpu_starved",
    needs="the time for data beside the step time, or the utilisation of the GPUs",
    title="GPU waits for data",
    meaning="A large part of a step is spent on waiting for data, or the GPUs are idle much of the time.",
    severity="notice from 30 % on; watch at half of the step or 1.5 times its time, when it was not so at the start",
    limits=("starved_share", "starved_watch", "starved_rows", "busy_share", "throughput_watch"),
    criteria=(
        ("persists", "It is so in most of the last rows"),
        ("large", "Waiting takes at least half of the time, or makes a step 1.5 times as long as it was"),
        ("began", "It was not so at the start, so something changed"),
    ),
    causes=(
        "Too few data-loader workers, or workers that died.",
        "A slow or shared disk, or data read over the network.",
        "Decoding and augmentation on the CPU that take longer than the step.",
        "A model or batch that is small for the GPU: then only its speed suffers.",
    ),
    checks=(
        Check(
            "Data takes {share} of a step: raise num_workers and prefetch_factor, and set pin_memory=True.",
            "Raise num_workers and prefetch_factor, and set pin_memory=True.",
        ),
        Check("Look at top and iostat: busy CPUs mean decoding, waiting ones mean the disk."),
        Check("Run some steps on one batch kept in memory: if they are as slow, it is not the data."),
        Check("Cache or pre-process the data set, or put it on a local disk."),
    ),
    reference="SageMaker's LowGPUUtilization takes a 95th percentile below 70 %; a healthy run spends 92 % of its time "
    "on data from the start, so that alone is a notice",
)

THROTTLED = Kind(
    id="gpu_throttled",
    needs="the driver's throttle reasons beside step times",
    title="GPU throttled",
    meaning="The driver slows a GPU down, and steps take longer for it.",
    severity="watch when steps take 10 % longer in 20 of 30 rows; notice for a forced slowdown from the start on",
    limits=("throttled_rise", "throttled_rows", "throttled_window"),
    criteria=(
        ("throttled", "The driver reports that it slows the GPU down"),
        ("slower", "A step takes at least 10 % longer than without"),
        ("persists", "It is so in most of the last rows"),
    ),
    causes=(
        "Heat: a blocked air flow, a failing fan, a hot room.",
        "A power limit, of the card or of the machine's supply.",
        "A hardware fault that lowers the clocks.",
    ),
    checks=(
        Check(
            "The driver gives {reasons} for {device}: see nvidia-smi -q -d PERFORMANCE,TEMPERATURE,POWER.",
            "See nvidia-smi -q -d PERFORMANCE,TEMPERATURE,POWER.",
        ),
        Check(
            "Compare the power limit with that of the other cards: nvidia-smi --query-gpu=power.limit,power.draw "
            "--format=csv."
        ),
        Check("Look for Xid errors in the kernel log: dmesg | grep -i xid."),
        Check("If one card of many is hot, move the job off its node: all ranks wait for the slowest."),
    ),
    reference="the clocks event reasons of NVML; idle, set clocks and display clocks are left out",
)

KINDS = (THROUGHPUT, MEMORY, STARVED, THROTTLED)
"""The kinds of this group."""
