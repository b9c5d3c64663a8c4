"""Many DICOM clients in one process, good ones and bad ones, paced as machines in a hospital are.

`python -m tests.crowd PORT SECONDS CLIENTS SEED` prints what happened as JSON. They write bytes by themselves, on one
event loop: nothing is shared with the upper layer that they test but the encoding of PDUs.
"""

import asyncio
import contextlib
import json
import random
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tests import instances

from hounsfield.net.dimse import CommandValue, decode_command, encode_command
from hounsfield.net.items import UserInformation
from hounsfield.net.pdu import AssociateRequest, ProposedContext, ReleaseRequest, encode, fragment

_VERIFICATION = "1.2.840.10008.1.1"
_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
_EXPLICIT = "1.2.840.10008.1.2.1"
_CONTEXTS = {instances.SOP_CLASS_UID: 1, _VERIFICATION: 3, _FIND: 5}
_REQUEST = encode(
    AssociateRequest(
        "HOUNSFIELD",
        "CROWD",
        tuple(ProposedContext(number, uid, (_EXPLICIT,)) for uid, number in _CONTEXTS.items()),
        UserInformation(16384),
    )
)
_PDU_BYTES = 16384
_ANSWER_SECONDS = 60.0
_KEYS = b"".join(
    (
        struct.pack("<HH2sH", 0x0008, 0x0052, b"CS", 6) + b"STUDY ",
        struct.pack("<HH2sH", 0x0010, 0x0020, b"LO", 2) + b"P1",
        struct.pack("<HH2sH", 0x0020, 0x000D, b"UI", 0),
    )
)


class Bad(Exception):
    """A server that does not do what it should."""


@dataclass(slots=True)
class Crowd:
    """What all clients share. `stored` are the numbers of the instances that were acknowledged."""

    port: int
    ends: float
    chance: random.Random
    done: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    stored: list[int] = field(default_factory=list)
    slowest: dict[str, float] = field(default_factory=dict)
    next_number: int = 1000
    pace: float = 1.0

    def take(self) -> int:
        """The number of a new instance."""
        self.next_number += 1
        return self.next_number

    def note(self, what: str, began: float) -> None:
        """Something was done that began at a time."""
        self.done[what] += 1
        self.slowest[what] = max(self.slowest.get(what, 0.0), time.monotonic() - began)


@dataclass(slots=True)
class Client:
    """An association as its requestor sees it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    message_id: int = 0

    async def read_pdu(self) -> tuple[int, bytes]:
        """The next PDU: its type and its body."""
        async with asyncio.timeout(_ANSWER_SECONDS):
            header = await self.reader.readexactly(6)
            return header[0], await self.reader.readexactly(int.from_bytes(header[2:], "big"))

    async def read_command(self) -> dict[str, CommandValue]:
        """The next command set; data sets are passed over."""
        collected = b""
        while True:
            kind, body = await self.read_pdu()
            if kind != 4:
                raise Bad(f"A PDU of type {kind} instead of data")
            while body:
                length = int.from_bytes(body[:4], "big")
                control, value, body = body[5], body[6 : 4 + length], body[4 + length :]
                if control & 1:
                    collected += value
                    if control & 2:
                        return decode_command(collected)

    async def send(
        self,
        uid: str,
        command: int,
        elements: dict[str, CommandValue],
        data_set: bytes = b"",
        pause: float = 0,
    ) -> dict[str, CommandValue]:
        """A request, its data set in pieces with a pause after each; the first final response."""
        self.message_id += 1
        whole: dict[str, CommandValue] = {
            "CommandField": command,
            "MessageID": self.message_id,
            "AffectedSOPClassUID": uid,
            "CommandDataSetType": 0 if data_set else 0x0101,
            **elements,
        }
        pieces = [(encode_command(whole), True), *([(data_set, False)] if data_set else [])]
        for payload, is_command in pieces:
            for header, body in fragment(
                _CONTEXTS[uid], payload, is_command=is_command, maximum_length=_PDU_BYTES
            ):
                self.writer.write(header + bytes(body))
                await self.writer.drain()
                if pause and not is_command:
                    await asyncio.sleep(pause)
        while True:
            answer = await self.read_command()
            if answer.get("Status") not in (0xFF00, 0xFF01):
                return answer

    async def store(self, number: int, size: int, pause: float = 0) -> None:
        """C-STORE of an instance, which must succeed."""
        elements: dict[str, CommandValue] = {
            "Priority": 0,
            "AffectedSOPInstanceUID": instances.uids(number)[2],
        }
        data_set = instances.dataset(number, size)
        answer = await self.send(instances.SOP_CLASS_UID, 0x0001, elements, data_set, pause)
        if answer.get("Status") != 0:
            raise Bad(f"C-STORE answered {answer}")

    async def release(self) -> None:
        """A-RELEASE, which must be confirmed."""
        self.writer.write(encode(ReleaseRequest()))
        await self.writer.drain()
        if (await self.read_pdu())[0] != 6:
            raise Bad("The release was not confirmed")

    async def abort(self) -> None:
        """The end of the connection by a reset."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.close()


async def connect(crowd: Crowd) -> Client:
    """A new connection."""
    return Client(*await asyncio.open_connection("127.0.0.1", crowd.port))


