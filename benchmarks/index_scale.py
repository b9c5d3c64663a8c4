"""Searching an index of a million instances: `python benchmarks/index_scale.py --folder FOLDER [--studies 20000]`.

Starts a server on an index that `index_rows.py` made and asks it by REST, QIDO-RS and C-FIND, one client, never the
same question twice: medians and percentiles are printed as a table, with how long the server took to start.

`--postgres '{"Host": "127.0.0.1", ...}'` gives the section PostgreSQL of the configuration: the index is then there.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

from index_questions import Ask, cfind_questions, qido_questions, rest_questions, timed
from index_rows import configured

import servers

_ROUNDS = 200
_LONGEST_SECONDS = 20.0
_FEWEST = 30
_STARTS = 5


def measure(server: servers.Server, door: str, name: str, ask: Ask, rounds: int) -> dict[str, float]:
    """Ask until there were enough rounds, or it took long enough; print the percentiles in milliseconds.

    The processor time of the server says more than they do where the machine has other work.
    """
    ask(rounds)  # The first answer of a kind prepares statements.
    taken: list[float] = []
    amount, cpu = 0, server.cpu_seconds()
    began = time.perf_counter()
    for number in range(rounds):
        milliseconds, amount = timed(ask, number)
        taken.append(milliseconds)
        if number >= _FEWEST and time.perf_counter() - began > _LONGEST_SECONDS:
            break
    cpu = (server.cpu_seconds() - cpu) / len(taken) * 1000
    cuts = statistics.quantiles(taken, n=100)
    shown = " | ".join(f"{value:.1f}" for value in (cuts[49], cuts[94], cuts[98], cpu))
    print(f"| {door} | {name} | {shown} | {amount} |", flush=True)
    figures = {"p50": cuts[49], "p95": cuts[94], "p99": cuts[98], "cpu": cpu}
    return {**figures, "amount": amount, "count": len(taken)}


def main() -> None:
    """Start, and ask."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=20_000)
    parser.add_argument("--postgres", type=json.loads, help="the section PostgreSQL, as JSON")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    parser.add_argument("--only", default="", help="only questions whose name contains this")
    parser.add_argument("--json", type=Path, help="write every figure")
    arguments = parser.parse_args()
    _, options = configured(arguments.folder, arguments.postgres)
    options["DicomAlwaysAllowFind"] = True
    environ = servers.environment(nagle=False)
    found: dict[str, dict[str, float]] = {}
    starts = []
    for _ in range(_STARTS):
        with servers.running(servers.HOUNSFIELD, arguments.folder, environ, options) as running:
            starts.append(running.start_seconds)
    print(f"start: {', '.join(f'{seconds:.2f}' for seconds in starts)} s\n")
    print("| door | question | p50 ms | p95 ms | p99 ms | CPU ms | bytes or answers |")
    print("|---|---|---:|---:|---:|---:|---:|")
    with servers.running(servers.HOUNSFIELD, arguments.folder, environ, options) as running:
        for door, questions in (
            ("REST", rest_questions(running.http_port, arguments.studies)),
            ("QIDO", qido_questions(running.http_port, arguments.studies)),
            ("C-FIND", cfind_questions(running.dicom_port, arguments.studies)),
        ):
            for name, ask in questions:
                if arguments.only in name:
                    found[f"{door} {name}"] = measure(running, door, name, ask, arguments.rounds)
        memory = running.resident_mb()
    print(f"\nresident memory: {memory:.0f} MiB")
    if arguments.json:
        arguments.json.write_text(
            json.dumps({"start": starts, "memory_mib": memory, "questions": found}, indent=1)
        )


if __name__ == "__main__":
    main()
