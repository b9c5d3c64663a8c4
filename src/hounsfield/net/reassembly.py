"""Putting messages together from their fragments. PS3.7 6.3.1, PS3.8 Annex E."""

from collections.abc import Callable

from hounsfield.errors import Corrupt
from hounsfield.net.buffers import DataSetBuffer, Payload
from hounsfield.net.dimse import NO_DATA_SET, CommandValue, decode_command


class Reassembler:
    """The fragment sink of an association: a command set, then its data set if it has one.

    Fragments of one message come in order and on one presentation context; those of another message cannot
    come between them.
    """

    def __init__(self, buffer: DataSetBuffer, maximum_command_length: int) -> None:
        self._buffer = buffer
        self._maximum_command_length = maximum_command_length
        self._command = bytearray(1024)
        self._command_length = 0
        self._context_id = 0
        self._is_started = False
        self._expects_data_set = False
        self._is_in_command = True

    @property
    def is_amid_message(self) -> bool:
        """Whether a message has begun and is not complete."""
        return self._is_started or self._expects_data_set

    def begin(self, context_id: int, is_command: bool, length: int) -> None:
        """Prepare for a fragment of `length` bytes.

        Raises
        ------
        Corrupt
            If it is of the wrong kind or context, or makes the command set too long.
        """
        if is_command == self._expects_data_set:
            found, expected = ("command", "data set") if is_command else ("data set", "command")
            raise Corrupt(f"A fragment of a {found} came where one of a {expected} must come")
        if (self._is_started or self._expects_data_set) and context_id != self._context_id:
            raise Corrupt(f"A message begun on context {self._context_id} goes on on context {context_id}")
        self._context_id, self._is_in_command, self._is_started = context_id, is_command, True
        if is_command:
            self._reserve_command(self._command_length + length)

    def space(self, size: int) -> memoryview:
        """Where the next bytes of the fragment go."""
        if self._is_in_command:
            return memoryview(self._command)[self._command_length : self._command_length + size]
        return self._buffer.space(size)

    def filled(self, count: int) -> None:
        """So many bytes are now in `space`."""
        if self._is_in_command:
            self._command_length += count
        else:
            self._buffer.filled(count)

    def take_command(self) -> dict[str, CommandValue]:
        """The complete command set; if a data set follows, `start_data_set` must come before more bytes.

        Raises
        ------
        Corrupt
            If it is none, or lacks what every message has.
        """
        command = decode_command(bytes(self._command[: self._command_length]))
        self._command_length = 0
        self._is_started = False
        if not isinstance(command.get("CommandField"), int) or "CommandDataSetType" not in command:
            raise Corrupt(
                "A command set has no Command Field (0000,0100) or Command Data Set Type (0000,0800)"
            )
        self._expects_data_set = command["CommandDataSetType"] != NO_DATA_SET
        return command

    def start_data_set(self, prefix: Callable[[], bytes]) -> None:
        """Say what a spool file of the coming data set begins with."""
        self._buffer.start(prefix)

    def take_data_set(self) -> Payload:
        """The complete data set; valid until the next one starts.

        Raises
        ------
        StorageFull
            If there was no room for it.
        """
        self._is_started = self._expects_data_set = False
        return self._buffer.finish()

    def _reserve_command(self, length: int) -> None:
        if length > self._maximum_command_length:
            raise Corrupt(f"A command set is longer than {self._maximum_command_length} bytes")
        if length > len(self._command):
            larger = bytearray(max(length, 2 * len(self._command)))
            larger[: self._command_length] = self._command[: self._command_length]
            self._command = larger
