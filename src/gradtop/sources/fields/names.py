"""Names in logs to gradtop's own names: the synonym table, the per-layer families and the unit rules.

Canonical names carry their unit (`_s`, `_per_s`), and ratios are 0 to 1.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from gradtop.clean import shorten
from gradtop.sources.fields.number import MULTIPLES, SECONDS

_TABLE = {
    # Order is preference: where one row has several of these names, the first one is the step.
    "step": """
        step completed_step update_step optimizer_step train_step current_steps current_step global_step
        global_steps globalstep train/global_step training/global_step trainer/global_step num_updates
        train_num_updates valid_num_updates updates
        progress/step 步数 iteration iterations iter iters it validation_at_iteration total_timesteps up. step_num
        time/total_timesteps step_count steps s batch time/batch _step
    """,
    "total_steps": "total_steps max_steps train_iters num_iterations total_iterations",
    # Within an epoch: the batch or the sample that it is at, and how many an epoch has.
    "epoch_step": "epoch_step epoch_sample",
    "epoch_steps": "epoch_steps epoch_samples",
    "total_epochs": "total_epochs",
    "episode": "episode",
    "epoch": "epoch epochs train/epoch training/epoch time/epoch epoch_num train/current_epoch current_epoch ep ep.",
    "loss": """
        loss train_loss train/loss training_loss lm_loss train/lm_loss train/ce_loss ce_loss
        train/crossentropyloss crossentropyloss train/cross_entropy_loss loss_metrics/global_avg_loss
        global_avg_loss reduced_train_loss total_loss 损失 训练损失 loss/train/total learning/loss actor/pg_loss
        train/policy_loss policy_loss gpt_loss step_loss avr_loss avg_loss loss/current loss/average loss_mean
        train_inner_loss trl nll_loss train_step_loss train_loss_step loss_train running_loss
        lm_loss_training/lm_loss megatron.training.loss train/total_loss train/samples/train_loss cost
        metrics/train/languagecrossentropy metrics/train/crossentropy
    """,
    "val_loss": """
        val_loss eval_loss valid_loss validation_loss test_loss eval/loss val/loss valid/loss validation/loss
        loss/valid loss/val validation_metrics/loss eval/avg_loss lm_loss_value lm_loss_validation
        lm_loss_validation/lm_loss_validation tel loss_val 验证损失 val eval/ce_loss loss/eval/total
        metrics/eval/languagecrossentropy metrics/eval/crossentropy
    """,
    "val_ppl": """
        val_ppl eval_ppl lm_loss_ppl val_perplexity eval_perplexity eval/perplexity valid_ppl
        lm_loss_validation_ppl lm_loss_ppl_value metrics/eval/languageperplexity
    """,
    "val_bpb": "validation_bpb val/bpb val_bpb",
    "ppl": "ppl perplexity train/ppl train/perplexity learning/perplexity metrics/train/languageperplexity",
    "lr": """
        lr learning_rate 学习率 train/learning_rate train/lr optim/lr optim/learning_rate optim/learning_rate_group0
        optim/lr_(group_0) learning_rate/learning_rate learning/current_learning_rate actor/lr
        train/learning_rate_group0 lr_0 lr/pg0 lr/unet lr/group0 train/samples/lr current_lr train_lr actor_lr
        current_lr_0 optim0_lr0 megatron.training.learning_rate l.r.
    """,
    "grad_norm": """
        grad_norm learning/raw_grad_norm raw_grad_norm gradnorm gradient_norm train/grad_norm total_grad_norm
        optim/total_grad_norm global_grad_norm l2_norm/grad/global grad_2.0_norm_total grad_norm_total gnorm
        gradients/global_norm grad/norm/total learning/grad_norm actor/grad_norm grad_norm/grad_norm
        train/gradient_norm norm/avg_grad_norm actor_grad_norm megatron.training.grad_norm total_norm norm
    """,
    "param_norm": "param_norm params_norm parameter_norm params_norm/params_norm learning/param_norm",
    "loss_scale": """
        loss_scale lossscale grad_scale train/loss_scale loss_scale/loss_scale train/samples/loss_scale scale
        amp/scale amp_scaler [metric]grad_scaler grad_scaler
    """,
    "skipped": """
        number_of_skipped_iterations skipped skipped_iterations skipped_iters skipped_steps
        skipped_train_samples optim/step_skipped step_skipped megatron.training.skipped_iters
    """,
    "nan_iters": "number_of_nan_iterations nan_iterations",
    "num_zeros": "num_zeros",
    "tokens": """
        tokens total_tokens num_tokens consumed_tokens tokens_seen n_tokens_seen num_input_tokens_seen
        num_tokens_seen tokens/total train/total_tokens throughput/total_tokens time/token total_train_tokens
    """,
    "samples": "consumed_samples consumed_train_samples samples samples_count num_samples time/sample global_samples",
    "tokens_per_s": """
        tokens_per_s tokens_per_sec tokens_per_second tok/s tok/sec toks/s tokens/s tokens/sec tps wps
        throughput(tps) tokens/s/device tokens_per_second_per_gpu tokens_per_sec_per_gpu
        tokens_per_gpu_per_second tgs train_tokens_per_second train/tokens_per_second
        tokens/train_per_sec_per_gpu throughput/device/tokens_per_second throughput/device/tps
        throughput/tokens_per_sec throughput/tokens_per_second throughput/device/tokens_per_sec
        perf/throughput perf/per_device_tokens_per_sec train/tok_per_sec tok_per_sec runtime/tokens_per_sec
        megatron.training.tokens_per_sec throughput
    """,
    "samples_per_s": """
        samples/sec samples/s samples_per_second samples_per_sec train_samples_per_second
        throughput/samples_per_sec runtime/samples_per_sec currsamplespersec
    """,
    "step_time_s": """
        step_time step_time_s step_avg dt iter_time seconds elapsed_time_per_iteration train_step_timing_in_s
        perf/step_time_seconds timing_s/step time_per_step iteration_time batch_time sec_per_step train/dt
        time_metrics/end_to_end runtime/iteration_time ms/step ms/batch perf/time_per_step time
    """,
    "data_time_s": "data_time_s data_time loader_time data",
    "tflops": """
        tflops tflop/s/device throughput_per_gpu_(tflop/s/gpu) tflop/s/gpu perf/per_device_tflops_per_sec
        samples_per_sec_tflops
    """,
    "mfu": "mfu bf16_mfu train/mfu throughput/device/mfu perf/mfu/actor",
    "accuracy": "accuracy acc mean_token_accuracy train_acc acc_train",
    "val_accuracy": "val_accuracy val_acc eval_accuracy eval_mean_token_accuracy eval/accuracy acc_val",
    # Wall clock. `time` itself is settled by its value: see `plan`.
    "time": "timestamp _timestamp wall_time unix_time",
}
_FOREIGN = {
    "step": "шаг итерация ステップ イテレーション ステップ数 스텝 단계 步 迭代 迭代次数 训练步数 paso étape schritt",
    "epoch": "эпоха エポック 에포크 에폭 轮 轮次 轮数 训练轮次 回合 训练回合 epoche época époque",
    "loss": "потери потеря лосс 損失 訓練損失 손실 훈련손실 损失值 训练损失值 平均损失 pérdida perte verlust perda",
    "val_loss": "検証損失 검증손실 验证集损失 验证损失值 测试损失",
    "lr": "скорость_обучения 学習率 학습률 当前学习率",
    "accuracy": "точность 精度 正解率 정확도 准确率 训练准确率 precisión précision genauigkeit",
    "val_accuracy": "验证准确率 测试准确率 検証精度 검증정확도",
    "grad_norm": "梯度范数 勾配ノルム норма_градиента",
    "ppl": "困惑度",
}
SYNONYMS: dict[str, tuple[str, int]] = {
    name: (canon, i)
    for table, first in ((_FOREIGN, 50), (_TABLE, 0))
    for canon, names in table.items()
    for i, name in enumerate(names.split(), first)
}
"""Normalised name → (canonical name, preference: lower wins where a row has several)."""

WALL_CLOCK_FROM = 1e8
"""A `time` above this is Unix seconds (from 1973 on), one below it is seconds per step."""

_FOLDERS = ("train/", "training/", "optim/", "learning/", "perf/")
_SPACE = re.compile(r"\s+")
_KEY_UNIT = re.compile(r"_?\(([^()]*)\)\Z")
_LR_OF_OPTIMIZER = re.compile(r"lr[-/](?!.*momentum)[a-z]\w*(?:/(?:pg|group_?)\d+)?\Z")
_PART = re.compile(
    r"(?:(?P<train>train(?:ing)?)|val\.?|valid|validation|eval|evaluation|test|dev)(?:_?\d+)?(?:'s_|[-_/ ])(?P<what>.+)"
)
_OF_PART = {
    **dict.fromkeys(("loss", "logloss", "mlogloss", "binary_logloss", "multi_logloss"), "loss"),
    **dict.fromkeys(("acc", "accuracy"), "accuracy"),
    **dict.fromkeys(("ppl", "perplexity"), "ppl"),
}
"""Measures that are printed for one part of the data or another: `valid_acc`, `validation_0-logloss`."""
_OF_TRAINING = frozenset(("loss", "lr", "grad_norm", "accuracy", "ppl", "param_norm", "loss_scale", "mfu"))
"""What a name is for that has `train` before a name that is known."""
_NO_UNIT = frozenset(("step", "total_steps", "epoch", "epoch_step"))
_TWIN = re.compile(r"[ _]vs[ _](?:samples|tokens)\Z")
_WRAPPERS = re.compile(r"(?:_orig_mod|_fsdp_wrapped_module|_forward_module|_checkpoint_wrapped_module|module)\.")
_PER_LAYER = r"(?P<layer>.*(?:weight|bias|layers?[._]\d|blocks?[._]\d|\bh\.\d).*)"
_FAMILIES: tuple[tuple[re.Pattern[str], dict[str, str]], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), kinds)
    for pattern, kinds in (
        (
            r"(?P<kind>grad_norm|weight_norm|update_ratio|activation_rms|dead_fraction|zero_fraction|max_attention_logit)"
            r"/(?P<layer>.+)",
            {},
        ),
        (r"(?P<kind>grad)_(?:[\d.]+|inf)_norm/(?P<layer>.+)", {"grad": "grad_norm"}),
        (
            r"l2_norm/(?P<kind>grad|param|moment|update)/(?P<layer>.+)",
            {"grad": "grad_norm", "param": "weight_norm", "moment": "moment_norm", "update": "update_norm"},
        ),
        (
            r"(?P<kind>gradient_norms|parameter_norms|pct_grad_zeros|optimizer_state_norms)/(?P<layer>.+)",
            {
                "gradient_norms": "grad_norm",
                "parameter_norms": "weight_norm",
                "pct_grad_zeros": "zero_fraction",
                "optimizer_state_norms": "optimizer_state_norm",
            },
        ),
        (
            r"(?:optim/)?(?P<kind>grad|param|exp_avg|exp_avg_sq)/(?P<layer>.+)\.norm",
            {"grad": "grad_norm", "param": "weight_norm", "exp_avg": "exp_avg_norm", "exp_avg_sq": "exp_avg_sq_norm"},
        ),
        (
            r"(?P<kind>grad|params|updates)/norm/(?P<layer>.+)",
            {"grad": "grad_norm", "params": "weight_norm", "updates": "update_norm"},
        ),
        (
            r"(?P<kind>gnorm|pnorm|gzero)_(?P<layer>.+)",
            {"gnorm": "grad_norm", "pnorm": "weight_norm", "gzero": "zero_fraction"},
        ),
        (
            rf"(?P<kind>grad_norm|gradients|gradnorm|grad)[/_.]{_PER_LAYER}",
            {"gradients": "grad_norm", "gradnorm": "grad_norm", "grad": "grad_norm"},
        ),
    )
)

MAX_NAME = 120
"""Characters kept of a name that no synonym is known for."""

_TIMES = frozenset(("step_time_s", "data_time_s"))
_COUNTS = frozenset(("tokens_per_s", "samples_per_s", "tokens", "samples", "loss_scale", "step", "total_steps", "ppl"))
_RATIOS = frozenset(("mfu", "accuracy", "val_accuracy", "zero_fraction"))
_PER_SECOND = {
    "tokens_per_s": re.compile(r"tok(?:en)?s?/s(?:ec)?\Z|tps\Z|tgs\Z", re.IGNORECASE),
    "samples_per_s": re.compile(r"samples?/s(?:ec)?\Z", re.IGNORECASE),
}


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a name in a file stands for."""

    canonical: str
    known: bool
    """A synonym of the table or a per-layer family, as opposed to a name kept as it is."""
    preference: int = 0
    """Lower wins where a row has several names of one meaning."""
    unit: str = ""
    """The unit that the name itself states, e.g. `ms`."""


