"""Mounted file systems, from the kernel's own list."""

import os
from pathlib import Path

import pytest

from gradtop.sources.follow import mount
from gradtop.sources.follow.mount import Mount, disk, mounts, remote, served

TABLE = """\
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
30 22 0:25 / /home rw,relatime shared:2 - nfs4 server:/home rw,vers=4.2
31 30 0:26 / /home/me/my\\040data rw,nosuid - fuse.sshfs me@host: rw,user_id=1000
32 22 0:27 / /tmp rw - tmpfs tmpfs rw
33 22 7:0 / /media/stick rw - fuseblk /dev/loop0 rw
"""


@pytest.fixture(autouse=True)
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mountinfo"
    path.write_text(TABLE)
    monkeypatch.setattr(mount, "MOUNTS", str(path))


def test_the_table_is_read() -> None:
    assert list(mounts())[2] == Mount("0:26", "/home/me/my data", "fuse.sshfs")


@pytest.mark.parametrize(
    ("path", "point"),
    [
        ("/home/me/logs/a.log", "/home"),
        ("/home/me/my data", "/home/me/my data"),
        ("/home/me/my data/a.log", "/home/me/my data"),
        ("/homes/a.log", ""),
        ("/tmp/a.log", ""),
        ("/var/log/a.log", ""),
        ("/media/stick/a.log", ""),
    ],
)
def test_the_nearest_mount_counts(path: str, point: str) -> None:
    assert remote(path) == point


@pytest.mark.parametrize(("minor", "by_program"), [(25, False), (26, True), (27, False), (99, False)])
def test_a_file_system_of_a_program_is_known(minor: int, by_program: bool) -> None:
    assert served(os.makedev(0, minor)) is by_program


def test_a_disk_is_no_program() -> None:
    assert not served(os.makedev(254, 1))
    assert not served(os.makedev(7, 0))


def test_without_a_table_nothing_is_assumed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mount, "MOUNTS", "/nothing/there")
    assert (list(mounts()), remote("/home/a"), served(os.makedev(0, 26))) == ([], "", False)


@pytest.mark.parametrize(
    ("path", "local"),
    [("/var/tmp", True), ("/media/stick", True), ("/tmp", False), ("/home/me", False), ("/home/me/my data", False)],
)
def test_a_disk_is_neither_a_network_nor_memory(path: str, local: bool) -> None:
    assert disk(path) is local


def test_of_two_file_systems_at_one_place_the_later_one_counts(tmp_path: Path) -> None:
    (tmp_path / "mountinfo").write_text("1 0 0:1 / / rw - rootfs rootfs rw\n" + TABLE)
    assert disk("/var/tmp")
