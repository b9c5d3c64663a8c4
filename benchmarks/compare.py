"""Measure Hounsfield, alone or beside Orthanc: see README.md for the options and what the columns mean."""

import argparse
import json
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.servers import HOUNSFIELD, Kind, Server, environment, fresh, running
from benchmarks.slices import IN_A_STUDY, make_slice, write_slices
from benchmarks.workloads import (
    MissingTool,
    Sample,
    find_storescu,
    find_wrk,
    measure_archive,
    measure_change,
    measure_get,
    measure_ingest,
    measure_once,
    post,
    store,
    wait_until_quiet,
)

from hounsfield.dicom.levels import Level

GROUPS = ("store", "post", "change", "get", "transcode")
GDCM = Path("/usr/share/orthanc/plugins/libOrthancGdcm.so")
TRANSCODED = (
    ("JPEG lossless", "1.2.840.10008.1.2.4.70", False),
    ("JPEG-LS", "1.2.840.10008.1.2.4.80", False),
    ("JPEG 2000", "1.2.840.10008.1.2.4.90", True),
)
"""Names, transfer syntaxes, and whether Orthanc needs the plugin of GDCM."""

BESIDE = Path("/usr/sbin/Orthanc")
ASSOCIATIONS = (1, 4)
CONNECTIONS = (1, 8)
INSTANCE = "GET /instances/{id}"
INSTANCE_PATHS = ("", "/file", "/simplified-tags", "/preview")
FIRST_TIME = ("/file", "/simplified-tags")


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run, and with what."""

    kinds: Sequence[Kind]
    files: Sequence[Path]
    folder: Path
    rounds: int
    seconds: int
    environ: Mapping[str, str]
    options: Mapping[str, Any]


def main() -> None:
    """The command."""
    arguments = _parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # So that servers and folders do not stay.
    options = dict(arguments.option)
    if arguments.no_sync:
        options["SyncStorageArea"] = False
    with tempfile.TemporaryDirectory(prefix="hounsfield-benchmark-", dir=arguments.folder) as name:
        folder = Path(name)
        plan = Plan(
            kinds=_kinds(arguments.beside),
            files=write_slices(folder / "slices", arguments.slices),
            folder=folder,
            rounds=arguments.repeat,
            seconds=arguments.seconds,
            environ=environment(nagle=arguments.nagle),
            options=options,
        )
        samples = list(_run(plan, arguments.only))
    print(_describe(arguments), end="\n\n")
    print(_table(samples, [kind.name for kind in plan.kinds]))
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(sample) for sample in samples], indent=1))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure Hounsfield, alone or beside Orthanc.")
    parser.add_argument("--slices", type=int, default=1000, help="how many (default: 1000)")
    parser.add_argument("--repeat", type=int, default=3, help="rounds, whose median is printed (default: 3)")
    parser.add_argument(
        "--only", type=_groups, default=GROUPS, help="some of store,post,change,get,transcode (default: all)"
    )
    parser.add_argument("--no-sync", action="store_true", help="with SyncStorageArea off")
    parser.add_argument("--nagle", action="store_true", help="without TCP_NODELAY=1 in the environment")
    parser.add_argument(
        "--option", type=_option, action="append", default=[], metavar="NAME=JSON", help="more configuration"
    )
    parser.add_argument("--seconds", type=int, default=3, help="how long each GET is repeated (default: 3)")
    parser.add_argument("--folder", type=Path, help="where the archives are put: choose the disk")
    parser.add_argument("--json", type=Path, help="write every measurement to this file")
    parser.add_argument(
        "--beside", help=f'the program to compare with, "none" for none (default: {BESIDE} if there is one)'
    )
    arguments = parser.parse_args()
    if min(arguments.slices, arguments.repeat, arguments.seconds) < 1:
        parser.error("--slices, --repeat and --seconds must be positive")
    return arguments


def _groups(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if not set(names) <= set(GROUPS):
        raise argparse.ArgumentTypeError("choose from " + ",".join(GROUPS))
    return names


def _option(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    return name, json.loads(value)


def _kinds(beside: str | None) -> list[Kind]:
    chosen = [HOUNSFIELD]
    if beside is not None and beside != "none":
        chosen.append(Kind(Path(beside).name, (beside,)))
    elif beside is None and BESIDE.exists():
        chosen.append(Kind(BESIDE.name, (str(BESIDE),)))
    return [Kind(f"{kind.name} {_version(kind)}", kind.command) for kind in chosen]


def _version(kind: Kind) -> str:
    done = subprocess.run([*kind.command, "--version"], capture_output=True, text=True, check=True)
    return done.stdout.split("\n")[0].split()[-1]


def _run(plan: Plan, groups: Sequence[str]) -> Iterator[Sample]:
    for group in groups:
        try:
            if group == "store":
                find_storescu()
                for associations in ASSOCIATIONS:
                    yield from _ingest(plan, "C-STORE", associations)
            elif group == "post":
                for connections in CONNECTIONS:
                    yield from _ingest(plan, "POST", connections)
            elif group == "change":
                yield from _change(plan)
            elif group == "transcode":
                yield from _transcode(plan)
            else:
                find_wrk()
                yield from _get(plan)
        except MissingTool as missing:
            _say(f"skipped {group}: {missing}")


def _ingest(plan: Plan, protocol: str, at_once: int) -> Iterator[Sample]:
    """Every round and server begins with an empty archive."""
    name = f"{protocol} x{at_once}"
    for number in range(plan.rounds):
        for kind in plan.kinds:
            _say(f"{name}, round {number + 1}: {kind.name}")
            with fresh(kind, plan.folder / "archive", plan.environ, plan.options) as server:
                yield Sample("start, empty", "ms", kind.name, server.start_seconds * 1e3)
                if protocol == "C-STORE":
                    work = partial(store, server, plan.files, at_once, plan.environ)
                else:
                    work = partial(post, server, plan.files, at_once)
                yield from measure_ingest(server, name, len(plan.files), work)


def _change(plan: Plan) -> Iterator[Sample]:
    """Studies are anonymized and modified, one after the other."""
    study = make_slice(0).identifiers.public_id(Level.STUDY)
    count = min(IN_A_STUDY, len(plan.files))
    with ExitStack() as stack:
        servers = []
        for number, kind in enumerate(plan.kinds):
            folder = plan.folder / f"changed-{number}"
            servers.append(stack.enter_context(running(kind, folder, plan.environ, plan.options)))
            post(servers[-1], plan.files[:count], 4)
        for word, body in (("anonymize", {}), ("modify", {"Replace": {"StudyDescription": "Benchmark"}})):
            _say(f"{word} a study")
            for _ in range(plan.rounds):
                for server in servers:
                    path = f"/studies/{study}/{word}"
                    yield measure_change(
                        server, f"instances by POST /studies/{{id}}/{word}", path, body, count
                    )


def _transcode(plan: Plan) -> Iterator[Sample]:
    """The slices of a study are transcoded on their way into an archive."""
    study = make_slice(0).identifiers.public_id(Level.STUDY)
    count = min(IN_A_STUDY, len(plan.files))
    for name, uid, needs_plugin in TRANSCODED:
        if needs_plugin and not GDCM.exists():
            _say(f"skipped {name}: Orthanc has no {GDCM.name}")
            continue
        options = {**plan.options, "Plugins": [str(GDCM)]} if needs_plugin else plan.options
        with ExitStack() as stack:
            servers = []
            for kind in plan.kinds:
                folder = plan.folder / f"{uid}-{kind.name.split()[0]}"
                own = plan.options if kind.name.startswith(HOUNSFIELD.name) else options
                servers.append(stack.enter_context(running(kind, folder, plan.environ, own)))
                post(servers[-1], plan.files[:count], 4)
                wait_until_quiet(servers[-1])
            _say(f"transcode to {name}")
            for _ in range(plan.rounds):
                for server in servers:
                    title = f"slices to {name} in a study's /archive"
                    yield from measure_archive(server, title, study, count, f"?transcode={uid}")


def _get(plan: Plan) -> Iterator[Sample]:
    """Archives are filled once, then asked by servers that have just started, then by servers that go on."""
    starts = [
        partial(running, kind, plan.folder / f"archive-{number}", plan.environ, plan.options)
        for number, kind in enumerate(plan.kinds)
    ]
    for start in starts:
        with start() as server:
            _say(f"filling {server.kind.name}")
            post(server, plan.files, 4)
            wait_until_quiet(server)
    paths = _paths(len(plan.files))
    for _ in range(plan.rounds):
        for start in starts:
            with start() as server:
                yield Sample("start, filled", "ms", server.kind.name, server.start_seconds * 1e3)
                for end in FIRST_TIME:
                    yield measure_once(server, f"first {INSTANCE}{end}", paths[INSTANCE + end])
    with ExitStack() as stack:
        yield from _get_again(plan, [stack.enter_context(start()) for start in starts], paths)


def _get_again(plan: Plan, servers: Sequence[Server], paths: Mapping[str, Sequence[str]]) -> Iterator[Sample]:
    """All servers run at the same time, and are asked in turn."""
    for name, of_name in paths.items():
        for connections in CONNECTIONS:
            title = f"{name} x{connections}"
            _say(title)
            for _ in range(plan.rounds):
                for server in servers:
                    yield measure_get(server, title, of_name, connections, plan.seconds)
    study = make_slice(0).identifiers.public_id(Level.STUDY)
    _say("archive of a study")
    for _ in range(plan.rounds):
        for server in servers:
            yield from measure_archive(
                server, "slices in a study's /archive", study, min(IN_A_STUDY, len(plan.files))
            )


def _paths(count: int) -> dict[str, list[str]]:
    ids = [make_slice(number).public_id for number in range(count)]
    found = {INSTANCE + end: [f"/instances/{each}{end}" for each in ids] for end in INSTANCE_PATHS}
    return {"GET /system": ["/system"], **found}


def _describe(arguments: argparse.Namespace) -> str:
    nagle = "Nagle's algorithm as shipped" if arguments.nagle else "TCP_NODELAY=1"
    sync = "SyncStorageArea false" if arguments.no_sync else "durable"
    extra = "".join(f", {name}={json.dumps(value)}" for name, value in arguments.option)
    rounds = f"{arguments.slices} slices, medians of {arguments.repeat} rounds"
    return f"{rounds}, {sync}, {nagle}{extra}; Python {platform.python_version()}."


def _table(samples: Sequence[Sample], names: Sequence[str]) -> str:
    """The medians as a table in Markdown."""
    cpu = [f"CPU ms, {name}" for name in names]
    header = ["workload", "unit", *names, *(["times better"] if len(names) > 1 else []), *cpu, "spread"]
    rows = [header, ["---"] * 2 + ["---:"] * (len(header) - 2)]
    for workload in dict.fromkeys(sample.workload for sample in samples):
        chosen = [sample for sample in samples if sample.workload == workload]
        rows.append(_row(workload, chosen, names))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _row(workload: str, samples: Sequence[Sample], names: Sequence[str]) -> list[str]:
    unit = samples[0].unit
    of_server = [[sample for sample in samples if sample.server == name] for name in names]
    values = [statistics.median(sample.value for sample in each) for each in of_server]
    row = [workload, unit, *map(_number, values)]
    if len(names) > 1:
        row.append(f"{values[0] / values[1] if unit == '/s' else values[1] / values[0]:.2f}")
    for each in of_server:
        cpu = [sample.cpu_ms for sample in each if sample.cpu_ms is not None]
        row.append(f"{statistics.median(cpu):.2f}" if cpu else "")
    spread = max(max(s.value for s in each) / min(s.value for s in each) for each in of_server)
    return [*row, f"{spread:.1f}"]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _say(text: str) -> None:
    """Progress, apart from the table."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