def canonical(raw: str) -> str | None:
    """The canonical name of a metric name as written in a file; None where no synonym is known."""
    meaning = meaning_of(raw)
    return meaning.canonical if meaning.known else None


@lru_cache(maxsize=8192)
def meaning_of(raw: str) -> Meaning:
    """What a name stands for; an unknown one stands for itself, as it is spelt, shortened."""
    name = normalised(raw)
    unit = _unit_in(name)
    for penalty, variant in enumerate(_variants(name)):
        if found := SYNONYMS.get(variant):
            canon, preference = found
            if canon in _NO_UNIT and name.endswith(")") and variant != name:
                # `Batch (t): 0.312` is the time that a batch takes.
                break
            return Meaning(canon, True, preference + 100 * penalty, unit)
    if (part := _of_part(name)) is not None:
        return Meaning(part, True, 95, unit)
    if _LR_OF_OPTIMIZER.match(name):
        return Meaning("lr", True, 90)
    if layer := _layer_of(raw.strip().strip("'\"")):
        return Meaning(layer, True, 0, "%" if name.startswith("pct_") else "")
    return Meaning(shorten(_SPACE.sub(" ", raw.strip().strip("'\"")), MAX_NAME), False)


def _of_part(name: str) -> str | None:
    """The canonical name of a measure of the training's or the validation's data; None where the name is none."""
    if (match := _PART.fullmatch(name)) is None:
        return None
    what = match["what"]
    if not match["train"]:
        return f"val_{found}" if (found := _OF_PART.get(what)) else None
    found = _OF_PART.get(what) or SYNONYMS.get(what, ("", 0))[0]
    return found if found in _OF_TRAINING else None


