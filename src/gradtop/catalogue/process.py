"""Kinds of findings about the process that trains."""

from gradtop.catalogue.kind import Advice, Check, Kind

STALLED = Kind(
    id="stalled",
    needs="steps, while gradtop watches",
    title="Stalled",
    meaning="No new row arrives although the run is not over, by its own rhythm.",
    severity="watch; silence alone is never more",
    limits=("stall_s", "stall_gaps", "stall_unknown_s"),
    criteria=(
        ("silent", "It has been silent for far longer than its usual gap"),
        ("growing", "It was growing while it was watched, or its process is alive"),
        ("not_over", "Nothing in the log says that it is over"),
    ),
    causes=(
        "An evaluation or a checkpoint that takes long.",
        "Output that is held back in a buffer.",
        "A dead data-loader worker, or a disk that is full or slow.",
        "A collective operation that waits for a lost rank.",
    ),
    checks=(
        Check(
            "See what it is doing: py-spy dump --pid {pid}.",
            "See what it is doing: py-spy dump --pid of the training process.",
        ),
        Check("Look at nvidia-smi: a collective that hangs shows 100 % utilisation and low power."),
        Check("Look at df -h and at the kernel log (dmesg)."),
        Check("If the output is only buffered: PYTHONUNBUFFERED=1."),
    ),
    reference="SageMaker's StalledTrainingRule waits 1,800 s for any job; here the run's own arrival gaps decide",
    forms={
        "disk": Advice(
            (
                "A disk or network file system that does not answer, or that is full.",
                "A checkpoint that is written to a slow disk.",
            ),
            (
                Check("See what it waits for: cat /proc/{pid}/wchan, and /proc/{pid}/stack as root."),
                Check(
                    "Look at df -h, at iostat -x 1 and at the kernel log (dmesg): a server that is lost is named there."
                ),
            ),
        ),
        "collective": Advice(
            (
                "A collective operation that waits for a rank that died or fell behind.",
                "Ranks that do not call the same collectives in the same order.",
            ),
            (
                Check("See where each rank stands: py-spy dump --pid {pid}, and the same for its other ranks."),
                Check("Look for the first error in the logs of all ranks: who waits is not who failed."),
                Check("Run again with TORCH_DISTRIBUTED_DEBUG=DETAIL and NCCL_DEBUG=INFO."),
            ),
        ),
        "computes": Advice(
            (
                "An evaluation, a compilation or a checkpoint that takes long.",
                "Output that is held back in a buffer.",
                "A loop that never ends, or an input that takes for ever.",
            ),
            (
                Check("See what it is doing: py-spy dump --pid {pid}."),
                Check("If the output is only buffered: PYTHONUNBUFFERED=1."),
            ),
        ),
        "waits": Advice(
            (
                "A dead data-loader worker that is waited for, or a lock that is never released.",
                "A collective operation that waits for a lost rank.",
                "A network service that does not answer: a tracker, a data store.",
            ),
            (
                Check("See what it waits for: py-spy dump --pid {pid}."),
                Check("See whether its data-loader workers are still there: ps --ppid {pid}."),
                Check(
                    "If nvidia-smi shows full utilisation at low power, a collective hangs: look at the other ranks."
                ),
            ),
        ),
        "stopped": Advice(
            ("A signal stopped it: ctrl+z in its terminal, a scheduler that suspends jobs, or a debugger.",),
            (Check("Let it go on: kill -CONT {pid}, or fg in its terminal."),),
        ),
    },
)

_FIRST_ERROR = Check(
    "Read the log from line {line} on: the first error counts, later ones are its echo.",
    "Read the end of the log: the first error counts, later ones are its echo.",
)
_RESUME = Check("Resume from the last checkpoint, once the cause is clear.")

