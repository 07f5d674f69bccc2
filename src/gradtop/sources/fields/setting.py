"""What trainers call their settings: names and values of a configuration to facts of the run.

A setting is never a metric: it says what was planned, not what happened.
"""

import re
from collections.abc import Iterable

import msgspec

from gradtop.record import Model, RunFacts, Train
from gradtop.sources.fields.number import MULTIPLES, NUMBER

_TABLE = {
    "total_steps": """
        max_steps total_steps train_iters max_iters max_iter total_optimization_steps train_steps training_steps
        num_training_steps num_train_steps max_train_steps total_training_steps total_num_steps max_update max_updates
        num_iterations total_iterations num_steps steps iterations train_num_batches max_step
    """,
    "epochs": """
        num_train_epochs num_epochs epochs max_epochs max_epoch n_epochs total_epochs train_epochs nepochs
        max_num_epochs scheduled_epochs
    """,
    "warmup_steps": """
        warmup_steps num_warmup_steps warmup_iters warmup_iterations lr_warmup_iters lr_warmup_steps warmup_updates
        n_warmup_steps warmup_num_steps warmup_step
    """,
    "warmup_ratio": """
        warmup_ratio lr_warmup_fraction warmup_fraction warmup_steps_fraction lr_warmup_steps_ratio
        warmup_proportion
    """,
    "warmup_epochs": "warmup_epochs warmup_epoch lr_warmup_epochs n_warmup_epochs",
    "lr_max": """
        learning_rate lr lr0 max_lr peak_lr peak_learning_rate max_learning_rate actual_lr solver/base_lr
    """,
    "clip_norm": """
        max_grad_norm clip_grad gradient_clip_val grad_clip clip_norm clip_grad_norm gradient_clipping max_norm
        grad_norm_clip grad_clip_norm clip_max_norm gradient_clipping_threshold gradient_clip
    """,
    "accumulation": """
        gradient_accumulation_steps accumulate_grad_batches accum_iter grad_accum_steps gradient_accumulation
        grad_accumulation_steps update_freq accumulation_steps grad_accum accumulate_grad_iterations accum_steps
    """,
    "batch_size": """
        global_batch_size total_train_batch_size train_batch_size total_batch_size effective_batch_size batch_size
        batch ims_per_batch global_train_batch_size
    """,
    "micro_batch_size": """
        per_device_train_batch_size micro_batch_size instantaneous_batch_size_per_device batch_size_per_device
        local_batch_size device_batch_size train_micro_batch_size_per_gpu batch_size_per_gpu micro_batch_size_b
        device_train_microbatch_size
    """,
    "batch_tokens": "tokens_per_iteration_will_be tokens_per_iteration",
    "optimizer": """
        optimizer optim optimizer_name optimizer_type opt optimizer/type optimizer/name optimizer/_target_
        optimizer/_component_ optimizer/class_path
    """,
    "precision": """
        precision mixed_precision dtype fp16 bf16 amp fp16_run fp16_enabled bfloat16_enabled fp16/enabled bf16/enabled
    """,
    "params": """
        total_params total_parameters number_of_parameters number_of_params num_parameters num_params n_params
        number_parameters all_params total_number_of_parameters param_count model_params params_in_millions
        params_in_billions
    """,
    "trainable": """
        trainable_params trainable_parameters number_of_trainable_parameters num_trainable_params
        num_trainable_parameters
    """,
    "decay_steps": "lr_decay_iters",
    "layers": "num_layers n_layer n_layers num_hidden_layers num_layers_l",
    "world_size": "world_size",
}
_FACTS = {name: fact for fact, names in _TABLE.items() for name in names.split()}
"""Normalised name of a setting → the fact it states."""
_UPPER = {"BASE_LR": "lr_max"}
"""Names that mean something else in lower case: a `base lr` is scaled by the batch before it is used."""
_MODEL = frozenset(("params", "trainable", "layers"))

TOKENS_FROM = 65_536
"""A `total batch size` above this counts tokens, as in llm.c and nanochat: no batch has that many sequences."""
MOST = 1e15
"""A setting above this is no plan but a stand-in for "without end"."""

_BRACKETS = re.compile(r"\s*\([^()]*\)")
_NOT_WORD = re.compile(r"[\s\-.]+")
_QUANTITY = re.compile(
    rf"({NUMBER})\s?([KMBT]\b|million|billion|百万|亿)?(?=\s*(?:\Z|\(|of\b|[,;|]|ba\b|ep\b|parameters\b))",
    re.IGNORECASE,
)
_WORDS_OF_SCALE = {"million": 1e6, "billion": 1e9, "百万": 1e6, "亿": 1e8}
_WORD = re.compile(r"[A-Za-z_][\w.\-]*\Z")
_PRECISIONS = {
    "16": "fp16",
    "16bit": "fp16",
    "16-mixed": "fp16",
    "16-true": "fp16",
    "float16": "fp16",
    "half": "fp16",
    "bf16-mixed": "bf16",
    "bf16-true": "bf16",
    "bfloat16": "bf16",
    "amp_bf16": "bf16",
    "amp_fp16": "fp16",
    "32": "fp32",
    "32-true": "fp32",
    "float32": "fp32",
}
_SWITCHES = {"fp16": "fp16", "fp16_run": "fp16", "fp16_enabled": "fp16", "fp16/enabled": "fp16", "bf16": "bf16"}
_SWITCHES |= {"bfloat16_enabled": "bf16", "bf16/enabled": "bf16", "amp": "amp"}
_YES, _NO = frozenset(("true", "yes", "on")), frozenset(("", "none", "null", "no", "false", "off", "auto"))


