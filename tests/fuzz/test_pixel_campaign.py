"""A short campaign of hostile pixels, and its own eyes."""

import os
import signal
from pathlib import Path

import pytest
from tests.fuzz import pixel_campaign
from tests.fuzz.pixel_campaign import Plan, campaign, make_input, try_file
from tests.fuzz.pixel_files import Seed, pixel_seeds

from hounsfield.imaging.isolation import IsolationOptions, isolated


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Seed]]:
    return pixel_seeds(tmp_path_factory.mktemp("seeds"))


def test_hostile_pixels_cost_a_frame_at_most(seeds: dict[str, list[Seed]], tmp_path: Path) -> None:
    tally = campaign(Plan(inputs=2000, seed=7, kept=tmp_path), seeds)
    assert tally.failures == []
    assert sum(tally.outcomes.values()) == 2000
    assert tally.outcomes["value"] > 200
    assert tally.outcomes["Corrupt by a codec"] > 200
    assert not [name for name in tally.outcomes if "without a word" in name or name.startswith("TimedOut")]
    assert max(tally.server_bytes, tally.decoder_bytes) < 1 << 30


def test_every_seed_is_shown(seeds: dict[str, list[Seed]]) -> None:
    shown = {uid: {try_file(each.data, 2) for each in found} for uid, found in seeds.items()}
    assert all("value" in found for found in shown.values()), shown
    assert len(shown) >= 27


def test_an_input_is_the_same_each_time(seeds: dict[str, list[Seed]]) -> None:
    assert make_input(seeds, 3, 17) == make_input(seeds, 3, 17) != make_input(seeds, 4, 17)


def test_the_end_of_a_decoder_is_told_by_its_signal(seeds: dict[str, list[Seed]]) -> None:
    data = seeds["1.2.840.10008.1.2.4.90"][0].data
    with isolated(IsolationOptions(workers=1)) as pool:
        assert try_file(data, 0) == "value"
        ask = pool.ask

        def ends(
            header: dict[str, object], data: bytes | memoryview
        ) -> tuple[dict[str, object], list[bytes]]:
            return ask({**header, "task": "none"}, data)

        pool.ask = ends  # type: ignore[method-assign]
        assert try_file(data, 0) == "WorkerFailure exit 1"


def test_a_server_that_ends_is_a_failure(
    seeds: dict[str, list[Seed]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pixel_campaign, "_work", _end)
    tally = campaign(Plan(inputs=700, seed=7), seeds)
    assert [failure.split(" at ")[0] for failure in tally.failures] == ["a server ended with -9"] * 2


def _end(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)
