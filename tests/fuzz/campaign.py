"""Give millions of hostile inputs to every parser: `python tests/fuzz/campaign.py --inputs 10000000`.

An input may be refused with an `ArchiveError`, and that is all it may do. A crash, another exception, a second
of processor time or too much memory is a failure: the input and its traceback are kept in `tests/fuzz/failures`
and the campaign goes on. Any input can be made again from the seed and its number: `--reproduce TARGET:NUMBER`.

First each target is explored: inputs that run a new line of the project join its corpus. Then the corpus is
frozen, and the rest of the inputs are made from it.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.fuzz.gather import FAILURES, Target, all_targets, share_out
from tests.fuzz.mutation import Mutator
from tests.fuzz.worker import Batch, Failure, Limits, Outcome, State, Trial, work

_BATCH = 2000
_KEPT_OF_A_KIND = 5
_PROGRESS_SECONDS = 5.0
_POLL_SECONDS = 0.2
DEAD_SECONDS = 60.0
"""How long the same input may be tried, by the clock, before its process is killed."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run."""

    inputs: int
    seed: int = 1
    processes: int = 1
    explore: int = 3000
    limits: Limits = field(default_factory=lambda: Limits(1.0, 512 << 20))
    failures: Path | None = FAILURES


@dataclass(slots=True)
class Tally:
    """What a target's inputs came to."""

    inputs: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: int = 0
    processor_ns: int = 0
    peak_bytes: int = 0
    added_bytes: int = 0
    kept_bytes: int = 0
    slowest: list[tuple[int, int, int]] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        self.inputs += outcome.done
        self.outcomes += outcome.outcomes
        self.processor_ns += outcome.processor_ns
        self.peak_bytes = max(self.peak_bytes, outcome.peak_bytes)
        self.added_bytes = max(self.added_bytes, outcome.added_bytes)
        self.kept_bytes += outcome.kept_bytes
        self.slowest = sorted((*self.slowest, *outcome.slowest), reverse=True)[:3]


@dataclass(slots=True)
class _Seat:
    """A worker process and what it is at."""

    process: ForkProcess
    connection: Connection
    state: State
    batch: Batch | None = None
    serial: int = -1
    since: float = 0.0


