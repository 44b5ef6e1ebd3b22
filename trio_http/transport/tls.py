"""TLS for a server: the handshake has a deadline, and truncation is an error."""

from __future__ import annotations

import math

import trio

from trio_http.transport.room import LOOKS, Room


class Encrypted(trio.abc.Stream):
    """A ``trio.SSLStream`` with a deadline for the handshake that detects truncation.

    A client that has not completed the handshake after ``patience`` seconds raises
    ``trio.BrokenResourceError``. So does input that ends without ``close_notify`` (RFC 8446
    6.1), even if the stream ignores that. Contexts of Python 3.11.2 set the option
    ``OP_IGNORE_UNEXPECTED_EOF``, which treats such an end as a clean one, and it is too late to
    change the option of an existing stream. But TLS stops reading from its carrier after
    ``close_notify``: if the carrier's input has ended, the client has not sent it.
    """

    def __init__(self, stream: trio.SSLStream[trio.abc.Stream], patience: float) -> None:
        self.carried_by: trio.abc.Stream = stream.transport_stream
        self._carrier = stream.transport_stream = _Carrier(stream.transport_stream)
        self._stream = stream
        self._patience = patience
        self._is_known = False

    @property
    def is_shaking_hands(self) -> bool:
        """Return whether the client has begun a handshake that is not complete yet."""
        return self._carrier.has_begun and not self._is_known

    def sees_progress(self, patience: float, rate: float) -> bool:
        """Return whether a client that does not read is noticed by the stream itself.

        It is if a socket carries the stream. From now on, sending then raises
        ``trio.BrokenResourceError`` if the client is ``patience`` seconds behind ``rate``.
        """
        if self._carrier.room is None and isinstance(self.carried_by, trio.SocketStream):
            self._carrier.room = Room(self.carried_by.socket, rate)
        self._carrier.patience = patience
        return self._carrier.room is not None

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Receive the next bytes, or none after the client's ``close_notify``."""
        await self._shake_hands()
        data = await self._stream.receive_some(max_bytes)
        if not data and self._carrier.has_ended:
            raise trio.BrokenResourceError("the connection was cut off")
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Complete the handshake, then send bytes."""
        await self._shake_hands()
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until the client has room, as far as the carrier can tell."""
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """Send ``close_notify``, if there is a client to receive it, and close."""
        await self._stream.aclose()

    async def _shake_hands(self) -> None:
        if self._is_known:
            return
        with trio.move_on_after(self._patience):
            await self._stream.do_handshake()
            self._is_known = True
            return
        raise trio.BrokenResourceError("the TLS handshake took too long")


class _Carrier(trio.abc.Stream):
    """Passes a stream through, and records whether its input has begun and ended.

    With ``room``, it sends to the socket itself, which alone shows how much of a piece has left.
    """

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.has_begun = False
        self.has_ended = False
        self.room: Room | None = None
        self.patience = math.inf
        self._stream = stream

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        data = await self._stream.receive_some(max_bytes)
        self.has_begun = True
        self.has_ended = not data
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        if self.room is None or not isinstance(self._stream, trio.SocketStream):
            return await self._stream.send_all(data)
        try:
            await self._send_to(self._stream.socket, self.room, memoryview(data))
        except trio.TooSlowError:
            raise trio.BrokenResourceError("the client has stopped reading") from None
        except OSError as error:
            raise trio.BrokenResourceError("the connection is broken") from error
        return None

    async def _send_to(
        self, connected: trio.socket.SocketType, room: Room, rest: memoryview
    ) -> None:
        while rest:
            sent = 0
            with trio.move_on_after(self.patience / LOOKS):
                sent = await connected.send(rest)
            if sent:
                room.take(sent)
                rest = rest[sent:]
            else:
                await room.wait_on(self.patience)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._stream.aclose()
