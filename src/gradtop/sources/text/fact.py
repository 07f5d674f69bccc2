"""Facts of the run in the text of a log: dumps of arguments, banners, and sentences about the model and the plan."""

import re
from collections.abc import Iterator

from gradtop.record import RunFacts
from gradtop.sources.fields.names import canonical
from gradtop.sources.fields.number import NUMBER
from gradtop.sources.fields.plan import MEASURED
from gradtop.sources.fields.setting import fact_of, facts_from, normalised
from gradtop.sources.text.signs import Place

MAX_DUMP = 400
"""Lines of a dump of arguments; one that goes on has no end that is known."""
MAX_CHARS = 20_000
"""Characters of a line that are looked at."""
MAX_SETTING = 2000
"""Characters of a line that are looked at for one setting: the patterns for it look back over what they have seen."""
LEAST_PAIRS = 3
"""Settings that a line or a run of lines must state to be a dump of settings: one or two may be anything."""
NEAR_LINES = 10
"""Lines between two settings of one dump at most, where every setting has its own line."""

_WORDS = (
    *("....", "namespace(", "arguments(", "config param", "overriding:", "param", "tokens per iter", "batch", "accum"),
    *("warm", "epochs", "total", "max_", "max:", "clip", "optim", "precision", "layer", "iters", "iterations"),
    *("fp16", "bf16", " .. ", "参数", "mixed precision"),
)
_RATES = ("lr", "learning")
"""Words of settings that every row of metrics has as well."""
_CODE = re.compile(
    r"\s*(?:def |class |import |from |return\b|if |elif |for |while |with |assert |raise |@\w|#|//|self\.|\+{1,5} "
    r"|[\w.\[\]]+ ?= ?(?!Namespace\()[\w.]+\(|parser\.|usage: |-{1,2}\w)"
)
_DOTTED = re.compile(r"\s*([\w-]+) \.{2,} ?(.*?)(?:\.{3,}(?:default|updated))?\s*\Z")
_CELLS = re.compile(r"\s*+[|│┃]\s*+([^|│┃]+)[|│┃]\s*+([^|│┃]*+)[|│┃]?\s*\Z")
_RULE = re.compile(r"\s*[+|┏┡├└┗╇─━=\-┳┼┴┓┩┤┘╭╰╮╯]+\s*\Z")
_NAMED = re.compile(r"\s*(?:config param|overriding:)\s+([\w.]+)\s*[:=]\s*(.+)", re.IGNORECASE)
_OPENED = re.compile(r"(?:.*[\s=:>])?(?:Namespace|\w*Arguments)\(\s*(.*)\Z")
_MEMBER = re.compile(r"\s*([A-Za-z_]\w*)=(.*?),?\s*\Z")
_LONE = re.compile(r"\s{0,4}(?:- )?([\"']?)([A-Za-z_][\w.\-]*)\1\s*[:=]\s*(\S[^#]*?),?\s*\Z")
_PAIR = re.compile(
    r"(?<![\w.])([\"']?)([A-Za-z_][\w.]*)\1\s*[=:]\s*(\"[^\"]*\"|'[^']*'|\[[^\[\]]*\]|[^\s,(){}\[\]'\"]+)"
)
_PHRASE = re.compile(r"(?:.{0,80}(?: - |\s{3,}+))?[^A-Za-z0-9]*+([A-Za-z].*?)\s*+[:=]\s*+([-+]?[\d.].*)\Z")
_BESIDE = re.compile(r"\s\|\|?\s")
_BANNER = frozenset(
    [
        "total_optimization_steps",
        "total_steps",
        "total_training_steps",
        "total_num_steps",
        "num_epochs",
        "gradient_accumulation_steps",
        "instantaneous_batch_size_per_device",
        "batch_size_per_device",
        "total_train_batch_size",
        "total_batch_size",
        "effective_batch_size",
        "accumulate_grad_iterations",
        "actual_lr",
        "number_of_trainable_parameters",
        "number_of_parameters",
        "number_of_params",
        "number_parameters",
        "trainable_parameters",
        "total_parameters",
        "trainable_params",
        "total_params",
        "all_params",
        "model_params",
        "tokens_per_iteration_will_be",
        "num_trainable_params",
        "num_params",
        "max_steps",
        "param_count",
        "scheduled_epochs",
    ]
)
"""Names that stand in banners, so that the one line is enough."""

