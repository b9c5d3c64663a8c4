"""A short campaign over all parsers, the inputs that once failed, and the campaign's own eyes."""

import ctypes
import logging
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fuzz.campaign import Campaign, Plan, report, reproduce
from tests.fuzz.gather import REGRESSIONS, Target, all_targets, share_out
from tests.fuzz.mutation import LONGEST, Mutator
from tests.fuzz.worker import Limits

from hounsfield.errors import ArchiveError, Corrupt

_TARGETS = all_targets()
_LIMITS = Limits(0.3, 256 << 20)


@pytest.fixture(scope="module", autouse=True)
def _folders_of_targets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Targets make folders that outlive an input: pytest's own are removed in time."""
    before, tempfile.tempdir = tempfile.tempdir, str(tmp_path_factory.mktemp("fuzz"))
    yield
    tempfile.tempdir = before


def _run(target: Target, inputs: int = 40, folder: Path | None = None, explore: int = 0) -> Campaign:
    campaign = Campaign({target.name: target}, Plan(inputs, 7, 1, explore, _LIMITS, folder))
    campaign.run()
    return campaign


def _only(number: int) -> tuple[Target, bytes]:
    """A target of which input `number` is to fail, told by its bytes."""
    target = Target("net.probe", lambda data: None, (b"some seed to begin with",))
    return target, Mutator(target, 7).make(number)


def _kinds(campaign: Campaign) -> list[tuple[int, str]]:
    return [(failure.number, failure.kind) for failure in campaign.failures]


@pytest.mark.timeout(600)  # Half a minute where nothing else runs.
def test_no_input_of_a_short_campaign_fails() -> None:
    campaign = Campaign(
        _TARGETS, Plan(inputs=15_000, explore=20, limits=Limits(5.0, 512 << 20), failures=None)
    )
    campaign.run()
    assert [(f.target, f.number, f.kind, f.detail) for f in campaign.failures] == []
    assert all(tally.inputs >= 100 for tally in campaign.tallies.values())


@pytest.mark.parametrize("name", sorted(_TARGETS))
def test_seeds_and_inputs_that_once_failed_pass(name: str) -> None:
    known = [path.read_bytes() for path in sorted((REGRESSIONS / name).glob("*.bin"))]
    for data in (*_TARGETS[name].seeds, b"", *known):
        try:
            _TARGETS[name].parse(data)
        except ArchiveError:
            continue


def test_every_kept_input_belongs_to_a_target() -> None:
    assert {path.parent.name for path in REGRESSIONS.glob("*/*.bin")} <= set(_TARGETS)


def test_an_exception_is_a_failure_and_the_campaign_goes_on(tmp_path: Path) -> None:
    target, bad = _only(11)

    def parse(data: bytes) -> None:
        if data == bad:
            raise ValueError("oops")
        raise Corrupt("refused")

    campaign = _run(Target(target.name, parse, target.seeds), folder=tmp_path)
    assert (11, "ValueError") in _kinds(campaign)
    assert campaign.tallies[target.name].inputs == 40
    assert (tmp_path / "net.probe-11.bin").read_bytes() == bad
    assert "oops" in (tmp_path / "net.probe-11.txt").read_text()


def test_an_exception_that_a_rim_caught_and_logged_is_a_failure() -> None:
    target, bad = _only(11)

    def parse(data: bytes) -> None:
        try:
            {b"": 0}[data if data == bad else b""]
        except KeyError:
            logging.getLogger("hounsfield.http").exception("Unhandled error")

    assert _kinds(_run(Target(target.name, parse, target.seeds))) == [(11, "KeyError")]


def test_the_death_of_the_process_is_blamed_on_its_input(tmp_path: Path) -> None:
    target, bad = _only(11)

    def parse(data: bytes) -> None:
        if data == bad:
            ctypes.string_at(0)

    campaign = _run(Target(target.name, parse, target.seeds), folder=tmp_path)
    assert _kinds(campaign) == [(11, "exit -11")]
    assert campaign.tallies[target.name].inputs == 40
    assert (tmp_path / "net.probe-11.bin").read_bytes() == bad
    assert "Segmentation fault" in (tmp_path / "net.probe-11.txt").read_text()


def test_a_campaign_whose_own_code_fails_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(mutator: Mutator, number: int) -> bytes:
        raise ValueError

    monkeypatch.setattr(Mutator, "make", make)
    with pytest.raises(RuntimeError, match=r"between inputs of http\.range"):
        _run(_TARGETS["http.range"])


def test_an_endless_input_is_a_failure() -> None:
    target, bad = _only(11)

    def parse(data: bytes) -> None:
        while data == bad:
            pass

    assert _kinds(_run(Target(target.name, parse, target.seeds))) == [(11, "hang")]


def test_an_input_that_waits_for_ever_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.campaign.DEAD_SECONDS", 0.5)
    target, bad = _only(11)

    def parse(data: bytes) -> None:
        if data == bad:
            time.sleep(60)

    assert _kinds(_run(Target(target.name, parse, target.seeds))) == [(11, "hang")]


def test_an_input_that_takes_too_much_memory_is_a_failure() -> None:
    target, bad = _only(11)

    def parse(data: bytes) -> None:
        assert len(bytearray(600 << 20) if data == bad else b"") >= 0

    assert _kinds(_run(Target(target.name, parse, target.seeds))) == [(11, "MemoryError")]


@pytest.mark.parametrize("number", [90, 250])
def test_a_number_gives_the_same_input_again(number: int) -> None:
    plan = Plan(400, seed=3, explore=100, limits=_LIMITS)
    first, second = (reproduce(_TARGETS["dicom.head"], number, plan) for _ in range(2))
    assert first == second


def test_what_exploring_finds_joins_the_corpus() -> None:
    target = _TARGETS["net.pdu"]
    campaign = _run(target, inputs=200, explore=100)
    assert campaign.corpora[target.name]
    mutator = Mutator(target, 7)
    mutator.corpus += campaign.corpora[target.name]
    assert reproduce(target, 199, campaign.plan) == mutator.make(199)


def test_inputs_are_bounded_and_each_target_has_its_share() -> None:
    target = Target("dicom.head", lambda data: None, (bytes(LONGEST),))
    mutator = Mutator(target, 1)
    assert max(len(mutator.make(number)) for number in range(300)) <= LONGEST + 1000
    shares = share_out(1_000_000, list(_TARGETS))
    assert min(shares.values()) >= 7_500
    assert abs(sum(shares.values()) - 1_000_000) < 100


def test_a_report_counts_what_became_of_every_input() -> None:
    figures = report(_run(_TARGETS["http.range"]))
    assert figures["inputs"] == 40
    assert figures["failures"] == 0
