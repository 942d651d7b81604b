# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates for servers of the tests' own."""

from __future__ import annotations

import subprocess
from pathlib import Path


def self_signed(path: Path, name: str) -> Path:
    """Write a key and a certificate that is its own CA into one PEM file, and return its path.

    Args:
        path: The file.
        name: What it is for, as openssl's subjectAltName writes it: DNS:NAME or IP:ADDRESS.
    """
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=esxi"]
    names = ["-addext", f"subjectAltName={name}", "-keyout", str(path), "-out", "-"]
    made = subprocess.run([*request, *names], check=True, capture_output=True)
    with path.open("ab") as file:
        file.write(made.stdout)
    return path