CRASHED = Kind(
    id="crashed",
    needs="the training's own output, with tracebacks and signals in it, or its process while gradtop watches it",
    title="Crashed",
    meaning="The training process died, by its log, its exit code or its plan.",
    severity="intervene until rows arrive again",
    limits=(),
    criteria=(
        ("died", "The log names an error that ends a process, or the process is gone too early"),
        ("not_resumed", "No rows arrived after it"),
    ),
    causes=("An error that the quoted line of the log names.",),
    checks=(
        _FIRST_ERROR,
        _RESUME,
    ),
    reference="messages of Python, PyTorch, NCCL, DeepSpeed and Slurm",
    forms={
        "its process is gone": Advice(
            (
                "It was killed: by the kernel for want of memory, by the scheduler, or by somebody.",
                "An error that ended it before anything was written of it.",
            ),
            (
                Check("See dmesg -T | grep -i -e oom -e killed for the kernel's reason."),
                Check("Look for its output: the terminal, the scheduler's log (sacct -j JOBID), stderr."),
                _RESUME,
            ),
        ),
        "out of memory": Advice(
            (
                "Batch, sequence or model are too large for the memory of the device.",
                "Memory that grows: tensors that keep their graph, e.g. losses summed without .item() or detach().",
                "An unusually long batch, an evaluation or a checkpoint at that moment.",
                "Another process on the same device.",
            ),
            (
                Check("See nvidia-smi for other processes on the device before the next launch."),
                Check("Halve the batch per device and double gradient accumulation: the result is the same."),
                Check("Activation checkpointing, or a limit on the sequence length."),
                _FIRST_ERROR,
            ),
        ),
        "the loss scale is at its minimum": Advice(
            (
                "The loss or the gradient is NaN or Inf in every step, so that the loss scale was halved to its end.",
                "Weights that fp16 cannot hold: the model was trained in bf16, or the checkpoint is damaged.",
                "Inputs or labels that give NaN from the first batch on.",
            ),
            (
                Check("Train in bf16 where the hardware can: it has the range of fp32 and needs no loss scale."),
                Check("Run the first batch in fp32 and look at the loss: NaN there means data or weights, not fp16."),
                _FIRST_ERROR,
            ),
        ),
        "a collective operation failed": Advice(
            (
                "Another rank died first, and this one waited for it.",
                "Ranks that do not call the same collectives in the same order.",
                "A network or driver fault between the nodes.",
            ),
            (
                Check("Look for the first error in the logs of all ranks: who waited is not who failed."),
                Check("Run again with TORCH_DISTRIBUTED_DEBUG=DETAIL and NCCL_DEBUG=INFO."),
                _RESUME,
            ),
        ),
        "the disk is full": Advice(
            ("Checkpoints, logs or caches filled the disk.",),
            (Check("See df -h, and delete old checkpoints or keep fewer of them."), _RESUME),
        ),
        "ended by the scheduler": Advice(
            (
                "The job was cancelled, by somebody or by the scheduler.",
                "It reached its time limit, or more memory than it asked for.",
                "It was preempted by another job.",
            ),
            (
                Check("See sacct -j JOBID --format=State,ExitCode,Elapsed,MaxRSS: it tells these apart."),
                Check("Ask for more time or memory, or save a checkpoint on the scheduler's signal."),
                _RESUME,
            ),
        ),
        "killed by a signal": Advice(
            (
                "The kernel ran out of host memory and killed it (signal 9).",
                "Somebody or the scheduler ended it (signal 15).",
                "The terminal or the connection that it was started from was closed (signal 1).",
                "A crash in native code (signal 6, 7 or 11).",
            ),
            (
                Check("See dmesg -T | grep -i -e oom -e killed for the kernel's reason."),
                Check("Fewer data-loader workers if host memory ran out."),
                Check("Start it inside tmux or with nohup if its terminal was closed."),
                _RESUME,
            ),
        ),
    },
)

GONE = Kind(
    id="process_gone",
    needs="a process that has the log open, or its pid in the log, while gradtop watches or records it",
    title="Process gone",
    meaning="The process that wrote the log is gone, and the log does not say whether the training finished.",
    severity="watch; notice where the log ends with an evaluation or with words like those of a run that finished, "
    "and after ctrl+c",
    limits=(),
    criteria=(
        ("gone", "The process that wrote the log was seen alive, and is gone"),
        ("unfinished", "The log does not end like that of a run that finished"),
        ("not_resumed", "No rows arrived after it"),
    ),
    causes=(
        "The training finished, and its script says nothing of it.",
        "It was killed: by the kernel for want of memory, by the scheduler, or by somebody.",
        "An error that was written elsewhere, as stderr often is.",
    ),
    checks=(
        Check("Compare the last step with what was planned, and look for its final checkpoint."),
        Check("See dmesg -T | grep -i -e oom -e killed for the kernel's reason."),
        Check("Look for its output: the terminal, the scheduler's log (sacct -j JOBID), stderr."),
        Check("Print a last line such as “training finished” at the end of the script: then the log tells."),
    ),
    reference="a process that is killed writes no last line, one that ends by itself often does not either; Linux "
    "tells the exit code from 6.15 on, and then this is `crashed` or the run has finished",
    forms={
        "ended early": Advice(
            (
                "Its user stopped it, or its own rule for stopping early did.",
                "A time limit of its own, or a signal that it handles by saving and leaving.",
            ),
            (
                Check("Compare the last step with what was planned, and look for its final checkpoint."),
                Check("Resume from the last checkpoint, if it was to go on."),
            ),
        ),
        "cut off": Advice(
            (
                "It was killed while its output waited in a buffer: by the kernel for want of memory, by the "
                "scheduler, or by somebody.",
                "The disk was full.",
            ),
            (
                Check("See dmesg -T | grep -i -e oom -e killed for the kernel's reason."),
                Check("Look for its output: the terminal, the scheduler's log (sacct -j JOBID), stderr; and at df -h."),
                _RESUME,
            ),
        ),
    },
)