class Campaign:
    """Hands batches to worker processes, watches over them and counts."""

    def __init__(self, targets: Mapping[str, Target], plan: Plan) -> None:
        self.targets, self.plan = targets, plan
        self.tallies = {name: Tally() for name in targets}
        self.corpora: dict[str, list[bytes]] = {name: [] for name in targets}
        self.failures: list[Failure] = []
        self._kinds: Counter[tuple[str, str, str]] = Counter()
        self._queue: deque[Batch] = deque()
        self._seats: list[_Seat] = []
        self._fork = multiprocessing.get_context("fork")
        self._folder = Path()
        self.start = time.monotonic()
        self.wall_seconds = 0.0

    def run(self) -> None:
        """Explore, then try the rest."""
        shares = share_out(self.plan.inputs, list(self.targets))
        counts = {name: min(self.plan.explore, count) for name, count in shares.items()}
        self.explore(counts)
        self._phase(list(_batches({name: range(counts[name], count) for name, count in shares.items()})))

    def explore(self, counts: Mapping[str, int]) -> None:
        """Let the corpora grow by the first inputs of each target."""
        self._phase([Batch(name, 0, count, True) for name, count in counts.items() if count])

    def _phase(self, batches: Sequence[Batch]) -> None:
        """Run batches in new processes, which know the corpora as they are now."""
        memory = Path("/dev/shm")  # The parsers are tried, not the disk.
        self._folder = Path(
            tempfile.mkdtemp(prefix="hounsfield-fuzz-", dir=memory if memory.is_dir() else None)
        )
        self._queue.extend(batches)
        try:
            self._seats = [self._hire() for _ in range(min(self.plan.processes, len(batches)))]
            self._watch()
        finally:
            for seat in self._seats:
                self._dismiss(seat)
            self._seats = []
            shutil.rmtree(self._folder, ignore_errors=True)
            self.wall_seconds = time.monotonic() - self.start

    def _watch(self) -> None:
        shown = time.monotonic()
        while self._queue or any(seat.batch for seat in self._seats):
            for seat in self._seats:
                if seat.batch is None and self._queue:
                    self._assign(seat, self._queue.popleft())
            wait([seat.connection for seat in self._seats], _POLL_SECONDS)
            self._seats = [self._attend(seat) for seat in self._seats]
            if time.monotonic() - shown > _PROGRESS_SECONDS:
                shown = time.monotonic()
                print(self.progress(), flush=True)  # noqa: T201

    def _hire(self) -> _Seat:
        ours, theirs = self._fork.Pipe()
        state = State()
        plan = self.plan
        arguments = (theirs, state, self.targets, self.corpora, plan.limits, plan.seed, self._folder)
        process = self._fork.Process(target=work, args=arguments, daemon=True)
        with warnings.catch_warnings():
            # Python 3.12 warns of threads of the parent; the child uses none of theirs.
            warnings.simplefilter("ignore", DeprecationWarning)
            process.start()
        theirs.close()
        return _Seat(process, ours, state)

    def _assign(self, seat: _Seat, batch: Batch) -> None:
        seat.batch, seat.since, seat.serial = batch, time.monotonic(), -1
        seat.connection.send(batch)

    def _attend(self, seat: _Seat) -> _Seat:
        """Take what a worker says; if it is dead or stuck, blame its input and hire another."""
        try:
            while seat.connection.poll():
                message = seat.connection.recv()
                if isinstance(message, Failure):
                    self._fail(message)
                elif self._finish(seat, message):
                    return self._hire()
        except (EOFError, ConnectionError):
            return self._replace(seat)
        if seat.batch and self._is_stuck(seat):
            os.kill(seat.process.pid or 0, signal.SIGUSR1)
            time.sleep(0.2)
            seat.process.kill()
            return self._replace(seat)
        return seat

    def _finish(self, seat: _Seat, outcome: Outcome) -> bool:
        self.tallies[outcome.batch.target].add(outcome)
        if outcome.batch.is_exploring:
            self.corpora[outcome.batch.target] += outcome.found
        seat.batch = None
        if outcome.is_last:
            self._dismiss(seat)
        return outcome.is_last

    def _is_stuck(self, seat: _Seat) -> bool:
        _, serial, _ = seat.state.get()
        if serial != seat.serial:
            seat.serial, seat.since = serial, time.monotonic()
        return time.monotonic() - seat.since > DEAD_SECONDS

    def _replace(self, seat: _Seat) -> _Seat:
        """The input that the process died of is a failure; the rest of its batch goes on after it."""
        seat.process.join()
        number, _, data = seat.state.get()
        batch = seat.batch
        if batch is not None:
            trace = self._folder / f"{seat.process.pid}.trace"
            detail = trace.read_text() if trace.exists() else ""
            code = seat.process.exitcode or 0
            if number < 0:
                raise RuntimeError(
                    f"a process died, with {code}, of a seed or between inputs of {batch.target}: {detail}"
                )
            kind = "hang" if code == -signal.SIGKILL else f"exit {code}"
            self._fail(Failure(batch.target, number, kind, detail, data))
            done = max(number + 1 - batch.first, 0)
            tally = self.tallies[batch.target]
            tally.inputs += done
            tally.outcomes["crash"] += 1
            if batch.count > done:
                rest = Batch(batch.target, batch.first + done, batch.count - done, batch.is_exploring)
                self._queue.appendleft(rest)
        return self._hire()

    def _fail(self, failure: Failure) -> None:
        self.tallies[failure.target].failures += 1
        self.failures.append(failure)
        places = [line for line in failure.detail.splitlines() if line.lstrip().startswith("File ")]
        key = (failure.target, failure.kind, places[-1] if places else "")
        self._kinds[key] += 1
        if self._kinds[key] > _KEPT_OF_A_KIND:
            failure.data, failure.detail = b"", ""
            return
        print(f"FAILURE {failure.target}:{failure.number} {failure.kind} {key[2].strip()}", flush=True)  # noqa: T201
        if self.plan.failures:
            self.plan.failures.mkdir(parents=True, exist_ok=True)
            path = self.plan.failures / f"{failure.target}-{failure.number}"
            path.with_name(path.name + ".bin").write_bytes(failure.data)
            path.with_name(path.name + ".txt").write_text(f"{failure.kind}\n{failure.detail}")

    def _dismiss(self, seat: _Seat) -> None:
        with contextlib.suppress(OSError):
            seat.connection.send(None)
        seat.process.join(5)
        if seat.process.is_alive():
            seat.process.kill()
            seat.process.join()
        seat.connection.close()

    def progress(self) -> str:
        """How far it is."""
        done = sum(tally.inputs for tally in self.tallies.values())
        seconds = time.monotonic() - self.start
        return (
            f"{seconds:7.0f} s  {done:>10,} inputs  {done / seconds:8,.0f} /s  {len(self.failures)} failures"
        )


def _batches(ranges: Mapping[str, range]) -> Iterator[Batch]:
    """Batches of all targets, mixed so that any beginning of the campaign holds its share of each."""
    placed = []
    for name, numbers in ranges.items():
        firsts = range(numbers.start, numbers.stop, _BATCH)
        for index, first in enumerate(firsts):
            count = min(_BATCH, numbers.stop - first)
            placed.append(((index + 0.5) / len(firsts), name, first, count))
    for _, name, first, count in sorted(placed):
        yield Batch(name, first, count)


