"""Settings come from files and flags, and a key that is not known is an error with a remedy."""

from pathlib import Path

import pytest

from gradtop.config import Limits, Profile, Settings
from gradtop.errors import ConfigError
from gradtop.settings import MAX_BYTES, Typed, known_kind, settings_for, settings_typed

PROFILE = """\
[[profile]]
name = "my loop"
regex = '^it (?P<step>\\d+) L=(?P<l>\\S+)'
sample = "it 12 L=2.5"

[profile.names]
l = "loss"
"""


def settings(folder: Path, text: str, typed: Typed | None = None) -> Settings:
    (folder / "gradtop.toml").write_text(text)
    return settings_for([folder], {}, typed)


def test_without_a_file_everything_is_as_it_is_by_default(tmp_path: Path) -> None:
    assert settings_for([tmp_path], {"HOME": str(tmp_path)}) == Settings()


def test_limits_and_profiles(tmp_path: Path) -> None:
    found = settings(tmp_path, "[limits]\nvanish_rows = 100\nspike_z = 8\ngrad_floor = 1e-7\n\n" + PROFILE)
    assert found.limits == Limits(vanish_rows=100, spike_z=8.0, grad_floor=1e-7)
    assert found.profiles == (
        Profile(
            "my loop",
            r"^it (?P<step>\d+) L=(?P<l>\S+)",
            "it 12 L=2.5",
            (("l", "loss"),),
            f"{tmp_path / 'gradtop.toml'}, line 6",
        ),
    )


def test_a_typed_limit_goes_before_the_file(tmp_path: Path) -> None:
    text = "[limits]\ngrad_floor = 1e-7\n"
    typed = settings(tmp_path, text, Typed(grad_floor=1e-5))
    assert typed.limits.grad_floor == 1e-5
    assert typed.origins == {"grad_floor": "--grad-floor"}
    left = settings(tmp_path, text, Typed())
    assert left.limits.grad_floor == 1e-7
    assert left.origins == {"grad_floor": f"{tmp_path / 'gradtop.toml'}, line 2"}


RULES = "[[profile]]\nname='a'\nregex='(?P<loss>x)'\nsample='x'\n[rules]\nmute = ['loss_spike']\nprofile = 'rl'\n"


def test_kinds_are_muted_and_the_kind_of_training_is_said(tmp_path: Path) -> None:
    found = settings(tmp_path, RULES)
    assert found.muted == {"loss_spike"}
    assert found.limits == Limits(profile="rl")
    assert found.origins == {
        "mute": f"{tmp_path / 'gradtop.toml'}, line 6",
        "profile": f"{tmp_path / 'gradtop.toml'}, line 7",
    }


def test_a_typed_profile_goes_before_the_file_and_typed_kinds_are_muted_besides(tmp_path: Path) -> None:
    found = settings(tmp_path, RULES, Typed(profile="auto", mute=("nonfinite", "loss_spike")))
    assert found.muted == {"nonfinite", "loss_spike"}
    assert found.limits == Limits()
    assert found.origins == {"mute": f"{tmp_path / 'gradtop.toml'}, line 6 and --mute", "profile": "--profile"}