def normalised(raw: str) -> str:
    """Lower case, without quotes around it, blanks as underscores."""
    return _SPACE.sub("_", raw.strip().strip("'\"`").strip().lower())


def _variants(name: str) -> list[str]:
    """The spellings under which a name is looked up: whole, without dashes, without unit, without folder."""
    found = [name]
    if "-" in name:
        found.append(name.replace("-", "_"))
    if "(" in name:
        found.append(_KEY_UNIT.sub("", name).replace("-", "_"))
    found += [found[-1][len(folder) :] for folder in _FOLDERS if found[-1].startswith(folder)]
    return found


def _unit_in(name: str) -> str:
    if match := _KEY_UNIT.search(name):
        return match[1]
    return "ms" if name.endswith(("_ms", "ms/step", "ms/batch")) else ""


def is_twin(raw: str) -> bool:
    """A second copy of a metric over samples or tokens (`lm loss vs samples`): not read."""
    return _TWIN.search(raw.lower()) is not None


def _layer_of(name: str) -> str | None:
    """The canonical name of a per-layer value, e.g. `grad_norm/layers.0.attn`; None where it is not one."""
    for pattern, kinds in _FAMILIES:
        if match := pattern.fullmatch(name):
            kind = match["kind"].lower()
            return f"{kinds.get(kind, kind)}/{layer_name(match['layer'])}"
    return None


def layer_name(raw: str) -> str:
    """A parameter's or module's name without what wrappers (DDP, FSDP, compile, checkpointing) put into it."""
    return _WRAPPERS.sub("", raw)


def scale_for(name: str, unit: str) -> tuple[float, str] | None:
    """The factor to the canonical unit and its label (`ms → s`); None where the unit cannot be one of this metric."""
    if not unit:
        return 1.0, ""
    kind = name.partition("/")[0]
    if kind in _RATIOS:
        return (0.01, "% → ratio") if unit == "%" else None
    if kind in _TIMES:
        factor = SECONDS.get(unit)
        return None if factor is None else (factor, "" if factor == 1 else f"{unit} → s")
    if kind in _COUNTS and unit in MULTIPLES:
        return MULTIPLES[unit], f"{unit} → {MULTIPLES[unit]:g}"
    if kind == "tflops":
        return (1.0, "") if unit.lower().startswith("tflop") else None
    return (1.0, "") if kind in _PER_SECOND and _PER_SECOND[kind].match(unit) else None