_N = rf"({NUMBER}(?:\s?(?:[KMBT]\b|million|billion|百万))?)"
_SENTENCES: tuple[tuple[str, re.Pattern[str], tuple[str, ...]], ...] = tuple(
    (word, re.compile(pattern, re.IGNORECASE), tuple(names.split()))
    for word, pattern, names in (
        ("local batch size", rf"\blocal batch size:? {_N}", "local_batch_size"),
        ("local batch size", rf"\bglobal batch size:? {_N}", "global_batch_size"),
        ("local batch size", rf"\bgradient[ _]accumulation[ _]steps:? {_N}", "accum_steps"),
        ("total steps", rf"\btotal steps:? {_N} ?\(warm-?up:? {_N}\)", "total_steps warmup_steps"),
        ("local batch size", rf"\btotal steps:? {_N}", "total_steps"),
        ("total parameters", rf"\bmodel \S.* size: {_N} total parameters", "total_params"),
        (
            "model params",
            rf"\bnum\. (?:shared )?model params: {_N}(?: \(num\. trained: {_N})?",
            "all_params trainable_params",
        ),
        (
            "all params",
            rf"trainable params\s*[:=]\s*{_N}\s*\|\|\s*all params\s*[:=]\s*{_N}",
            "trainable_params all_params",
        ),
        ("trainable", rf"trainable parameters\s*=\s*{_N} of {_N}", "trainable_params all_params"),
        ("trainable", rf"\A\W*{_N}\s+trainable params\b", "trainable_params"),
        ("total", rf"\A\W*{_N}\s+total params\b", "total_params"),
        ("parameters", rf"\bsummary\b.*:\s*\d+ layers, {_N} parameters", "total_params"),
        ("parameters", rf"\bmodel has {_N} (?:trainable )?parameters", "total_params"),
        ("params (m)", rf"\bnumber of params \(M\):\s*({NUMBER})", "params_in_millions"),
        ("in billions", rf"\btotal number of parameters in billions:\s*({NUMBER})", "params_in_billions"),
        ("param count", rf"\bparam count:\s*{_N}", "total_params"),
        ("参数", rf"总参数量?\s*[:：]\s*{_N}", "total_params"),
        ("epochs", rf"\bstart(?:ing)? training for {_N} epochs", "epochs"),
        ("scheduled epochs", r"\bscheduled epochs: (\d+)", "epochs"),
        ("max:", rf"\bmax: {_N} epochs", "epochs"),
        ("max:", rf"\bmax: {_N} iters", "max_iters"),
        ("number of iterations", rf"\bnumber of iterations(?: from [\w\s:/]+)?: {_N}\s*\Z", "num_iterations"),
        (
            "total batch size",
            rf"\btotal batch size {_N} => gradient accumulation steps: {_N}",
            "tokens_per_iteration accum_steps",
        ),
        ("total_num_steps", rf"\btotal_num_steps: {_N}\s*\Z", "total_num_steps"),
        ("accum", rf"\bsetting grad_accum_steps={_N}", "accum_steps"),
        ("train_cfg", rf"\btrain_cfg = dict\(.*?\bmax_epochs={_N}", "epochs"),
        ("train_cfg", rf"\btrain_cfg = dict\(.*?\bmax_iters={_N}", "max_iters"),
        ("optimizer=dict", r"\boptimizer=dict\([^()]*?\btype='(\w+)'", "optimizer"),
        ("optimizer=dict", rf"\boptimizer=dict\([^()]*?\blr={_N}", "lr"),
        ("clip_grad=dict", rf"\bclip_grad=dict\(.*?\bmax_norm={_N}", "max_grad_norm"),
        ("mixed precision", r"\busing (\w+) automatic mixed precision", "precision"),
    )
)
"""(a word of it in lower case, sentence, names of what it says)."""

Pairs = list[tuple[str, str]]


