"""What launchers and loggers put before a line: taken off, with the rank and the time that it names.

Times without a zone are read as UTC: only differences within one log are used.
"""

import re
from datetime import UTC, datetime
from functools import cache
from typing import NamedTuple

MAX_PREFIXES = 6
"""Prefixes taken off one line."""

_LEVEL = r"(?:TRACE|DEBUG|INFO|WARN(?:ING)?|ERROR|CRITICAL|FATAL|NOTICE)"
_STAMP = r"\d{4}[-/]\d\d[-/]\d\d[T _,]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?"
_PREFIX = (
    r"\s*+(?:"  # never given back: lines may be long runs of blanks
    r"\[(?:rank|default|trainer|Rank|RANK)[ :]?(?P<elastic>\d+)\]:?"  # torchrun, DeepSpeed, accelerate
    r"|\[\d+,(?P<mpi>\d+)\]<std(?:out|err)>:"  # mpirun --tag-output
    r"|\(\w+,? (?:rank=(?P<sky>\d+),? ?)?pid=\d+(?:, ip=[\w.:]+)?\)"  # Ray, SkyPilot
    r"|(?P<srun>\d{1,4}): (?=.*\b(?:step|iter))"  # srun --label; else it may be the step
    rf"|\[(?P<named>{_STAMP}) [\w.-]+\]:?"  # Swin
    rf"|[\[(]?(?P<time>{_STAMP})[\])]?(?: stdout [FP]| stderr [FP])?[:,]?(?=[\s\]|-]|\Z)"  # ISO, CRI
    r"|\(\w[\w.]*(?:\.py)?[: ]\d+\):?(?=\s)"  # Swin, ESPnet: file and line
    rf"|\[[\w.-]+\](?=\s{_STAMP})"  # ESPnet: host
    r"|(?:[\w.]+ )?INFO:(?=\s)|(?:INFO|DEBUG)\s+(?=\S)"  # PaddlePaddle, Swin; louder words are part of what is said
    r"|\[?\d\d/\d\d \d\d:\d\d:\d\d(?: [\w.]+)?\]?:?(?=\s)"  # detectron2, mmengine: no year
    r"|[IWEF]\d{4}(?:\d{4})? \d\d:\d\d:\d\d(?:\.\d+)? +\d+ (?:\w+ )?[\w./-]+:\d+\]"  # glog
    r"|\[\d\d:\d\d:\d\d(?:\.\d+)?\](?=\s)|\d\d:\d\d:\d\d(?:\.\d+)?:(?=\s)"  # time of day
    r"|DLL [\d-]+ [\d:.]+ -(?=\s)"  # NVIDIA's DLLogger
    rf"|\[NeMo [IWED] (?P<nemo>{_STAMP}) [^\]]*?(?:rank:(?P<nemo_rank>\d+))?\]"
    rf"|\[{_LEVEL}(?:\|(?:(?P<factory>{_STAMP})|[^\]]*))?\]"  # transformers, LLaMA-Factory
    rf"(?: [\w.]+:\d+ >>)?(?: (?P<hf>{_STAMP}))?(?: >>)?"
    r"|\[(?:titan|[\w.]+\.py:\d+(?::\w+)?|[a-z_]\w*(?:\.[a-z_]\w*)+)\]"
    rf"|[-|:]?\s*[\w.]+(?:\s*+[-|]| *+\t)\s*+{_LEVEL}\s*(?:[-|]|\t)"  # - root - INFO -
    rf"|\|?\s*{_LEVEL}\s*\|\s*[\w.]+\s*\||\|\s*{_LEVEL}\s*\|(?=\s)"  # | INFO | train_inner |
    rf"|{_LEVEL}:[\w.]+:"
    rf"|[\w.-]+:\d+\t[\w.]+:\d+\t{_LEVEL}\t"  # OLMo
    rf"|-?\s*{_LEVEL}\s+-(?=\s)"
    r"|[a-z][\w.-]*-\d+ +\| "  # docker compose
    r"|(?:node|host|worker|gpu|nid|ip)[\w.-]*\d: "  # pdsh
    r"|(?:[A-Z][a-z]{2} [ \d]\d [\d:]{8} )?[\w.-]+ [\w./-]+\[\d+\]:(?=\s)"  # syslog, journald
    r"|>>(?=\s)"
    r")\s*"
)
_TIMES = ("time", "named", "nemo", "hf", "factory")


@cache
def _prefix() -> re.Pattern[str]:
    """Compiled for the first line of text: logs of rows need it never, and it takes longer than reading a small one."""
    return re.compile(_PREFIX)


class Prefix(NamedTuple):
    """A line without what stood before it."""

    rest: str
    rank: int | None = None
    time: float | None = None
    """Unix seconds."""


def strip_prefix(text: str) -> Prefix:
    """Take off up to `MAX_PREFIXES` prefixes; a line that is nothing but prefix keeps nothing."""
    rank: int | None = None
    time: float | None = None
    at, prefix = 0, _prefix()
    for _ in range(MAX_PREFIXES):
        match = prefix.match(text, at)
        if match is None or match.end() == at:
            break
        at = match.end()
        for name, found in match.groupdict().items():
            if found is None:
                continue
            if name in _TIMES:
                time = seconds(found) if time is None else time
            elif rank is None:
                rank = int(found)
    return Prefix(text[at:], rank, time) if at else Prefix(text)


def seconds(stamp: str) -> float | None:
    """Unix seconds of an ISO date and time; without a zone it is taken for UTC. None where there is no such time."""
    stamp = stamp.strip()
    text = f"{stamp[:10].replace('/', '-')}T{stamp[11:].replace(',', '.')}"
    whole, point, fraction = text.partition(".")
    if point:
        digits = re.match(r"\d+", fraction)
        text = f"{whole}.{fraction[: digits.end()][:6]:0<6}{fraction[digits.end() :]}" if digits else whole
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
