# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""libvirt, as far as domains are defined and taken away: thin calls, its errors as ours."""

from __future__ import annotations

import shutil
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .definition import MARK_NAMESPACE, MARK_PREFIX, Mark, digest_of, mark_of, parsed
from .errors import DomainError

LIBVIRT_ERROR: str | None = None
try:
    import libvirt
except ImportError:
    LIBVIRT_ERROR = traceback.format_exc()

# Pools that are directories: a file put there is a volume.
_DIRECTORY_POOLS = ("dir", "fs", "netfs")


@dataclass(frozen=True)
class Pool:
    """A storage pool that is a directory; free space in bytes."""

    name: str
    directory: Path
    available: int


@dataclass(frozen=True)
class Defined:
    """A domain that libvirt knows.

    Attributes:
        name: Its name.
        uuid: Its UUID.
        active: Whether it runs.
        xml: What it will be at its next start.
        mark: What it says of itself, None when it is not ours.
    """

    name: str
    uuid: str
    active: bool
    xml: str
    mark: Mark | None

    @property
    def edited(self) -> bool:
        """Whether somebody has changed the definition since we made it."""
        return self.mark is not None and self.mark.definition not in ("", digest_of(self.xml))


class Hypervisor:
    """A connection to libvirt; a context manager."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._connection: Any = None

    def __enter__(self) -> Hypervisor:
        # libvirt prints every error on stderr otherwise, also those that are expected.
        libvirt.registerErrorHandler(lambda _context, _error: None, None)
        with _translated(f"No connection to libvirt at {self.uri}"):
            self._connection = libvirt.open(self.uri)
        return self

    def __exit__(self, *_exc: object) -> None:
        self._connection.close()

    @property
    def is_local(self) -> bool:
        """Whether its files are this host's."""
        parts = urlsplit(self.uri)
        _driver, _plus, transport = parts.scheme.partition("+")
        return not parts.netloc and transport in ("", "unix")

    def domain(self, name: str) -> Defined | None:
        """Return the domain of this name."""
        return self._found("lookupByName", name)

    def domain_of(self, uuid: str) -> Defined | None:
        """Return the domain of this UUID."""
        return self._found("lookupByUUIDString", uuid)

    def network_is_active(self, name: str) -> bool | None:
        """Return whether a network is active, None when libvirt knows none of this name."""
        for network in self._connection.listAllNetworks():
            if network.name() == name:
                return bool(network.isActive())
        return None

    def qemu_user(self) -> int | None:
        """Return the id of the user that QEMU runs as, None where libvirt does not say."""
        root = parsed(self._connection.getCapabilities())
        for model in root.findall("host/secmodel"):
            label = model.findtext("baselabel") or ""
            if model.findtext("model") == "dac" and label.startswith("+"):
                return int(label.partition(":")[0])
        return None

    def pool(self, name: str) -> Pool:
        """Return a pool that is a directory and active.

        Raises:
            DomainError: There is none, or it is of another kind.
        """
        with _translated(f"libvirt has no storage pool {name}"):
            pool = self._connection.storagePoolLookupByName(name)
        if not pool.isActive():
            raise DomainError(
                f"The storage pool {name} is not active.",
                action=f"Start it: virsh pool-start {name}.",
            )
        root = parsed(pool.XMLDesc())
        kind = root.get("type", "")
        directory = root.findtext("target/path")
        if kind not in _DIRECTORY_POOLS or not directory:
            raise DomainError(
                f"The storage pool {name} is of type {kind}; disks are placed in pools of type"
                f" {', '.join(_DIRECTORY_POOLS)}.",
                action="Name such a pool, or import the disks of out/ with virsh vol-upload.",
            )
        # What libvirt says is free was so when the pool was last refreshed.
        return Pool(name, Path(directory), shutil.disk_usage(directory).free)

    def refresh(self, pool_name: str) -> None:
        """Let libvirt see what lies in a pool now."""
        with _translated(f"The storage pool {pool_name} can't be refreshed"):
            self._connection.storagePoolLookupByName(pool_name).refresh()

    def define(self, xml: str, mark: Mark) -> Defined:
        """Define a domain, or redefine the one of that name and UUID, and sign it."""
        with _translated("libvirt does not take the domain"):
            # Against libvirt's own schema as well, or it ignores what it does not know.
            domain = self._connection.defineXMLFlags(xml, libvirt.VIR_DOMAIN_DEFINE_VALIDATE)
            found = self._seen(domain)
            signed = Mark(mark.directory, mark.request, digest_of(found.xml))
            domain.setMetadata(
                libvirt.VIR_DOMAIN_METADATA_ELEMENT,
                signed.xml(),
                MARK_PREFIX,
                MARK_NAMESPACE,
                libvirt.VIR_DOMAIN_AFFECT_CONFIG,
            )
            return self._seen(domain)

    def undefine(self, found: Defined) -> None:
        """Stop a domain and forget it, with its NVRAM, TPM, managed save and snapshots' metadata."""
        with _translated(f"The domain {found.name} can't be taken away"):
            domain = self._connection.lookupByUUIDString(found.uuid)
            if domain.isActive():
                domain.destroy()
            if domain.isPersistent():
                domain.undefineFlags(
                    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
                    | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
                    | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
                    | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
                    # libvirt 8.9 and newer.
                    | getattr(libvirt, "VIR_DOMAIN_UNDEFINE_TPM", 0)
                )

    def _found(self, method: str, key: str) -> Defined | None:
        try:
            domain = getattr(self._connection, method)(key)
        except libvirt.libvirtError as error:
            if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
                return None
            raise DomainError(
                f"libvirt can't look for the domain {key}: {_said(error)}."
            ) from error
        return self._seen(domain)

    @staticmethod
    def _seen(domain: Any) -> Defined:
        flags = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE
        xml = domain.XMLDesc(flags)
        return Defined(
            name=domain.name(),
            uuid=domain.UUIDString(),
            active=bool(domain.isActive()),
            xml=xml,
            mark=mark_of(xml),
        )


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except libvirt.libvirtError as error:
        raise DomainError(f"{what}: {_said(error)}.") from error


def _said(error: Any) -> str:
    return str(error.get_error_message() or error).strip().rstrip(".")
