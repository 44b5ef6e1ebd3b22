"""Runs response bodies: one ``match`` turns the description of a body into bytes."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import TypeAlias, assert_never

import trio

from trio_http.semantics.bodies import Body, Chain, Encoded, FileSlice, Pulse, Send, Stream
from trio_http.semantics.content_coding import ENCODERS, QUICK
from trio_http.transport.page_cache import PIECE, send_pieces

PassOn: TypeAlias = Callable[[bytes | FileSlice], Awaitable[None]]
"""Sends a piece unchanged: bytes, or a part of a file that the kernel can send."""

# After this number of stream pieces or chain parts, other tasks get a turn even if the client
# has room for more.
_PIECES = 16


async def run(body: Body, pass_on: PassOn) -> None:
    """Pass on the bytes of a body in order; return when the last piece has been taken."""
    match body:
        case bytes() | FileSlice():
            await pass_on(body)
        case Stream():
            if body.pulse is None:
                await body.produce(fair(pass_on))
            else:
                await _run_with_pulse(body, body.pulse, pass_on)
        case Chain():
            for number, part in enumerate(body.parts, 1):
                await run(part, pass_on)
                if number % _PIECES == 0:
                    await trio.lowlevel.checkpoint()
        case Encoded():
            await _run_encoded(body, pass_on)
        case _:
            assert_never(body)


def fair(pass_on: PassOn) -> Send:
    """Return a ``send`` that gives other tasks a turn even if the client always has room.

    Only one task may send at a time, as with Trio's streams: the bytes of two would be mixed,
    so the second gets ``trio.BusyResourceError``.
    """
    busy = False
    pieces = 0

    async def send(data: bytes) -> None:
        nonlocal busy, pieces
        if busy:
            raise trio.BusyResourceError("another task is sending a piece of this body")
        busy = True
        try:
            await pass_on(data)
        finally:
            busy = False
        # Not after each piece: a checkpoint takes as long as sending a short piece.
        pieces += 1
        if pieces % _PIECES == 0:
            await trio.lowlevel.checkpoint()

    return send


async def _run_with_pulse(stream: Stream, pulse: Pulse, pass_on: PassOn) -> None:
    """Run a stream, and send its pulse after each silence of ``pulse.seconds``."""
    sending = trio.Lock()
    silent_since = trio.current_time()

    async def send(data: bytes) -> None:
        async with sending:
            # If this waited for a beat that failed, sending would fail too.
            await trio.lowlevel.checkpoint_if_cancelled()
            await send_now(data)

    async def send_now(data: bytes) -> None:
        nonlocal silent_since
        silent_since = math.inf  # stays so if sending fails, so that no beat follows
        await pass_on(data)
        silent_since = trio.current_time()

    async def beat() -> None:
        while True:
            async with sending:
                if trio.current_time() >= silent_since + pulse.seconds:
                    await send_now(pulse.data)
                due = silent_since + pulse.seconds
            await trio.sleep_until(due)

    failed = None
    try:
        # The producer waits for events of its own. Only a second task can send something in
        # the meantime and so notice that the client has left.
        async with trio.open_nursery() as nursery:
            nursery.start_soon(beat)
            await stream.produce(send)
            async with sending:  # never cancel a beat in the middle
                nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        failed = group
    if failed is not None:
        # The nursery is an implementation detail, so a single error is raised without its
        # group. It is raised outside of ``except``, which would add the group as its context.
        raise failed.exceptions[0] if len(failed.exceptions) == 1 else failed


async def _run_encoded(encoded: Encoded, pass_on: PassOn) -> None:
    """Run the inner body and pass on the encoded bytes.

    Each piece of a stream can be decoded on arrival: an event that waited in the encoder for
    the next one would be late.
    """
    encoder = ENCODERS[encoded.coding]()
    live = _is_live(encoded.body)

    def encode(data: bytes) -> bytes:
        coded = encoder.encode(data)
        return coded + encoder.flush() if live else coded

    async def encode_piece(data: bytes) -> None:
        if len(data) <= QUICK[encoded.coding]:
            coded = encode(data)
        else:
            coded = await trio.to_thread.run_sync(encode, data)
        await pass_on(coded)

    async def encode_all(piece: bytes | FileSlice) -> None:
        if isinstance(piece, FileSlice):
            await send_pieces(piece, encode_piece)
        else:
            for start in range(0, len(piece), PIECE):
                if start:  # other tasks get a turn between pieces that are encoded in this task
                    await trio.lowlevel.checkpoint()
                await encode_piece(piece[start : start + PIECE])

    await run(encoded.body, encode_all)
    await pass_on(encoder.finish())


def _is_live(body: Body) -> bool:
    """Return whether any part of the body is produced while it is sent."""
    match body:
        case Stream():
            return True
        case Chain():
            return any(map(_is_live, body.parts))
        case Encoded():
            return _is_live(body.body)
        case _:
            return False
