"""What has become of a change when its response is sent."""

from __future__ import annotations

from enum import Enum


class Durability(Enum):
    """Where a change of a file is when the client is told of it."""

    SYSTEM = "with the operating system: it survives the server, but not a failure of the machine"
    DISK = "on the disk, by ``fsync`` of the file and its directory: it survives a loss of power"
