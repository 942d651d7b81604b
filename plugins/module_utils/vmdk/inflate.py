# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decompress one grain, never to more than a grain's size."""

from __future__ import annotations

import zlib
from typing import Any

from .header import damaged
from .stream import Grain

_engine: Any = zlib
try:
    # Intel's ISA-L takes two thirds of zlib's time.
    from isal import isal_zlib

    _engine = isal_zlib
except ImportError:
    pass

# libdeflate takes the whole grain in one call, into a buffer of the grain's size: half of ISA-L's
# time. It does not say what is wrong with a grain; the other does then.
_at_once: Any = None
try:
    import deflate

    _at_once = deflate.zlib_decompress
except ImportError:
    pass


def inflate(grain: Grain, grain_bytes: int, needed: int) -> bytes | bytearray:
    """Return the data of a grain.

    Args:
        grain: The grain, compressed; zlib's own Adler-32 guards its data.
        grain_bytes: The size of a grain, in bytes.
        needed: How much of it lies on the disk, in bytes: all but for a last grain that reaches
            past the end, which some writers cut.

    Raises:
        VmdkError: The data is damaged, or is more or less than that.
    """
    if _at_once is not None:
        try:
            whole: bytearray = _at_once(grain.data, grain_bytes)
        except deflate.DeflateError:
            pass
        else:
            if len(whole) == needed:
                return whole
    return _explained(grain, grain_bytes, needed)


def _explained(grain: Grain, grain_bytes: int, needed: int) -> bytes:
    stream = _engine.decompressobj()
    try:
        # One byte more than may come: a stream that would yield more is found out cheaply.
        data = stream.decompress(grain.data, grain_bytes + 1)
    except _engine.error as error:
        raise damaged(f"a grain can't be decompressed ({error})", grain.offset) from error
    if not (needed <= len(data) <= grain_bytes and stream.eof):
        raise damaged(f"a grain doesn't hold {grain_bytes} bytes", grain.offset)
    return bytes(data[:needed])
