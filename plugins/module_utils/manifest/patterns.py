# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The patterns of the Artifact Manifest's strings, each with its words.

A pattern ends in $(?!\\n): JSON Schema's dialect of regular expressions
ends a string at $, Python's also before a last newline, and a disk id that
ends in a newline names a file that nobody can type.
"""

from __future__ import annotations

END = r"$(?!\n)"

DISK_ID = rf"^[a-zA-Z0-9_-]+{END}"
CHECKSUM = rf"^sha256:[a-f0-9]{{64}}{END}"
ABSOLUTE_PATH = rf"^/[^\x00]*{END}"
TIMESTAMP = (
    r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"T([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?"
    rf"(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9]){END}"
)
MAC = rf"^([0-9A-Fa-f]{{2}}(:[0-9A-Fa-f]{{2}}){{5}}|[0-9A-Fa-f]{{2}}(-[0-9A-Fa-f]{{2}}){{5}}){END}"
PROVIDER = rf"^[a-z][a-z0-9_-]*{END}"
FILE_NAME = rf"^[^/\x00\n]+{END}"
USER_NAME = rf"^[a-z_][a-z0-9_-]*{END}"
PASSWORD_HASH = rf"^[A-Za-z0-9./$=,*!_-]+{END}"
SUDO = rf"^[^=\n]+=[^\n]+{END}"
SINGLE_LINE = rf"^[^\n\r\x00]+{END}"
SERVICE = rf"^(?!.*\.(socket|timer|target|mount|automount|path|slice|swap|device|scope){END})[A-Za-z0-9:_.\\-]+{END}"
HOST_NAME = rf"^[A-Za-z0-9]([A-Za-z0-9-]{{0,61}}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{{0,61}}[A-Za-z0-9])?)*{END}"
HOSTS_KEY = rf"^(#|[0-9A-Fa-f:.]+(%[A-Za-z0-9_.-]+)?){END}"
PROFILE_NAME = rf"^[A-Za-z0-9][A-Za-z0-9_.-]*{END}"

#: What a string must be, in words, for the messages of findings.
WORDS = {
    DISK_ID: "letters, digits, '_' and '-' only",
    CHECKSUM: "'sha256:' followed by 64 lowercase hexadecimal digits",
    ABSOLUTE_PATH: "an absolute path, because hyper2kvm takes a relative one from its own working directory",
    TIMESTAMP: "a time as RFC 3339 writes it, such as 2026-01-21T20:00:00Z",
    MAC: "a MAC address such as 00:50:56:ab:cd:ef",
    PROVIDER: "a provider's name in lowercase, such as vsphere, aws, azure, gcp, hyperv or local",
    FILE_NAME: "a plain file name without a slash",
    USER_NAME: "a user's name of lowercase letters, digits, '_' and '-'",
    PASSWORD_HASH: "a crypt(5) hash such as openssl passwd -6 prints, without quotes or spaces",
    SUDO: "what follows the user's name in sudoers(5), such as ALL=(ALL) NOPASSWD:ALL",
    SINGLE_LINE: "one line that is not empty",
    SERVICE: (
        "the name of a service unit that is a file of its own:"
        " hyper2kvm 0.2.1 knows neither other kinds of units nor instances of a template"
    ),
    HOST_NAME: "a host name",
    HOSTS_KEY: "an IP address",
    PROFILE_NAME: "a profile's name: letters, digits, '_', '.' and '-'",
}
