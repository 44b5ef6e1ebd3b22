"""TLS for a server: the handshake has a deadline, and a cut does not pass for an end."""

from __future__ import annotations

import trio


class Encrypted(trio.abc.Stream):
    """A ``trio.SSLStream`` with a deadline for the handshake, and without silent cuts.

    A client that has not shaken hands after ``patience`` seconds raises
    ``trio.BrokenResourceError``. So does input that ends without ``close_notify``
    (RFC 8446 6.1), whatever the stream makes of that. Contexts of Python 3.11.2 set
    the option ``OP_IGNORE_UNEXPECTED_EOF``, which takes such an end for a clean one,
    and it is too late to change the option of a stream that exists. But TLS reads
    from its carrier only as long as it has not seen ``close_notify``: when the
    carrier's input has ended, the client has not signed its end.
    """

    def __init__(self, stream: trio.SSLStream[trio.abc.Stream], patience: float) -> None:
        self.carried_by: trio.abc.Stream = stream.transport_stream
        self._carrier = stream.transport_stream = _Carrier(stream.transport_stream)
        self._stream = stream
        self._patience = patience
        self._is_known = False

    @property
    def is_shaking_hands(self) -> bool:
        """Return whether the client has begun a handshake that is not done yet."""
        return self._carrier.has_begun and not self._is_known

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Receive the next bytes, or none at an end that the client has signed."""
        await self._shake_hands()
        data = await self._stream.receive_some(max_bytes)
        if not data and self._carrier.has_ended:
            raise trio.BrokenResourceError("the connection was cut off")
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes, to a client that has shaken hands."""
        await self._shake_hands()
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until the client has room, as far as the carrier can tell."""
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """Sign our own end, if there is a client to be told, and close."""
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
    """A stream as it is, which remembers whether its input has begun, and has ended."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.has_begun = False
        self.has_ended = False
        self._stream = stream

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        data = await self._stream.receive_some(max_bytes)
        self.has_begun = True
        self.has_ended = not data
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._stream.aclose()
