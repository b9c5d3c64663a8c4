"""Receiving into an empty and into a full index: `python benchmarks/index_ingest.py --folder FOLDER`.

Starts two servers, one on an index that `index_rows.py` made and one on an empty one, and sends small files to them by
POST, one connection, in turns: what else the machine does meanwhile meets both. `--postgres` gives the section
PostgreSQL of the full index, `--empty-postgres` that of the empty one.
"""

import argparse
import http.client
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from index_rows import IN_A_SERIES, configured, data_set, values

import servers
from hounsfield.dicom.part10 import wrap_header

_FIRST = 50_000_000
_ROUNDS = 8
_STUDIES = 12


def files(study: int) -> Iterator[bytes]:
    """The files of a study of one series."""
    for number in range(1, IN_A_SERIES + 1):
        content = values(study, 1, number)
        yield wrap_header(content[0x00080016], content[0x00080018], "1.2.840.10008.1.2.1") + data_set(content)


def send(server: servers.Server, first: int) -> tuple[float, float]:
    """Instances a second, and processor time of the server for each, in milliseconds."""
    made = [file for study in range(first, first + _STUDIES) for file in files(study)]
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=60)
    cpu, began = server.cpu_seconds(), time.perf_counter()
    for file in made:
        connection.request("POST", "/instances", file)
        response = connection.getresponse()
        body = response.read()
        if response.status != 200 or b'"Success"' not in body:
            raise SystemExit(f"{response.status} {body[:300]!r}")
    seconds = time.perf_counter() - began
    connection.close()
    return len(made) / seconds, (server.cpu_seconds() - cpu) / len(made) * 1000


def main() -> None:
    """Send in turns."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--postgres", type=json.loads)
    parser.add_argument("--empty-postgres", type=json.loads)
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    arguments = parser.parse_args()
    empty = Path(tempfile.mkdtemp(prefix="ingest-", dir=arguments.folder.parent))
    environ = servers.environment(nagle=False)
    _, full_options = configured(arguments.folder, arguments.postgres)
    _, empty_options = configured(empty, arguments.empty_postgres)
    found: dict[str, list[tuple[float, float]]] = {"empty": [], "full": []}
    start = _FIRST + int(time.time()) % 1_000_000 * 1000
    with (
        servers.running(servers.HOUNSFIELD, empty, environ, empty_options) as small,
        servers.running(servers.HOUNSFIELD, arguments.folder, environ, full_options) as large,
    ):
        for number in range(arguments.rounds + 1):
            for name, server in (("empty", small), ("full", large)):
                measured = send(server, start + number * _STUDIES)
                if number:  # The first round warms up.
                    found[name].append(measured)
    shutil.rmtree(empty)
    rates = {name: statistics.median(rate for rate, _ in each) for name, each in found.items()}
    cpu = {name: statistics.median(cpu for _, cpu in each) for name, each in found.items()}
    for name in found:
        shown = " ".join(f"{rate:.0f}" for rate, _ in found[name])
        print(f"{name}: {rates[name]:.0f}/s ({shown}), {cpu[name]:.2f} ms of CPU an instance")
    print(f"slope: {(1 - rates['full'] / rates['empty']) * 100:.1f} % of the rate,", end=" ")
    print(f"{(cpu['full'] / cpu['empty'] - 1) * 100:.1f} % of the CPU", flush=True)


if __name__ == "__main__":
    main()
