"""Kinds of findings about the learning rate."""

from gradtop.catalogue.kind import Advice, Check, Kind

LR_ZERO = Kind(
    id="lr_zero",
    needs="the learning rate, and the planned number of steps",
    title="Learning rate is zero",
    meaning="The learning rate is 0 before the planned end while the run goes on: nothing is learned any more.",
    severity="watch; notice where the loss falls all the same, or the rate may be printed with too few digits",
    limits=("lr_zero_rows", "lr_zero_factor"),
    criteria=(
        ("zero", "The learning rate is 0, or next to nothing beside its highest value"),
        ("rows_go_on", "Steps are made with it, row after row"),
        ("before_end", "The planned end is not reached"),
        ("loss_flat", "The loss does not fall any more"),
    ),
    causes=(
        "A schedule with too few total steps: counted per epoch, per device, or without accumulation.",
        "A scheduler that is stepped per batch where it counts epochs.",
        "An integer division in a schedule of one's own.",
        "A resume that went on with a schedule that was over.",
    ),
    checks=(
        Check(
            "Compare the steps that the scheduler was given with the {planned} of this run.",
            "Compare the steps that the scheduler was given with those that this run shall make.",
        ),
        Check("Count how often scheduler.step() is called: once per optimizer step, or once per epoch?"),
        Check("The steps since {first_step} changed nothing: stop, or set the schedule right and go on from there."),
    ),
    forms={
        "printed": Advice(
            ("The rate is printed with too few digits, or is that of a parameter group that is off.",),
            (
                Check("Print it with an exponent (:.2e): small rates then stay readable."),
                Check("Look at the rates of all parameter groups: one of them may be 0 on purpose."),
            ),
        ),
    },
    reference="recorded runs end at 0 for up to the last 2 % of their rows where six decimals are printed",
)

LR_JUMP = Kind(
    id="lr_jump",
    needs="the learning rate, and loss or grad norm",
    title="Learning rate jumped",
    meaning="The learning rate rose at once above what it was, or is another one after a resume.",
    severity="notice; watch when loss or grad norm leave their usual range within 100 steps, or higher after a resume",
    limits=("lr_jump_factor", "lr_jump_steps"),
    criteria=(
        ("jumped", "It is another learning rate from one row to the next"),
        ("above_peak", "It is higher than ever before in this run"),
        ("trouble", "Loss or grad norm left their usual range soon after"),
        ("loss_high", "The loss is higher than before"),
    ),
    causes=(
        "A scheduler that was stepped wrongly, or replaced while the run went on.",
        "A learning rate that was changed by hand, or scaled for another batch size or number of devices.",
    ),
    checks=(
        Check("Compare the learning rate around {first_step} with the schedule: {lr_before} → {lr_after}."),
        Check("If the loss suffers: go back to a checkpoint before {first_step} and train on with {lr_before}."),
        Check("A higher rate on purpose needs a ramp of some hundred steps."),
    ),
    forms={
        "resume": Advice(
            (
                "A resume without the state of the scheduler, so that the schedule began again.",
                "Another peak, total or warm-up in the settings of the resumed run.",
            ),
            (
                Check("Restore the scheduler's state, or its last step: {lr_before} was due, it is {lr_after}."),
                Check("Verify that the optimizer's state was restored as well: Adam without it takes large steps."),
                Check("If the loss suffers: resume again from the checkpoint before {first_step}."),
            ),
        ),
    },
    reference="fault bench: seen at the step itself; in recorded healthy runs the only such rises are ramps, and "
    "returns to a rate of before",
)

KINDS: tuple[Kind, ...] = (LR_ZERO, LR_JUMP)
"""The kinds of this group."""