class FactReader:
    """Follows the lines of one log; a dump of settings may go over many of them."""

    __slots__ = ("_dump", "_lines", "_near", "_rows")

    def __init__(self) -> None:
        self._dump = ""
        """`members` in a printed object, `table` in a table of names and values; empty outside."""
        self._lines = 0
        self._near: list[tuple[int, str, str]] = []
        self._rows = False

    @property
    def inside(self) -> bool:
        """A dump has begun, so that every line is of use."""
        return bool(self._dump)

    def listens(self, lowered: str) -> bool:
        """The line may be of use: it is inside a dump, or has a word in it that settings have."""
        return bool(self._dump) or may_state(lowered) or (not self._rows and any(word in lowered for word in _RATES))

    def seen_row(self) -> None:
        """A row of metrics was read: from now on a line with one name and one value may be a metric."""
        self._rows = True
        self._near.clear()

    def read(self, place: Place, lowered: str) -> RunFacts | None:
        """The facts that one line states; None where it states none."""
        text = place.text[:MAX_CHARS]
        pairs = self._in_dump(text)
        if not self._dump and not pairs:
            pairs = self._outside(text, lowered, place.line)
        return facts_from(pairs, f"line {place.line:,}") if pairs else None

    def _in_dump(self, text: str) -> Pairs:
        """The setting in a line of the dump; a line of another kind ends it."""
        self._lines += 1
        if self._dump == "table":
            if (cells := _CELLS.match(text[:MAX_SETTING])) is not None:
                return [(cells[1].rstrip(), cells[2].rstrip())]
            self._dump = self._dump if _RULE.match(text) and self._lines < MAX_DUMP else ""
        elif self._dump == "members":
            member = _MEMBER.match(text[:MAX_SETTING])
            if member is None or self._lines >= MAX_DUMP or text.rstrip().endswith(")"):
                self._dump = ""
            return [(member[1], member[2].rstrip(")"))] if member is not None else []
        return []

    def _outside(self, text: str, lowered: str, line: int) -> Pairs:
        short = text[:MAX_SETTING]
        if " .." in short and (dotted := _DOTTED.match(short)) is not None:
            return [(dotted[1], dotted[2])]
        if told := list(_sentences(text, lowered)):
            return told
        if _CODE.match(text) is not None:
            return []
        if (named := _NAMED.match(short)) is not None:
            return [(named[1], named[2])]
        return self._opened(text, lowered) or list(_banner(short)) or self._lone(short, line)

    def _opened(self, text: str, lowered: str) -> Pairs:
        """The settings of a printed object, on one line or on as many as it has members; or of a table's header."""
        if (cells := _CELLS.match(text[:MAX_SETTING])) is not None:
            if cells[2].rstrip().lower() in ("value", "values") and "{" not in text:
                self._dump, self._lines = "table", 0
            return []
        if "(" in text and (opened := _OPENED.match(text)) is not None and not opened[1].rstrip().endswith(")"):
            self._dump, self._lines = "members", 0
            return [(m[1], m[2])] if (m := _MEMBER.match(opened[1][:MAX_SETTING])) is not None else []
        if ("{" in text or "(" in text or text.count("=") > 7) and ("=" in text or ":" in text):
            return _dump_in(text)
        return []

    def _lone(self, text: str, line: int) -> Pairs:
        """A setting on a line of its own, once there are enough of them near each other and before any metric."""
        if self._rows or (lone := _LONE.match(text)) is None or fact_of(lone[2]) is None:
            return []
        if self._near and line - self._near[-1][0] > NEAR_LINES:
            self._near.clear()
        self._near.append((line, lone[2], lone[3].strip("\"'")))
        del self._near[:-MAX_DUMP]
        facts = {fact_of(name) for _, name, _ in self._near}
        return [(name, value) for _, name, value in self._near] if len(facts) >= LEAST_PAIRS else []


def _sentences(text: str, lowered: str) -> Iterator[tuple[str, str]]:
    """What the known sentences in a line say."""
    for word, pattern, names in _SENTENCES:
        if word in lowered and (told := pattern.search(text)) is not None:
            yield from ((name, value) for name, value in zip(names, told.groups(), strict=True) if value)


def _banner(text: str) -> Iterator[tuple[str, str]]:
    """`Name = value` of the banners that trainers print, of which one line may hold two."""
    for part in _BESIDE.split(text) if " |" in text else (text,):
        phrase = _PHRASE.match(part)
        if phrase is not None and " " in phrase[1] and normalised(phrase[1]) in _BANNER:
            yield phrase[1], phrase[2]


def _dump_in(text: str) -> Pairs:
    """The settings of a dict or an object printed on one line; none where a metric stands among them."""
    pairs: Pairs = []
    for match in _PAIR.finditer(text):
        name, value = match[2].rpartition(".")[2], match[3].strip("\"'")
        if canonical(name) in MEASURED and value[:1].isdigit():
            return []
        if fact_of(name) is not None:
            pairs.append((name, value))
    return pairs if len({fact_of(name) for name, _ in pairs}) >= LEAST_PAIRS else []


def may_state(lowered: str) -> bool:
    """The line has a word in it that settings have."""
    return bool([word for word in _WORDS if word in lowered])