def report(campaign: Campaign) -> dict[str, object]:
    """The figures of a campaign."""
    total = sum(tally.inputs for tally in campaign.tallies.values())
    return {
        "inputs": total,
        "seed": campaign.plan.seed,
        "wall_seconds": round(campaign.wall_seconds, 1),
        "inputs_per_second": round(total / max(campaign.wall_seconds, 0.001)),
        "failures": len(campaign.failures),
        "peak_mib": max(tally.peak_bytes for tally in campaign.tallies.values()) >> 20,
        "targets": {
            name: {
                "inputs": tally.inputs,
                "outcomes": dict(tally.outcomes.most_common()),
                "failures": tally.failures,
                "corpus": len(campaign.targets[name].seeds) + len(campaign.corpora[name]),
                "processor_seconds": round(tally.processor_ns / 1e9, 1),
                "mean_us": round(tally.processor_ns / 1000 / max(tally.inputs, 1), 1),
                "peak_mib": tally.peak_bytes >> 20,
                "most_added_mib": round(tally.added_bytes / 2**20, 1),
                "kept_mib": round(tally.kept_bytes / 2**20, 1),
                "slowest": [
                    {"ms": round(ns / 1e6, 2), "number": number, "bytes": size}
                    for ns, number, size in tally.slowest
                ],
            }
            for name, tally in campaign.tallies.items()
        },
    }


def _table(campaign: Campaign) -> str:
    lines = [
        f"{'target':26}{'inputs':>10}{'failed':>7}{'corpus':>7}{'mean µs':>9}{'slowest ms':>11}{'+MiB':>6}{'kept':>7}"
    ]
    for name, tally in campaign.tallies.items():
        slowest, number, _ = tally.slowest[0] if tally.slowest else (0, 0, 0)
        lines.append(
            f"{name:26}{tally.inputs:>10,}{tally.failures:>7}"
            f"{len(campaign.targets[name].seeds) + len(campaign.corpora[name]):>7}"
            f"{tally.processor_ns / 1000 / max(tally.inputs, 1):>9.1f}{slowest / 1e6:>11.2f}"
            f"{tally.added_bytes / 2**20:>6.1f}{tally.kept_bytes / 2**20:>7.1f}  {number}"
        )
    return "\n".join(lines)


def reproduce(target: Target, number: int, plan: Plan) -> bytes:
    """The bytes of an input: what exploring kept before it is found again first."""
    campaign = Campaign({target.name: target}, replace(plan, failures=None, processes=1))
    campaign.explore({target.name: min(number, plan.explore)})
    mutator = Mutator(target, plan.seed)
    mutator.corpus += campaign.corpora[target.name]
    return mutator.make(number)


def _reproduce_alone(targets: Mapping[str, Target], what: str, plan: Plan) -> int:
    name, _, number = what.partition(":")
    target = targets[name]
    data = reproduce(target, int(number), plan)
    path = FAILURES / f"{name}-{number}.bin"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    print(f"{len(data)} bytes in {path}", flush=True)  # noqa: T201
    warnings.simplefilter("error")
    trial = Trial(plan.limits, State())
    result = trial.run(target, int(number), data)
    trial.close()
    print(f"{result.elapsed_ns / 1e6:.2f} ms\n{result.detail}")  # noqa: T201
    return 1 if result.failure else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Give hostile inputs to every parser.")
    parser.add_argument("--inputs", type=int, default=10_000_000)
    parser.add_argument("--seconds-per-input", type=float, default=1.0, help="processor seconds")
    parser.add_argument("--memory-mb", type=int, default=512, help="half of what a process may hold")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--explore", type=int, default=3000, help="inputs a target by which its corpus grows")
    parser.add_argument("--targets", help="names or rooms, separated by commas")
    parser.add_argument("--report", type=Path, help="a JSON file for the figures")
    parser.add_argument("--reproduce", metavar="TARGET:NUMBER", help="make one input again and run it alone")
    return parser.parse_args()


def main() -> int:
    """Run what the command line asks for; 1 if anything failed."""
    arguments = _arguments()
    targets = all_targets()
    if arguments.targets:
        wanted = set(arguments.targets.split(","))
        targets = {name: t for name, t in targets.items() if wanted & {name, name.split(".")[0]}}
    limits = Limits(arguments.seconds_per_input, arguments.memory_mb << 20)
    plan = Plan(arguments.inputs, arguments.seed, arguments.processes, arguments.explore, limits)
    if arguments.reproduce:
        return _reproduce_alone(targets, arguments.reproduce, plan)
    campaign = Campaign(targets, plan)
    try:
        campaign.run()
    finally:
        print(_table(campaign))  # noqa: T201
        print(campaign.progress())  # noqa: T201
        if arguments.report:
            arguments.report.write_text(json.dumps(report(campaign), indent=1) + "\n", encoding="utf-8")
    return 1 if campaign.failures else 0


if __name__ == "__main__":
    sys.exit(main())
