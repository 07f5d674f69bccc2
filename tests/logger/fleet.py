"""Several ranks of one process group: real processes, forked from one that has loaded torch once for all.

As a program, `fleet.py MODULE DUTY WORLD STORE FOLDER`, it runs the function DUTY of a module beside it on every rank;
what it returns is left in FOLDER as JSON. STORE is `tcp`, as with torchrun, or `file`. A rank ends as any Python
program does, with its destructors.
"""

import importlib
import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LIFE_S = 45


@dataclass(frozen=True, slots=True)
class Sailed:
    """What became of the ranks."""

    said: list[dict[str, Any] | None]
    """What each rank returned; None from one that did not get there."""
    codes: list[int]
    """Exit codes, negative for a signal."""
    stderr: str


def sail(module: str, duty: str, world: int, folder: Path, store: str = "tcp") -> Sailed:
    """Run a duty on `world` ranks; one that hangs is ended after `LIFE_S` seconds, by SIGALRM."""
    command = [sys.executable, __file__, module, duty, str(world), store, str(folder)]
    names = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    ran = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    files = [folder / f"{rank}.json" for rank in range(world)]
    said = [json.loads(file.read_text()) if file.exists() else None for file in files]
    return Sailed(said, json.loads(ran.stdout.splitlines()[-1]), ran.stderr)


def _rank(module: Any, duty: str, rank: int, world: int, meeting: str, folder: Path, home: int) -> None:
    """One rank's life; `home` is a pipe that ends when rank 0 has ended."""
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=world)
    said = getattr(module, duty)(rank, home)
    (folder / f"{rank}.json").write_text(json.dumps(said))


def _code(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _meeting(store: str, folder: str) -> str:
    """Where the ranks find each other."""
    if store == "file":
        return f"file://{folder}/store"
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"tcp://127.0.0.1:{server.getsockname()[1]}"


def _main(name: str, duty: str, ranks: str, store: str, folder: str) -> None:
    module, world = importlib.import_module(name), int(ranks)
    meeting, (home, ended) = _meeting(store, folder), os.pipe()
    pids = []
    for rank in range(world):
        pid = os.fork()
        if not pid:
            os.close(ended)
            signal.alarm(LIFE_S)
            return _rank(module, duty, rank, world, meeting, Path(folder), home)
        pids.append(pid)
    first = _code(pids[0])
    os.close(ended)
    print(json.dumps([first, *map(_code, pids[1:])]))
    return None


if __name__ == "__main__":
    _main(*sys.argv[1:])
