"""A command that is run and recorded is none the wiser: output, exit code, environment, and what it leaves behind."""

import itertools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from launched import LIMIT_S, gradtop_run, printed, python, recorded

BIG = "import sys\nfor i in range(50): sys.stdout.buffer.write(bytes([i]) * 999_999 + b'\\n')"
STREAMS = "import os; os.write(1, b'out\\xff\\r'); os.write(2, b'err\\x00'); os.write(1, b'end')"
TERMINALS = "import os, sys; open(sys.argv[1], 'w').write(str([os.isatty(fd) for fd in (0, 1, 2)]))"


def test_output_is_passed_on_byte_for_byte_and_recorded(tmp_path: Path) -> None:
    done = recorded(tmp_path / "log", *python(STREAMS))
    assert (done.stdout, done.stderr, done.returncode) == (b"out\xff\rend", b"err\x00", 0)
    log = printed(tmp_path / "log" / "output.log")
    assert sorted(log.removesuffix(b"\n")) == sorted(b"out\xff\rerr\x00end")


def test_streams_that_go_to_one_place_keep_their_order(tmp_path: Path) -> None:
    with (tmp_path / "both").open("wb") as both:
        subprocess.run(gradtop_run(tmp_path / "log", *python(STREAMS)), stdout=both, stderr=both, timeout=LIMIT_S)
    expected = b"out\xff\rerr\x00end"
    assert (tmp_path / "both").read_bytes() == expected
    assert printed(tmp_path / "log" / "output.log") == expected + b"\n"


def test_fifty_megabytes_arrive_whole(tmp_path: Path) -> None:
    done = recorded(tmp_path, *python(BIG))
    assert done.stdout == b"".join(bytes([i]) * 999_999 + b"\n" for i in range(50))
    assert printed(tmp_path / "output.log") == done.stdout


@pytest.mark.parametrize("code", [0, 3, -signal.SIGKILL, -signal.SIGSEGV, -signal.SIGINT, -signal.SIGTERM])
def test_it_ends_as_the_command_did(tmp_path: Path, code: int) -> None:
    command = f"import os, signal; signal.signal(2, signal.SIG_DFL); os.kill(os.getpid(), {-code})"
    assert recorded(tmp_path, *python(f"raise SystemExit({code})" if code >= 0 else command)).returncode == code


@pytest.mark.parametrize("terminals", [*itertools.product([True, False], repeat=3)])
def test_the_command_sees_a_terminal_where_there_is_one(tmp_path: Path, terminals: tuple[bool, bool, bool]) -> None:
    leader, follower = os.openpty()
    ends = [follower if terminal else subprocess.DEVNULL for terminal in terminals]
    command = gradtop_run(tmp_path / "log", *python(TERMINALS), str(tmp_path / "seen"))
    subprocess.run(command, stdin=ends[0], stdout=ends[1], stderr=ends[2], check=True, timeout=LIMIT_S)
    os.close(leader)
    os.close(follower)
    assert (tmp_path / "seen").read_text() == str(list(terminals))


def test_standard_input_is_the_commands(tmp_path: Path) -> None:
    assert recorded(tmp_path, "cat", given=b"given\x00").stdout == b"given\x00"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_what_is_closed_stays_closed(tmp_path: Path, closed: str) -> None:
    code = "import sys; open(sys.argv[1], 'w').write(str([s is None for s in (sys.stdin, sys.stdout, sys.stderr)]))"
    plain, ours = tmp_path / "plain", tmp_path / "ours"
    for command in ((*python(code), str(plain)), gradtop_run(tmp_path / "log", *python(code), str(ours))):
        subprocess.run(["sh", "-c", f'"$@" {closed}', "sh", *command], check=True, timeout=LIMIT_S, capture_output=True)
    assert ours.read_text() == plain.read_text()
    assert "True" in ours.read_text()


def test_the_environment_is_ours_in_front_of_what_was_there(tmp_path: Path) -> None:
    code = "import json, os; print(json.dumps({k: os.environ[k] for k in ('PYTHONPATH', 'GRADTOP_RUN', 'OWN')}))"
    command = [*gradtop_run(tmp_path, *python(code))]
    command[command.index("--quiet")] = "--every=7"
    environ = os.environ | {"PYTHONPATH": f"/one{os.pathsep}/two", "OWN": "x"}
    done = subprocess.run(command, env=environ, capture_output=True, check=True, timeout=LIMIT_S)
    seen = json.loads(done.stdout)
    site, *behind = seen["PYTHONPATH"].split(os.pathsep)
    told = json.loads(seen["GRADTOP_RUN"])
    package = Path(told["package"])
    assert behind == ["/one", "/two"]
    assert Path(site) == package / "attach" / "site"
    assert (package / "launch" / "plan.py").is_file()
    assert (told["directory"], told["every"], told["layers"], told["activations"]) == (str(tmp_path), 7, None, False)
    assert told["argv"] == list(python(code))
    assert not Path(told["say"]).exists()


def test_what_the_command_leaves_behind_goes_on_and_is_not_waited_for(tmp_path: Path) -> None:
    wait, go = os.pipe()
    left = f"import os; os.read({wait}, 1); print('from behind', flush=True)"
    code = (
        f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {left!r}], pass_fds=[{wait}]); print('end')"
    )
    done = subprocess.run(
        gradtop_run(tmp_path, *python(code)), pass_fds=[wait], capture_output=True, check=True, timeout=LIMIT_S
    )
    assert done.stdout == b"end\n"
    followed = subprocess.Popen(["tail", "-c+1", "-f", tmp_path / "output.log"], stdout=subprocess.PIPE)
    assert followed.stdout is not None
    os.write(go, b"x")
    end, ours, behind = (followed.stdout.readline() for _ in range(3))
    assert (end, ours[:24], behind) == (b"end\n", b"==== gradtop run ended a", b"from behind\n")
    followed.kill()
    followed.wait()
    followed.stdout.close()
    os.close(wait)
    os.close(go)


def test_a_command_whose_reader_is_gone_learns_of_it(tmp_path: Path) -> None:
    command = gradtop_run(tmp_path, "sh", "-c", "while echo y; do :; done; exit 9")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(LIMIT_S) in (9, -signal.SIGPIPE)


def test_a_second_session_begins_on_a_line_of_its_own(tmp_path: Path) -> None:
    for text in ("no end", "second"):
        recorded(tmp_path, *python(f"import os; os.write(1, {text.encode()!r})"))
    first, ended, opening, second, _ = (tmp_path / "output.log").read_bytes().splitlines()
    assert (first, second) == (b"no end", b"second")
    assert opening.startswith(b"==== gradtop run at ")
    assert ended.endswith(b"Z with exit code 0 ====")


def test_running_a_command_imports_neither_the_screen_nor_arrays(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, sys\n"
        "from gradtop.launch import Plan, launch\n"
        "from gradtop.launch.output import OutputLog\n"
        f"here = pathlib.Path({str(tmp_path)!r})\n"
        "import gradtop.cli\n"
        "launch(Plan(('true',), here), OutputLog(here / 'output.log'), os.environ)\n"
        "print(sorted({'textual', 'rich', 'numpy', 'msgspec', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=LIMIT_S)
    assert done.stdout == b"[]\n"
