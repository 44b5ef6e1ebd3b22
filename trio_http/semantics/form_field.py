"""A field of a form while it is being received."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from trio_http.semantics.incoming_body import READ_LIMIT, read_all, text_in

Pull: TypeAlias = Callable[[], Awaitable[bytes]]
"""Returns the next bytes of a value, or ``b""`` at its end."""


class FormField:
    """A field of a form, whose value is received in pieces: ``async for piece in field``.

    Read it before continuing to the next field, which skips the rest of this one.

    Attributes:
        name: the name of the field.
        filename: the name of the file, as sent by the client, or None if the field is not a
            file. It may be ``../../etc/passwd``: display it, but do not open it.
        media_type: the media type, as sent by the client, or None.
        charset: the charset of the value, as sent by the client, or None.
    """

    def __init__(
        self,
        name: str,
        filename: str | None,
        media_type: str | None,
        pull: Pull,
        charset: str | None = None,
    ) -> None:
        self.name: str = name
        self.filename: str | None = filename
        self.media_type: str | None = media_type
        self.charset: str | None = charset
        self._pull = pull

    def __aiter__(self) -> FormField:
        return self

    async def __anext__(self) -> bytes:
        piece = await self._pull()
        if not piece:
            raise StopAsyncIteration
        return piece

    async def read(self, limit: int = READ_LIMIT) -> bytes:
        """Return the whole value, or the rest of it if some has been read.

        Args:
            limit: maximum size in bytes; 1 MiB by default.

        Raises:
            HTTPError: 413 for a larger value, 400 for a malformed form.
        """
        return await read_all(self, limit)

    async def text(self, limit: int = READ_LIMIT) -> str:
        """Return the whole value as text, decoded in its charset or else UTF-8.

        Args:
            limit: maximum size in bytes; 1 MiB by default.

        Raises:
            HTTPError: 400 if the value is not valid in the charset, 415 if the charset is
                unknown, or as for ``read``.
        """
        return decoded_value(self, await self.read(limit))


def decoded_value(field: FormField, value: bytes) -> str:
    """Return a field's value as text; raise ``HTTPError`` for a wrong or unknown charset."""
    return text_in(value, field.charset or "utf-8", f"the field {field.name}")
