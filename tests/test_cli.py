"""The commands as a user types them; in processes of their own where a start, a pipe or a device is the point."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from commands import gradtop, started
from gradtop.cli.screen import prefers_ascii

HEALTHY = "".join(f"Step {i}: Loss: {8 - i * 0.1:.4f}\nStep {i}: grad_norm=0.{200 + i % 7}\n" for i in range(30))
NAN = "".join(f"Step {i}: Loss: {'nan' if i > 10 else 3.0}\n" for i in range(40))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "train.log"
    path.write_text(HEALTHY)
    return path


def test_check_prints_the_verdict_and_exits_with_it(log: Path) -> None:
    done = started("check", str(log))
    assert done.returncode == 0
    assert done.stdout.startswith("KEEP TRAINING  train")
    assert done.stderr == ""


@pytest.mark.skipif(sys.platform == "darwin", reason="file names are UTF-8 there")
def test_a_file_name_that_is_not_utf_8_is_reported(tmp_path: Path) -> None:
    named = os.fsencode(tmp_path) + b"/train-\xff.log"
    with open(named, "w") as log:
        log.write(HEALTHY)
    (run,) = json.loads(started("check", "--json", str(tmp_path)).stdout)["runs"]
    assert Path(run["path"]).name == "train-?.log"
    assert run["metrics"]["loss"]["count"] == 30


def test_check_json_is_the_documented_schema(log: Path) -> None:
    document = json.loads(gradtop("check", "--json", str(log)).stdout)
    assert document["schema"] == "gradtop.check/1"
    run = document["runs"][0]
    assert run["format"] == ["text"]
    assert run["steps"]["rows"] == 60
    assert run["metrics"]["loss"]["count"] == 30
    assert run["metrics"]["grad_norm"]["last"] == 0.201


def test_check_exits_2_on_a_fault(tmp_path: Path) -> None:
    (tmp_path / "train.log").write_text(NAN)
    done = gradtop("check", str(tmp_path))
    assert done.returncode == 2
    assert "nonfinite" in gradtop("check", "--json", str(tmp_path)).stdout


def test_an_empty_directory_is_unknown_and_says_what_was_looked_for(tmp_path: Path) -> None:
    done = started("check", cwd=tmp_path)
    assert done.returncode == 3
    assert "looked" in done.stdout + done.stderr


def test_standard_input_is_a_path() -> None:
    done = started("check", "--json", "-", given=HEALTHY.encode())
    assert json.loads(done.stdout)["runs"][0]["metrics"]["loss"]["count"] == 30


def test_without_a_terminal_the_app_prints_a_report_and_no_escape(log: Path) -> None:
    done = started(str(log))
    assert done.returncode == 0
    assert "KEEP TRAINING" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr


def test_explain_names_rules_and_names(log: Path) -> None:
    done = started("explain", str(log))
    assert done.returncode == 0
    assert "format    text" in done.stdout
    assert "Loss" in done.stdout
    assert "→ loss" in done.stdout
    assert "60 read, 0 skipped, 0 rejected" in done.stdout


def test_explain_takes_the_newest_run_of_a_directory_or_says_what_to_name(tmp_path: Path) -> None:
    done = gradtop("explain", str(tmp_path))
    assert done.returncode == 3
    assert "name a log file, or a directory that holds one" in done.stderr
    assert f"looked in {tmp_path}, 6 levels deep, 0 entries" in done.stderr
    for name, age in (("old", 100), ("new", 0)):
        (tmp_path / name).mkdir()
        for file in ("train.log", "stdout.log"):
            path = tmp_path / name / file
            path.write_text("".join(f"step {i}: loss {3 - i / 100:.4f}\n" for i in range(30)))
            os.utime(path, (1_700_000_000 - age,) * 2)
    done = gradtop("explain", str(tmp_path))
    assert done.returncode == 0
    assert done.stdout.startswith(f"{tmp_path / 'new'}\n  files     2, joined by step")


def test_a_kind_that_is_not_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    path.write_bytes(b"SQLite format 3\0" + bytes(100))
    done = gradtop("check", str(path))
    assert done.returncode == 3
    assert "SQLite" in done.stdout + done.stderr


def test_a_muted_kind_is_listed_and_gives_no_exit_code(tmp_path: Path) -> None:
    (tmp_path / "train.log").write_text(NAN)
    done = gradtop("check", "--mute", "nonfinite", str(tmp_path))
    assert done.returncode == 0
    assert "muted: NaN or Inf since step 11" in done.stdout
    (run,) = json.loads(gradtop("check", "--json", "--mute", "nonfinite", str(tmp_path)).stdout)["runs"]
    assert [finding["standing"] for finding in run["findings"]] == ["muted"]
    assert {rule["kind"]: rule["state"] for rule in run["rules"]}["nonfinite"] == "muted"
    (tmp_path / "rules.toml").write_text("[rules]\nmute = ['nonfinite']\n")
    assert gradtop("check", "--rules", str(tmp_path / "rules.toml"), str(tmp_path)).returncode == 0
    # The app without a terminal has the same options.
    assert gradtop("--mute", "nonfinite", str(tmp_path)).stdout.startswith("KEEP TRAINING")


def test_what_the_log_cannot_tell_is_said(log: Path) -> None:
    assert "cannot tell" in gradtop("check", str(log)).stdout
    (run,) = json.loads(gradtop("check", "--json", str(log)).stdout)["runs"]
    rules = {rule["kind"]: rule for rule in run["rules"]}
    assert rules["amp_overflow"]["state"] == "cannot_tell"
    assert "loss scale" in rules["amp_overflow"]["why"]
    assert "loss scale" in rules["amp_overflow"]["needs"]
    assert rules["nonfinite"]["state"] == "judged"
    assert rules["nonfinite"]["why"] == ""
    assert "needs the loss scale" in gradtop("explain", str(log)).stdout


def test_a_training_whose_loss_need_not_fall_is_told_and_can_be_judged_all_the_same(tmp_path: Path) -> None:
    rows = ({"step": i, "loss": 1 + i % 2 / 100 if i < 50 else 3.0, "train/reward": 1.0} for i in range(100))
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    taken = "reinforcement learning, by its metric train/reward"
    done = gradtop("check", str(path))
    assert done.returncode == 0
    assert f"goal       {taken}: rules for a loss that has to fall" in done.stdout
    assert f"judged as {taken}; --profile" in gradtop("explain", str(path)).stdout
    (run,) = json.loads(gradtop("check", "--json", str(path)).stdout)["runs"]
    assert run["goal"] == taken
    judged = gradtop("check", "--profile", "supervised", str(path))
    assert judged.returncode == 2
    assert taken not in judged.stdout


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--mute", "los_spike"), "'los_spike' is not a known kind; did you mean 'loss_spike'?"),
        (("--profile", "rll"), "'rll' is not one of 'auto', 'supervised', 'rl', 'gan', 'vae'"),
        (("--rules", "none.toml"), "none.toml: cannot be read: No such file or directory"),
        (("--list-rules", "los_spike"), "'los_spike' is not a known kind; did you mean 'loss_spike'?"),
    ],
)
def test_what_is_mistyped_is_told_with_what_is_near(tmp_path: Path, args: tuple[str, ...], says: str) -> None:
    done = gradtop("check", *args, cwd=tmp_path)
    assert done.returncode == 3
    assert says in done.stderr
    assert done.stdout == ""


def test_rules_are_listed_with_the_limits_of_the_place(tmp_path: Path) -> None:
    (tmp_path / "gradtop.toml").write_text("[limits]\nspike_z = 8\n")
    told = gradtop("check", "--list-rules", "loss_spike", str(tmp_path)).stdout
    assert told.startswith("loss_spike  Loss spike\n")
    assert f"spike_z = 8, set in {tmp_path}" in " ".join(told.split())
    everything = json.loads(gradtop("check", "--list-rules", "--json", cwd=tmp_path).stdout)
    assert everything["schema"] == "gradtop.rules/1"
    assert [rule["kind"] for rule in everything["rules"]][:3] == ["crashed", "process_gone", "nonfinite"]


def test_wrong_usage_is_no_verdict() -> None:
    done = started("check", "--no-such-option")
    assert done.returncode == 3
    assert "No such option" in done.stderr


def test_the_demo_needs_no_screen() -> None:
    done = gradtop("demo")
    assert done.returncode == 0
    assert "KEEP TRAINING  bytes-6l" in done.stdout
    assert "step 14" in done.stdout


def test_a_closed_pipe_is_no_traceback(log: Path) -> None:
    command = f"{sys.executable} -m gradtop check --json {log} | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=False, timeout=50)
    assert done.stderr == b""


@pytest.mark.parametrize(
    ("args", "absent"),
    [
        (["--help"], ["textual", "numpy", "msgspec", "watchdog"]),
        (["check", "--json", "-"], ["textual", "rich", "torch"]),
    ],
)
def test_a_command_does_not_pay_for_what_it_does_not_use(args: list[str], absent: list[str]) -> None:
    code = f"import sys; sys.argv = ['gradtop', *{args!r}]\n"
    code += "try:\n    from gradtop.cli import main; main()\nexcept SystemExit: pass\n"
    code += f"print([name for name in {absent!r} if name in sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], input=b"", capture_output=True, check=True, timeout=50)
    assert done.stderr.decode().strip().splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("words", "at", "expected"),
    [
        ("gradtop ", "1", "plain,check"),
        ("gradtop lo", "1", "file,lo"),
        ("gradtop check --f", "2", "plain,--follow"),
        ("gradtop check --mute loss_s", "3", "plain,loss_spike"),
        ("gradtop check --profile v", "3", "plain,vae"),
    ],
)
def test_the_shell_completes_commands_paths_and_options(words: str, at: str, expected: str) -> None:
    environment = {**os.environ, "_GRADTOP_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": at}
    command = [sys.executable, "-c", "import sys; sys.argv = ['gradtop']\nfrom gradtop.cli import main; main()"]
    done = subprocess.run(command, env=environment, capture_output=True, check=False, timeout=50)
    assert expected in done.stdout.decode().splitlines()


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, False),
        ({"LANG": "en_US.UTF-8"}, False),
        ({"LANG": "C"}, True),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, True),
        ({"LANG": "C", "LC_CTYPE": "de_DE.utf8"}, False),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "POSIX"}, True),
        ({"LANG": "de_DE.ISO-8859-1"}, True),
    ],
)
def test_a_locale_without_utf8_is_drawn_in_ascii(environ: dict[str, str], expected: bool) -> None:
    assert prefers_ascii(environ) is expected


def test_the_package_runs_without_torch_in_sight() -> None:
    environment = {**os.environ, "PYTHONPATH": ""}
    code = (
        "import sys; sys.modules['torch'] = None; sys.argv = ['gradtop', 'demo']\nfrom gradtop.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=False, timeout=50)
    assert done.returncode == 0


def test_the_first_picture_does_not_wait_for_numpy() -> None:
    code = "import gradtop.ui.app, sys; print([name for name in ('numpy', 'watchdog') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=50)
    assert done.stdout.decode().strip() == "[]"


@pytest.mark.parametrize("floor", ["nan", "inf", "0", "-1"])
def test_a_floor_that_is_no_number_above_0_is_refused(log: Path, floor: str) -> None:
    done = gradtop("check", f"--grad-floor={floor}", str(log))
    assert done.returncode == 3
    assert "--grad-floor" in done.stderr


def shell(command: str) -> subprocess.CompletedProcess[str]:
    """A command of a shell, in which `gradtop` is this one."""
    command = command.replace("gradtop", f"'{sys.executable}' -m gradtop")
    return subprocess.run(["bash", "-c", command], capture_output=True, check=False, timeout=50, text=True)


def test_no_failure_to_read_or_write_has_the_exit_code_of_a_verdict(log: Path) -> None:
    closed = shell("gradtop check - <&-")
    assert (closed.returncode, closed.stderr) == (3, "gradtop: standard input is closed: there is nothing to read\n")
    assert shell("gradtop check --list-rules | head -1; exit ${PIPESTATUS[0]}").returncode == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
@pytest.mark.parametrize("arguments", ["check --list-rules", "check --json {}", "check {}"])
def test_a_full_disk_is_told(log: Path, arguments: str) -> None:
    done = shell(f"gradtop {arguments.format(log)} > /dev/full")
    assert done.returncode == 3
    assert done.stderr == "gradtop: the output cannot be written: No space left on device\n"