async def associate(crowd: Crowd) -> Client:
    """A new association, which must be accepted."""
    began = time.monotonic()
    client = await connect(crowd)
    client.writer.write(_REQUEST)
    if (await client.read_pdu())[0] != 2:
        raise Bad("The association was not accepted")
    crowd.note("association", began)
    return client


async def fast(crowd: Crowd) -> None:
    """Some slices in a row, then a pause."""
    client = await associate(crowd)
    for _ in range(3):
        await _store(crowd, client, "fast C-STORE", 50_000, 0)
    await client.release()
    client.writer.close()
    await asyncio.sleep(crowd.chance.uniform(2, 6))


async def slow(crowd: Crowd) -> None:
    """A slice by a line of some 25 kB a second."""
    client = await associate(crowd)
    await _store(crowd, client, "slow C-STORE", 200_000, crowd.pace * crowd.chance.uniform(0.3, 0.8))
    await client.release()
    client.writer.close()


async def _store(crowd: Crowd, client: Client, what: str, size: int, pause: float) -> None:
    number, began = crowd.take(), time.monotonic()
    await client.store(number, size, pause)
    crowd.stored.append(number)
    crowd.note(what, began)


async def echo(crowd: Crowd) -> None:
    """C-ECHO each second on an association that is kept."""
    client = await associate(crowd)
    for _ in range(20):
        began = time.monotonic()
        if (await client.send(_VERIFICATION, 0x0030, {})).get("Status") != 0:
            raise Bad("C-ECHO failed")
        crowd.note("C-ECHO", began)
        if time.monotonic() > crowd.ends:
            break
        await asyncio.sleep(1)
    await client.release()
    client.writer.close()


async def find(crowd: Crowd) -> None:
    """C-FIND now and then on an association that is kept."""
    client = await associate(crowd)
    for _ in range(10):
        began = time.monotonic()
        if (await client.send(_FIND, 0x0020, {"Priority": 0}, _KEYS)).get("Status") != 0:
            raise Bad("C-FIND failed")
        crowd.note("C-FIND", began)
        if time.monotonic() > crowd.ends:
            break
        await asyncio.sleep(2)
    await client.release()
    client.writer.close()


async def half_open(crowd: Crowd) -> None:
    """A connection on which nothing comes, or half a request, until the server has had enough."""
    client = await connect(crowd)
    client.writer.write(_REQUEST[: crowd.chance.choice((0, 3, 6, 60))])
    async with asyncio.timeout(max(crowd.ends - time.monotonic(), 0.1)):
        await client.reader.read()
    crowd.done["half-open, closed by the server"] += 1
    client.writer.close()


async def aborting(crowd: Crowd) -> None:
    """An association that breaks in the middle of a data set."""
    client = await associate(crowd)
    number = crowd.take()
    sending = asyncio.create_task(client.store(number, 100_000, 0.1))
    await asyncio.sleep(crowd.chance.uniform(0, 0.8))
    sending.cancel()
    with contextlib.suppress(asyncio.CancelledError, OSError, Bad, asyncio.IncompleteReadError):
        await sending
    await client.abort()
    crowd.done["aborted"] += 1
    await asyncio.sleep(crowd.chance.uniform(0.5, 2))


async def garbage(crowd: Crowd) -> None:
    """Bytes that are no DICOM."""
    client = await connect(crowd)
    if crowd.chance.random() < 0.5:
        client.writer.write(_REQUEST)
    client.writer.write(crowd.chance.randbytes(crowd.chance.randrange(1, 20_000)))
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(5):
            await client.reader.read()
    client.writer.close()
    crowd.done["garbage"] += 1
    await asyncio.sleep(crowd.chance.uniform(0.5, 2))


_KINDS: tuple[tuple[Callable[[Crowd], Awaitable[None]], int], ...] = (
    (slow, 25), (fast, 20), (echo, 15), (find, 10), (half_open, 10), (aborting, 10), (garbage, 10),
)  # fmt: skip
_WELL_BEHAVED = (slow, fast, echo, find)


async def _live(crowd: Crowd, kind: Callable[[Crowd], Awaitable[None]]) -> None:
    await asyncio.sleep(crowd.chance.uniform(0, min(5.0, (crowd.ends - time.monotonic()) / 3)))
    while time.monotonic() < crowd.ends:
        try:
            await kind(crowd)
        except (OSError, Bad, TimeoutError, asyncio.IncompleteReadError) as error:
            if kind in _WELL_BEHAVED:
                crowd.failures.append(f"{kind.__name__}: {type(error).__name__} {error}")
            await asyncio.sleep(0.1)


async def _run(crowd: Crowd, clients: int) -> None:
    kinds = [kind for kind, share in _KINDS for _ in range(clients * share // 100)]
    await asyncio.gather(*(_live(crowd, kind) for kind in kinds))


def main() -> None:
    port, seconds, clients, seed = (int(each) for each in sys.argv[1:])
    crowd = Crowd(port, time.monotonic() + seconds, random.Random(seed), pace=min(1.0, seconds / 40))
    asyncio.run(_run(crowd, clients))
    told = {
        "done": crowd.done,
        "failures": len(crowd.failures),
        "examples": crowd.failures[:10],
        "slowest": {name: round(value, 3) for name, value in crowd.slowest.items()},
        "stored": crowd.stored,
    }
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