def fact_of(name: str) -> str | None:
    """The fact that a setting of this name states, e.g. `total_steps`; None where it states none that is kept."""
    return _UPPER.get(name) or _FACTS.get(normalised(name))


def normalised(name: str) -> str:
    """Lower case, blanks, dashes and dots as underscores, without what stands in brackets and after ` / `."""
    plain = _BRACKETS.sub("", name.partition(" / ")[0]).strip(" \t'\"*-")
    return _NOT_WORD.sub("_", plain).lower().replace("__", "_")


def facts_from(settings: Iterable[tuple[str, object]], origin: str) -> RunFacts | None:
    """The facts that settings state; of several settings for one fact the first that states something holds.

    Args:
        settings: names as written, with values as decoded or as printed.
        origin: where they stand, for people: `line 12`, `args.yaml`.

    Returns:
        None where no setting states a fact.
    """
    told: dict[str, float | int | str] = {}
    automatic = False
    for name, value in settings:
        if (fact := fact_of(name)) is not None and (found := _stated(fact, normalised(name), value)) is not None:
            told.setdefault(*found)
        automatic = automatic or (fact == "optimizer" and str(value).lower() == "auto")
    if automatic:
        # Ultralytics chooses the learning rate together with the optimizer, whatever is set.
        told.pop("lr_max", None)
    return _record(told, origin) if told else None


def _record(told: dict[str, float | int | str], origin: str) -> RunFacts:
    model = msgspec.convert({k: v for k, v in told.items() if k in _MODEL}, Model)
    train = {k: v for k, v in told.items() if k not in _MODEL and k != "world_size"}
    world = told.get("world_size")
    return RunFacts(
        model=model,
        train=msgspec.convert(train, Train),
        world_size=world if isinstance(world, int) else None,
        origin=dict.fromkeys(told, origin),
    )


def _stated(fact: str, name: str, value: object) -> tuple[str, float | int | str] | None:
    """(fact, value) of one setting; None where the value states nothing: absent, unlimited, or of another kind."""
    if fact in ("optimizer", "precision"):
        found = _optimizer(value) if fact == "optimizer" else _precision(name, value)
        return (fact, found) if found else None
    number = quantity(value)
    if number is None or not 0 < (number := number * _SCALED.get(name, 1.0)) <= MOST:
        return None
    if fact == "warmup_steps" and number < 1:
        return "warmup_ratio", number
    if fact == "warmup_ratio" and number >= 1:
        return None
    if name == "total_batch_size" and number >= TOKENS_FROM:
        fact = "batch_tokens"
    return fact, number if fact in _REAL else round(number)


_SCALED = {"params_in_millions": 1e6, "params_in_billions": 1e9}
_REAL = frozenset(("lr_max", "clip_norm", "warmup_ratio", "warmup_epochs", "epochs"))


def quantity(value: object) -> float | None:
    """The number that a setting's value states, with its multiple (`1.5B`, `25.8 million`); None where it is none.

    Of a list the first number counts, as with one learning rate for each epoch.
    """
    if isinstance(value, list | tuple):
        return quantity(value[0]) if value else None
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    if not isinstance(value, str):
        return None
    text = value.strip().strip("'\"[(").strip()
    match = _QUANTITY.match(text.removesuffix("]"))
    if match is None:
        return None
    scale = match[2] or ""
    return float(match[1].replace(",", "")) * (_WORDS_OF_SCALE.get(scale.lower()) or MULTIPLES.get(scale.upper(), 1.0))


def _optimizer(value: object) -> str | None:
    """The optimizer's name without the module that it is from."""
    if not isinstance(value, str) or not _WORD.match(text := value.strip().strip("'\"")):
        return None
    name = text.rpartition(".")[2]
    return name[:40] if name and name.lower() not in _NO | _YES else None


def _precision(name: str, value: object) -> str | None:
    """`fp16`, `bf16`, `fp32`, `amp`, or the trainer's own word."""
    text = str(value).strip().strip("'\"").lower().rpartition("torch.")[2]
    if name in _SWITCHES:
        return _SWITCHES[name] if text in _YES else None
    if text in _NO or text in _YES:
        return None
    return _PRECISIONS.get(text, text[:40] if _WORD.match(text) else None)
