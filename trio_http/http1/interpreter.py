"""Runs bodies: the one ``match`` that turns what a body says into bytes that are sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias, assert_never

import trio

from trio_http.http1.stream import PIECE, send_pieces
from trio_http.semantics.bodies import Body, Chain, Encoded, FileSlice, Send, Stream
from trio_http.semantics.coding import ENCODERS

PassOn: TypeAlias = Callable[[bytes | FileSlice], Awaitable[None]]
"""Takes what can leave as it is: bytes, or a part of a file for the kernel to send."""

# Coding this much takes about as long as going to a worker thread and back;
# more would hold up the other connections.
AT_ONCE = 8 * 1024


async def run(body: Body, pass_on: PassOn) -> None:
    """Pass the bytes of a body on, in order; returns when the last has been taken."""
    match body:
        case bytes() | FileSlice():
            await pass_on(body)
        case Stream():
            await body.produce(fair(pass_on))
        case Chain():
            for part in body.parts:
                await run(part, pass_on)
        case Encoded():
            await run_encoded(body, pass_on)
        case _:
            assert_never(body)


def fair(pass_on: PassOn) -> Send:
    """``pass_on`` as a checkpoint: a client that always has room must not starve the others."""

    async def send(data: bytes) -> None:
        await pass_on(data)
        await trio.lowlevel.checkpoint()

    return send


async def run_encoded(encoded: Encoded, pass_on: PassOn) -> None:
    """Run the body inside and pass on what the encoder makes of it.

    What a stream sends in one piece can be decoded when it arrives: an event
    that waits in an encoder for the next one would come too late.
    """
    encoder = ENCODERS[encoded.coding]()
    live = isinstance(encoded.body, Stream)

    def encode(data: bytes) -> bytes:
        coded = encoder.encode(data)
        return coded + encoder.flush() if live else coded

    async def encode_piece(data: bytes) -> None:
        if len(data) <= AT_ONCE:
            coded = encode(data)
        else:
            coded = await trio.to_thread.run_sync(encode, data)
        await pass_on(coded)

    async def encode_all(piece: bytes | FileSlice) -> None:
        if isinstance(piece, FileSlice):
            await send_pieces(piece, encode_piece)
        else:
            for start in range(0, len(piece), PIECE):
                await encode_piece(piece[start : start + PIECE])

    await run(encoded.body, encode_all)
    await pass_on(encoder.finish())
