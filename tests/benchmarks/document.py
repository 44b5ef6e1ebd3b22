"""JSON like that of real services: 128 KiB, the same each time."""

from __future__ import annotations

import json
import random

SIZE = 128 * 1024

WORDS = """
amber basin cedar delta ember fable grove harbor island juniper kettle lantern
meadow nectar orchard pebble quartz river saffron timber umber valley willow yarrow zephyr
""".split()  # noqa: SIM905 - a list literal is three times as long


def text() -> bytes:
    """Return records of names, numbers and times, padded with spaces to the exact size."""
    chance = random.Random(128)  # noqa: S311 - not a secret
    records: list[str] = []
    length = 2
    while True:
        record = json.dumps(_record(chance, len(records)), separators=(",", ":"))
        if length + len(record) + 1 > SIZE:
            return f"[{','.join(records)}]".encode().ljust(SIZE)
        records.append(record)
        length += len(record) + 1


def _record(chance: random.Random, number: int) -> dict[str, object]:
    name = " ".join(chance.choices(WORDS, k=2))
    return {
        "id": number,
        "name": name,
        "email": f"{name.replace(' ', '.')}@example.org",
        "balance": round(chance.uniform(-1000, 1000), 2),
        "active": chance.random() < 0.5,
        "created": f"2026-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}T12:00:00Z",
        "tags": chance.sample(WORDS, k=3),
    }
