"""What each rank holds: norms from the ranks' parts against those of one process in double precision."""

from typing import Any

import pytest
import torch
from fleet import sail
from torch import nn

from gradtop.logger.ranks.shard import legacy, local, sharded, share

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What four ranks saw."""
    sailed = sail("shard_duty", "parts", 4, tmp_path_factory.mktemp("parts"))
    assert sailed.codes == [0, 0, 0, 0], sailed.stderr
    return [said for said in sailed.said if said is not None]


@pytest.mark.timeout(60)
def test_norms_from_parts_are_those_of_the_whole(ranks: list[dict[str, Any]]) -> None:
    for said in ranks:
        for way in ("flat", "grid", "ddp"):
            assert said[way]["norms"] == pytest.approx(said["plain"], rel=1e-12)
            assert said[way]["sharded"] is (way != "ddp")
            assert said[way]["whole"]
    assert [said["flat"]["empty"] for said in ranks] == [False, False, False, True]


@pytest.mark.timeout(60)
def test_placements(ranks: list[dict[str, Any]]) -> None:
    totals = dict.fromkeys(("shards of a repeated mesh", "copies", "copies of shards", "plain"), 4.0)
    for said in ranks:
        assert said["totals"] == totals
        assert said["partial"]
        assert said["detached"]
        assert said["class"]


def test_a_tensor_of_one_process_is_as_it_is() -> None:
    tensor = nn.Parameter(torch.ones(3))
    assert local(tensor) is tensor
    assert not sharded([tensor])
    assert not sharded([])


@pytest.mark.parametrize(("rank", "reduced", "expected"), [("0", True, 1.0), ("1", True, 0.0), ("1", False, 1.0)])
def test_what_all_ranks_hold_counts_on_the_first(
    monkeypatch: pytest.MonkeyPatch, rank: str, reduced: bool, expected: float
) -> None:
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert share(torch.ones(3), reduced) == expected


def test_the_first_fsdp_is_known_by_name() -> None:
    wrapper = type("FullyShardedDataParallel", (nn.Module,), {})
    model = nn.Sequential(nn.Linear(2, 2))
    assert not legacy(model)
    model.append(wrapper())
    assert legacy(model)
