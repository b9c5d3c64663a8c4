"""The least that receiving by HTTP costs in Python: `python benchmarks/floor.py CONFIGURATION [drop|write|sync]`.

A server that receives uploads, writes them to files and synchronises them, and does nothing else: no DICOM is read and
nothing is indexed. It understands as much of HTTP and of a configuration file as `compare.py` needs, so it can be named
there in the place of a server. What Hounsfield takes beyond it is what its own work costs.
"""

import json
import os
import socket
import sys
import threading
from itertools import count
from pathlib import Path

from isal import isal_zlib

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
_NUMBERS = count()


def main() -> None:
    """The command."""
    configuration = json.loads(Path(sys.argv[1]).read_bytes())
    way = sys.argv[2] if len(sys.argv) > 2 else "sync"
    folder = Path(configuration["StorageDirectory"])
    folder.mkdir(exist_ok=True)
    listener = socket.create_server(("127.0.0.1", configuration["HttpPort"]))
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_serve, args=(connection, folder, way), daemon=True).start()


def _serve(connection: socket.socket, folder: Path, way: str) -> None:
    """Answer one connection."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    buffer, size = bytearray(8 << 20), 0
    view = memoryview(buffer)
    while True:
        while (end := buffer.find(b"\r\n\r\n", 0, size)) < 0:
            received = connection.recv_into(view[size:])
            if not received:
                return
            size += received
        head = bytes(view[:end]).lower()
        start, length = end + 4, int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        while size < start + length:
            received = connection.recv_into(view[size : start + length], 0, socket.MSG_WAITALL)
            if not received:
                return
            size += received
        if head.startswith(b"post") and way != "drop":
            _write(view[start : start + length], folder / str(next(_NUMBERS)), is_synced=way == "sync")
        if head.startswith(b"get /patients"):  # Somebody is about to delete everything.
            for path in folder.iterdir():
                path.unlink()
        connection.sendall(_ANSWER + (b"[]" if head.startswith(b"get /patients") else b"{}"))
        view[: size - start - length] = view[start + length : size]
        size -= start + length


def _write(body: memoryview, path: Path, *, is_synced: bool) -> None:
    isal_zlib.crc32(body)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    os.write(fd, body)
    if is_synced:
        os.fdatasync(fd)
    os.close(fd)


if __name__ == "__main__":
    main()
