# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The .mf file of an OVF package: one digest a line (DSP0243, section 5.1)."""

from __future__ import annotations

from collections.abc import Mapping


def render_checksums(algorithm: str, digests: Mapping[str, str]) -> str:
    """Return the text of a .mf file, in the form that virt-v2v and ovftool read.

    Args:
        algorithm: By hashlib's name.
        digests: Hexadecimal digests by file name.
    """
    return "".join(f"{algorithm.upper()}({name})= {digest}\n" for name, digest in digests.items())
