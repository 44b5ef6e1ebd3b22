"""Runs bodies: the one ``match`` that turns what a body says into bytes that are sent."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import TypeAlias, assert_never

import trio

from trio_http.semantics.bodies import Body, Chain, Encoded, FileSlice, Pulse, Send, Stream
from trio_http.semantics.content_coding import ENCODERS, QUICK
from trio_http.transport.page_cache import PIECE, send_pieces

PassOn: TypeAlias = Callable[[bytes | FileSlice], Awaitable[None]]
"""Takes what can leave as it is: bytes, or a part of a file for the kernel to send."""

# Pieces of a stream, or parts of a chain, after which other tasks have a turn, even
# where the client has room for more.
_PIECES = 16


async def run(body: Body, pass_on: PassOn) -> None:
    """Pass the bytes of a body on, in order; returns when the last has been taken."""
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
    """``pass_on`` as a checkpoint now and then: who always has room must not starve the others.

    It is for one task at a time, as Trio's streams are: two that send at once
    would mix their bytes, so the second gets ``trio.BusyResourceError``.
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
        # A turn of the scheduler takes as long as sending a short piece.
        pieces += 1
        if pieces % _PIECES == 0:
            await trio.lowlevel.checkpoint()

    return send


async def _run_with_pulse(stream: Stream, pulse: Pulse, pass_on: PassOn) -> None:
    """Run a stream, and send its pulse whenever it has been silent for long enough."""
    sending = trio.Lock()
    silent_since = trio.current_time()

    async def send(data: bytes) -> None:
        async with sending:
            # If it was a beat that we waited for, and it failed, so would this.
            await trio.lowlevel.checkpoint_if_cancelled()
            await send_now(data)

    async def send_now(data: bytes) -> None:
        nonlocal silent_since
        silent_since = math.inf  # which it stays if this fails: no beat after that
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
        # Whoever makes the stream waits for what happens in the world. Only
        # another task can meanwhile send something, and find out that the
        # client is gone.
        async with trio.open_nursery() as nursery:
            nursery.start_soon(beat)
            await stream.produce(send)
            async with sending:  # so not in the middle of a beat
                nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        failed = group
    if failed is not None:
        # That there was a nursery here is nobody's concern: a single error is
        # raised as what it is, and outside of ``except``, which would become
        # part of its story.
        raise failed.exceptions[0] if len(failed.exceptions) == 1 else failed


async def _run_encoded(encoded: Encoded, pass_on: PassOn) -> None:
    """Run the body inside and pass on what the encoder makes of it.

    What a stream sends in one piece can be decoded when it arrives: an event
    that waits in an encoder for the next one would come too late.
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
                if start:  # others have their turn between pieces that are coded here
                    await trio.lowlevel.checkpoint()
                await encode_piece(piece[start : start + PIECE])

    await run(encoded.body, encode_all)
    await pass_on(encoder.finish())


def _is_live(body: Body) -> bool:
    """Whether any part of it is made while it is sent."""
    match body:
        case Stream():
            return True
        case Chain():
            return any(map(_is_live, body.parts))
        case Encoded():
            return _is_live(body.body)
        case _:
            return False
