"""Hostile pixel files on the way a server takes: `python -m tests.fuzz.pixel_campaign --inputs 1000000`.

A process stands for the server: it reads the file, hands the bit stream to a pool of decoders and makes the picture.
It may not end, nor raise anything but an `ArchiveError`, nor wait longer than the limit of the pool. A decoder may end,
which costs the frame; what it ended of is kept.
"""

import argparse
import json
import logging
import multiprocessing
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from random import Random

from tests.fuzz.pixel_files import Seed, mutated, pixel_seeds

from hounsfield.dicom.part10 import read_head
from hounsfield.errors import ArchiveError, TimedOut
from hounsfield.imaging import render
from hounsfield.imaging.decode import decode
from hounsfield.imaging.display import read_display
from hounsfield.imaging.encoders import ENCODERS
from hounsfield.imaging.frames import count_frames, read_frame
from hounsfield.imaging.isolation import IsolationOptions, WorkerFailure, WorkerPool, isolated
from hounsfield.imaging.png import encode_png
from hounsfield.imaging.transcode import transcode

_BATCH = 500
_TRANSCODED = 16
"""One of so many inputs is transcoded too."""

_SLOW_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to try."""

    inputs: int
    seed: int = 1
    processes: int = 1
    timeout_seconds: int = 20
    kept: Path | None = None
    """A folder for the inputs that ended a decoder, were too slow, or did what none may do."""


@dataclass(slots=True)
class Tally:
    """What became of inputs, by outcome, and by transfer syntax and outcome."""

    outcomes: Counter[str] = field(default_factory=Counter)
    by_syntax: dict[str, Counter[str]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    slowest: list[tuple[float, int]] = field(default_factory=list)
    server_bytes: int = 0
    """Most resident memory of a process that stands for a server."""

    decoder_bytes: int = 0
    """Most resident memory of a decoder."""

    def count(self, uid: str, outcome: str) -> None:
        self.outcomes[outcome] += 1
        self.by_syntax.setdefault(uid, Counter())[outcome] += 1

    def add(self, other: "Tally") -> None:
        self.outcomes += other.outcomes
        for uid, outcomes in other.by_syntax.items():
            self.by_syntax.setdefault(uid, Counter()).update(outcomes)
        self.failures += other.failures
        self.slowest = sorted(self.slowest + other.slowest, reverse=True)[:5]
        self.server_bytes = max(self.server_bytes, other.server_bytes)
        self.decoder_bytes = max(self.decoder_bytes, other.decoder_bytes)


def make_input(seeds: dict[str, list[Seed]], seed: int, number: int) -> tuple[str, bytes]:
    """The input of a number: the same bytes each time."""
    return mutated(Random(seed << 64 | number), seeds, sorted(seeds))


def try_file(data: bytes, number: int) -> str:
    """Everything a server does to show the first frames of a file; `value`, or the name of the error."""
    try:
        head = read_head(data)
        count = count_frames(head, len(data))
        beyond = {count + 1} if number % _TRANSCODED == 1 else set()
        for each in sorted({1, min(count, 2) or 1} | beyond):
            frame = read_frame(data, head, each)
            pixels = decode(frame)
            encode_png(render.preview(pixels))
            encode_png(render.render(pixels, read_display(head.dataset, frame.description, each)))
            if number % _TRANSCODED == 0 and each == 1:
                transcode(data, sorted(ENCODERS)[number // _TRANSCODED % len(ENCODERS)])
    except ArchiveError as error:
        return type(error).__name__ + _manner(error)
    return "value"


def _manner(error: ArchiveError) -> str:
    """What tells errors of the same name apart."""
    text = str(error)
    if isinstance(error, WorkerFailure):
        return f" {text.partition('(')[2].removesuffix(')')}"
    if "cannot be decoded" in text:
        return " by a codec"
    return "" if text.strip() else " without a word"


def run_batch(seeds: dict[str, list[Seed]], plan: Plan, numbers: range, pool: WorkerPool) -> Tally:
    """Try some inputs in this process."""
    tally = Tally()
    for number in numbers:
        uid, data = make_input(seeds, plan.seed, number)
        started = time.monotonic()
        try:
            outcome = try_file(data, number)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            outcome = "FAILED " + type(error).__name__
            tally.failures.append(f"{number}: {''.join(traceback.format_exception(error))}")
        elapsed = time.monotonic() - started
        tally.count(uid, outcome)
        tally.slowest = sorted([*tally.slowest, (round(elapsed, 2), number)], reverse=True)[:5]
        is_remarkable = outcome.startswith(("FAILED", "WorkerFailure", TimedOut.__name__))
        if plan.kept and (is_remarkable or elapsed > _SLOW_SECONDS):
            name = f"{number}-{outcome.replace(' ', '-')}-{elapsed:.1f}s.dcm"
            (plan.kept / name).write_bytes(data)
    tally.server_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    tally.decoder_bytes = max(_peak(pool), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10)
    return tally


def _peak(pool: WorkerPool) -> int:
    """Most resident memory of the decoders that live."""
    peaks = [0]
    for pid in pool.process_ids():
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        peaks += [int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmHWM")]
    return max(peaks)


def _work(connection: Connection, seeds: dict[str, list[Seed]], plan: Plan) -> None:
    """Stand for a server until there are no more inputs."""
    logging.disable(logging.CRITICAL)
    options = IsolationOptions(workers=1, timeout_seconds=plan.timeout_seconds)
    with isolated(options) as pool:
        while (first := connection.recv()) is not None:
            connection.send(run_batch(seeds, plan, range(first, min(first + _BATCH, plan.inputs)), pool))


def campaign(plan: Plan, seeds: dict[str, list[Seed]]) -> Tally:
    """Try all inputs, in processes that stand for servers."""
    if plan.kept:
        plan.kept.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    total, started, shown = Tally(), time.monotonic(), time.monotonic()
    batches = iter(range(0, plan.inputs, _BATCH))
    busy: dict[Connection, tuple[multiprocessing.process.BaseProcess, int]] = {}

    def hire() -> tuple[Connection, multiprocessing.process.BaseProcess]:
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, seeds, plan))
        process.start()
        theirs.close()
        return ours, process

    def assign(connection: Connection, process: multiprocessing.process.BaseProcess) -> None:
        first = next(batches, None)
        connection.send(first)
        if first is None:
            process.join()
        else:
            busy[connection] = (process, first)

    for _ in range(plan.processes):
        assign(*hire())
    while busy:
        for ready in wait(list(busy)):
            assert isinstance(ready, Connection)
            process, first = busy.pop(ready)
            try:
                total.add(ready.recv())
            except (EOFError, ConnectionError):
                process.join()
                total.failures.append(
                    f"a server ended with {process.exitcode} at {first} to {first + _BATCH}"
                )
                ready, process = hire()
            assign(ready, process)
        if time.monotonic() - shown > 60:
            shown = time.monotonic()
            _say(_line(total, time.monotonic() - started))
    return total


def _line(tally: Tally, seconds: float) -> str:
    done = sum(tally.outcomes.values())
    return (
        f"{seconds:6.0f} s {done:>9,} inputs {done / seconds:6.0f}/s, {len(tally.failures)} failures, "
        f"{tally.server_bytes >> 20} and {tally.decoder_bytes >> 20} MiB, {dict(tally.outcomes.most_common())}"
    )


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run what the command line asks for; 1 if anything failed."""
    parser = argparse.ArgumentParser(description="Give hostile pixels to the decoders.")
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--kept", type=Path, help="a folder for inputs that ended a decoder or took long")
    parser.add_argument("--report", type=Path, help="a JSON file for the figures")
    parser.add_argument("--syntaxes", default="", help="beginning of the transfer syntaxes to try")
    parser.add_argument("--make", type=int, metavar="NUMBER", help="write one input to the standard output")
    arguments = parser.parse_args()
    plan = Plan(arguments.inputs, arguments.seed, arguments.processes, kept=arguments.kept)
    with tempfile.TemporaryDirectory(prefix="hounsfield-pixels-") as folder:
        found = pixel_seeds(Path(folder))
    seeds = {uid: each for uid, each in found.items() if uid.startswith(arguments.syntaxes)}
    if arguments.make is not None:
        sys.stdout.buffer.write(make_input(seeds, plan.seed, arguments.make)[1])
        return 0
    started = time.monotonic()
    tally = campaign(plan, seeds)
    _say(_line(tally, time.monotonic() - started))
    figures = {
        "inputs": sum(tally.outcomes.values()),
        "seed": plan.seed,
        "seconds": round(time.monotonic() - started),
        "outcomes": dict(tally.outcomes.most_common()),
        "by_transfer_syntax": {
            uid: dict(each.most_common()) for uid, each in sorted(tally.by_syntax.items())
        },
        "server_mib": tally.server_bytes >> 20,
        "decoder_mib": tally.decoder_bytes >> 20,
        "slowest": tally.slowest,
        "failures": tally.failures,
    }
    if arguments.report:
        arguments.report.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    for failure in tally.failures[:20]:
        _say(failure)
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())
