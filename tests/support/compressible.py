# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make large disks of data that compresses about 2:1, quickly and always the same.

Real disks hold text, programs and data that is compressed already. Here each
64 KiB grain mixes lines of words with bytes of a random generator, so that a
reader's inflate meets literals and matches both. A pool of a few thousand
different grains is made (and compressed) once and dealt out over the disk, so
a disk of many GB costs little more than writing it; a grain comes back only
256 MiB later on average, beyond what any compressor sees.
"""

from __future__ import annotations

import argparse
import os
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ansible_collections.hypersdk.hyper2kvm.tests.support.stream_optimized import (
    GRAIN,
    StreamOptimizedWriter,
    deflate_grain,
)

POOL_GRAINS = 4096

# A grain is a row of such blocks, each random to RANDOM_SHARE of its length
# and text behind: what makes the whole compress 2:1 (see the unit test).
BLOCK = 4096
RANDOM_SHARE = 0.30

_FORMATS = ("vmdk", "raw")
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def grain(seed: int, number: int) -> bytes:
    """Return the 65,536 bytes of one grain of the pool."""
    generator = random.Random(f"{seed} {number}")
    random_bytes = int(BLOCK * RANDOM_SHARE)
    words = [generator.randbytes(generator.randrange(2, 6)).hex() for _word in range(64)]
    lines = " ".join(generator.choices(words, k=GRAIN // 8)).encode()
    text_bytes = BLOCK - random_bytes
    return b"".join(
        generator.randbytes(random_bytes) + lines[n * text_bytes : (n + 1) * text_bytes]
        for n in range(GRAIN // BLOCK)
    )


def deal(seed: int, grains: int) -> Iterator[int]:
    """Yield, for each grain of the disk, which one of the pool is there."""
    generator = random.Random(seed)
    for _place in range(grains):
        yield generator.randrange(POOL_GRAINS)


def write(target: Path, size: int, *, seed: int = 1, form: str = "vmdk", threads: int = 2) -> None:
    """Write a disk full of such data.

    Args:
        target: The file to write; it must not exist.
        size: The disk's capacity in bytes, a multiple of 65,536.
        seed: Another seed gives other data.
        form: "vmdk" (stream-optimized, in ESXi's form) or "raw": the same disk.
        threads: Threads that compress the pool.
    """
    if size <= 0 or size % GRAIN:
        raise ValueError(f"A size of {size} bytes is no whole number of {GRAIN}-byte grains.")
    if form not in _FORMATS:
        raise ValueError(f"Unknown form {form!r}; known are {', '.join(_FORMATS)}.")
    numbers = range(min(POOL_GRAINS, size // GRAIN))
    plain = [grain(seed, number) for number in numbers]
    order = (number % len(numbers) for number in deal(seed, size // GRAIN))
    if form == "raw":
        with target.open("xb", buffering=1 << 20) as raw:
            for number in order:
                raw.write(plain[number])
        return
    with ThreadPoolExecutor(threads) as executor:
        pool = list(executor.map(deflate_grain, plain))
    del plain
    with StreamOptimizedWriter(target, size) as writer:
        for place, number in enumerate(order):
            writer.add(place, pool[number])


def parse_size(text: str) -> int:
    """Return the bytes that a size such as 512M or 4G names."""
    unit = _UNITS.get(text[-1:].upper(), 0)
    return int(text[:-1]) * unit if unit else int(text)


def main() -> None:
    parser = argparse.ArgumentParser(description="Write a disk of data that compresses 2:1.")
    parser.add_argument("target", type=Path)
    parser.add_argument("--size", type=parse_size, required=True, help="capacity, such as 4G")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--form", choices=_FORMATS, default="vmdk")
    arguments = parser.parse_args()
    write(
        arguments.target,
        arguments.size,
        seed=arguments.seed,
        form=arguments.form,
        threads=os.cpu_count() or 2,
    )


if __name__ == "__main__":
    main()
