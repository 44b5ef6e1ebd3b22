"""What has become of a change when its response is sent."""

from __future__ import annotations

from enum import Enum


class Durability(Enum):
    """The place of a changed file at the time of the response."""

    SYSTEM = "with the operating system: it survives the server, but not a failure of the machine"
    DISK = "on the disk, by ``fsync`` of the file and its directory: it survives a loss of power"
