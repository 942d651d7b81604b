# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files on a guest's data disk: known, of every awkward kind, with their digests."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from pathlib import Path

MIB = 1 << 20


def _random(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def _lines(size: int) -> bytes:
    return b"".join(b"%012d INSERT INTO orders VALUES (%d)\n" % (n, n * 7) for n in range(size))


_FILES: dict[str, Callable[[], bytes]] = {
    "README": lambda: b"Known files: their digests are in guest.json.\n",
    "empty": lambda: b"",
    "database/orders.sql": lambda: _lines(200_000),
    "database/blobs.bin": lambda: _random(24 * MIB + 1),
    "database/zeros.bin": lambda: bytes(8 * MIB),
    "a/deep/path/of/many/directories/leaf.txt": lambda: b"leaf\n",
    "Ümläute und Leerzeichen/größe.txt": "naïve façade\n".encode,
    ".hidden": lambda: _random(4097),
}


def write_known_files(tree: Path) -> dict[str, str]:
    """Fill a tree with the known files.

    Returns:
        The SHA-256 digest of each, by its path below the tree.
    """
    digests = {}
    for name, content in _FILES.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = content()
        path.write_bytes(data)
        digests[name] = hashlib.sha256(data).hexdigest()
    (tree / "link-to-orders").symlink_to("database/orders.sql")
    return digests