def test_a_file_of_rules_goes_before_the_others_key_by_key(tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text("[limits]\nspike_z = 9\n[rules]\nmute = []\n")
    found = settings(tmp_path, "[limits]\nspike_z = 7\nvanish_rows = 7\n" + RULES, Typed(rules=rules))
    assert found.limits == Limits(spike_z=9.0, vanish_rows=7, profile="rl")
    assert found.muted == frozenset()
    assert found.origins["spike_z"] == f"{rules}, line 2"
    assert found.origins["vanish_rows"] == f"{tmp_path / 'gradtop.toml'}, line 3"
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read: No such file"):
        settings_for([tmp_path], {}, Typed(rules=tmp_path / "none.toml"))
    rules.write_text("[limits]\nspike_zz = 9\n")
    with pytest.raises(
        ConfigError, match=r"rules\.toml, line 2: 'spike_zz' is not a known limit; did you mean 'spike_z'"
    ):
        settings_for([tmp_path], {}, Typed(rules=rules))


def test_what_was_typed_is_enough_where_no_disk_answers() -> None:
    assert settings_typed(Typed(grad_floor=1e-5, profile="gan", mute=("nonfinite",))) == Settings(
        limits=Limits(grad_floor=1e-5, profile="gan"),
        muted=frozenset({"nonfinite"}),
        origins={"grad_floor": "--grad-floor", "profile": "--profile", "mute": "--mute"},
    )


def test_a_kind_that_is_not_known_is_told_with_the_nearest() -> None:
    assert known_kind("loss_spike") == "loss_spike"
    with pytest.raises(ConfigError, match=r"'los_spike' is not a known kind; did you mean 'loss_spike'\?"):
        known_kind("los_spike")
    with pytest.raises(ConfigError, match="'zzz' is not a known kind; known are crashed, process_gone, nonfinite, "):
        known_kind("zzz")


def test_the_nearest_file_goes_before_the_users_own(tmp_path: Path) -> None:
    logs = tmp_path / "project" / "logs"
    logs.mkdir(parents=True)
    (logs / "train.log").touch()
    own = tmp_path / "home" / ".config" / "gradtop"
    own.mkdir(parents=True)
    (own / "gradtop.toml").write_text("[limits]\nvanish_rows = 7\nspike_z = 7\n" + PROFILE)
    (tmp_path / "gradtop.toml").write_text("[limits]\nvanish_rows = 8\nclear_rows = 8\n")
    (tmp_path / "project" / "gradtop.toml").write_text("[limits]\nvanish_rows = 9\n" + PROFILE.replace("loop", "own"))
    home = {"HOME": str(tmp_path / "home")}
    for path in (logs, logs / "train.log", logs / "not there yet.log"):
        found = settings_for([Path("-"), path], home)
        assert found.limits == Limits(vanish_rows=9, spike_z=7.0)
        assert [profile.name for profile in found.profiles] == ["my own", "my loop"]
    elsewhere = settings_for([logs], {"HOME": "/", "XDG_CONFIG_HOME": str(own.parent)})
    assert elsewhere.limits.spike_z == 7.0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[limits]\nvanish_row = 3\n", ", line 2: 'vanish_row' is not a known limit; did you mean 'vanish_rows'?"),
        ("[limit]\n", ", line 1: 'limit' is not a known table; did you mean 'limits'?"),
        ("[zzz]\n", ", line 1: 'zzz' is not a known table; known are limits, rules, profile"),
        ("limits = 3\n", ": limits is a table: write [limits]"),
        ("rules = ['loss_spike']\n", ": rules is a table: write [rules]"),
        ("[rules]\nmutes = []\n", ", line 2: 'mutes' is not a known key of [rules]; did you mean 'mute'?"),
        ("[rules]\nmute = 'loss_spike'\n", ", line 2: mute is a list of kinds: write mute = ['loss_plateau']"),
        ("[rules]\nmute = [3]\n", ", line 2: mute is a list of kinds: write mute = ['loss_plateau']"),
        (
            "[rules]\nmute = [\n'loss_spikes']\n",
            ", line 2: 'loss_spikes' is not a known kind; did you mean 'loss_spike'?",
        ),
        (
            "[rules]\nprofile = 'supervise'\n",
            ", line 2: 'supervise' is not a known profile; did you mean 'supervised'?",
        ),
        ("[rules]\nprofile = 3\n", ", line 2: 3 is not a known profile; known are auto, supervised, rl, gan, vae"),
        ("[limits]\nprofile = 3\n", ", line 2: 'profile' is not a known limit; "),
        ("[limits]\nvanish_rows = 2.5\n", ", line 2: vanish_rows is a whole number, not 2.5"),
        ("[limits]\nvanish_rows = true\n", ", line 2: vanish_rows is a whole number, not True"),
        ("[limits]\nspike_z = '6'\n", ", line 2: spike_z is a number, not '6'"),
        ("[limits]\nspike_z = -1\n", ", line 2: spike_z is a number above 0, not -1"),
        ("[limits]\nspike_z = nan\n", ", line 2: spike_z is a number above 0, not nan"),
        ("[limits\n", ": is no valid TOML: "),
        ("[profile]\nname = 'x'\n", ": profile is a list of tables: write [[profile]] with two brackets"),
        ("profile = [3]\n", ": a profile is a table: write [[profile]]"),
        (
            PROFILE.replace("regex", "regexp"),
            ", line 3: 'regexp' is not a known key of a profile; did you mean 'regex'?",
        ),
        (PROFILE.replace('sample = "it 12 L=2.5"', ""), ", line 1: the profile has no sample; write sample = '...'"),
        (PROFILE.replace('"loss"', "3"), ", line 1: names is a table of GROUP = 'metric name'"),
    ],
)
def test_what_is_wrong_is_told_with_its_place_and_a_remedy(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError) as error:
        settings(tmp_path, text)
    assert str(error.value).startswith(str(tmp_path / "gradtop.toml"))
    assert says in str(error.value)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "gradtop.toml").mkdir()
    assert settings_for([tmp_path], {}) == Settings()
    (tmp_path / "gradtop.toml").rmdir()
    with pytest.raises(ConfigError, match="larger than 256 KiB"):
        settings(tmp_path, "#" * (MAX_BYTES + 1))
    (tmp_path / "gradtop.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is no valid TOML"):
        settings_for([tmp_path], {})


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (f"spike_z = {'9' * 5000}", "is no valid TOML"),
        (f"vanish_rows = {'9' * 400}", "line 2: vanish_rows is a number from 1 to 1,000,000, not 999"),
        ("burn_in_rows = 1", "line 2: burn_in_rows is a number from 2 to 1,000,000, not 1"),
        ("oscillation_rows = 2", "line 2: oscillation_rows is a number from 3 to 1,000,000, not 2"),
        ("no_learning_fall = 1.0", "line 2: no_learning_fall is a number above 0 and below 1, not 1.0"),
    ],
)
def test_a_limit_that_no_rule_can_work_with_is_refused(tmp_path: Path, line: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        settings(tmp_path, f"[limits]\n{line}\n")
