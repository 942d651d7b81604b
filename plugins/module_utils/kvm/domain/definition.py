# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The domain's XML: made by virt-install, which knows the devices that suit a guest, then marked as ours.

virt-install gets a placeholder for each disk. With the images' own paths it
would define and start a storage pool for their directory, even when it is only
asked to print (virtinst/diskbackend.py, manage_path; 4.1 and 5.0). It gets one for
the name as well: it takes no name with a space (virtinst/xmlbuilder.py,
validate_generic_name), which vSphere and libvirt do.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from ...sandbox.confinement import BASE_ENVIRONMENT, NONE
from ...sandbox.run import Completed, run
from ..machine import Disk
from .errors import DomainError
from .networks import Nic
from .osinfo import osinfo_name
from .request import Request

#: The namespace of our mark in a domain's <metadata>; libvirt keeps one element of each.
MARK_NAMESPACE = "https://github.com/hypersdk/ansible-hyper2kvm/domain/1.0"
MARK_PREFIX = "hyper2kvm"

_PLACEHOLDER = "/dev/null"
_TIMEOUT = 120.0
_ERROR_LINES = 6
_INSTALL = "Install the package virtinst (Debian, Ubuntu) or virt-install (RHEL, Fedora)."


@dataclass(frozen=True)
class Mark:
    """What a domain of ours says of itself.

    Attributes:
        directory: The VM's directory.
        request: The request's fingerprint.
        definition: Digest of the definition as libvirt wrote it down, to see whether
            somebody has edited it since; empty until that is known.
    """

    directory: str
    request: str
    definition: str = ""

    def element(self) -> ElementTree.Element:
        """Return it as XML."""
        element = ElementTree.Element(f"{{{MARK_NAMESPACE}}}domain")
        for name, value in (
            ("directory", self.directory),
            ("request", self.request),
            ("definition", self.definition),
        ):
            ElementTree.SubElement(element, f"{{{MARK_NAMESPACE}}}{name}").text = value
        return element

    def xml(self) -> str:
        """Return it as text, for libvirt's metadata, which adds the namespace itself."""
        element = self.element()
        for part in element.iter():
            part.tag = part.tag.rpartition("}")[2]
        return ElementTree.tostring(element, encoding="unicode")


def parsed(xml: str) -> ElementTree.Element:
    """Return the root of what libvirt or virt-install wrote, which is trusted as they are."""
    return ElementTree.fromstring(xml)  # noqa: S314


def mark_of(domain_xml: str) -> Mark | None:
    """Return the mark in a domain's XML, or None when the domain is not ours."""
    root = parsed(domain_xml)
    element = root.find(f"metadata/{{{MARK_NAMESPACE}}}domain")
    if element is None:
        return None
    texts = {part.tag.rpartition("}")[2]: part.text or "" for part in element}
    return Mark(texts.get("directory", ""), texts.get("request", ""), texts.get("definition", ""))


def digest_of(domain_xml: str) -> str:
    """Return a digest of a domain's inactive XML without our mark."""
    root = parsed(domain_xml)
    metadata = root.find("metadata")
    if metadata is not None:
        for element in metadata.findall(f"{{{MARK_NAMESPACE}}}domain"):
            metadata.remove(element)
    text = ElementTree.tostring(root, encoding="unicode")
    canonical = ElementTree.canonicalize(text, strip_text=True, rewrite_prefixes=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def definition(
    request: Request, disks: Sequence[Disk], boot_index: int, *, uri: str, kvm: bool
) -> str:
    """Return the domain's XML.

    Args:
        request: What is asked for.
        disks: The disks where the domain will find them, in the order of attachment.
        boot_index: Which of them it boots from.
        uri: libvirt's, whose capabilities decide on the machine type.
        kvm: Whether KVM works.

    Raises:
        DomainError: virt-install is missing, or refused.
    """
    osinfo = request.osinfo or osinfo_name(request.guest_id, _known_systems())
    argv = virt_install_arguments(
        request, disks, boot_index, uri=uri, virt_type=_virt_type(request, kvm), osinfo=osinfo
    )
    root = parsed(_printed(argv))
    name = root.find("name")
    if name is None:
        raise DomainError("virt-install printed a domain without a name.")
    name.text = request.name
    for element, disk in zip(root.findall("devices/disk"), disks):
        source = element.find("source")
        if source is None:
            raise DomainError("virt-install printed a disk without a source.")
        source.set("file", str(disk.path))
    _keep_bios(root, request)
    metadata = root.find("metadata")
    if metadata is None:
        metadata = ElementTree.SubElement(root, "metadata")
    metadata.append(Mark(str(request.directory), request.fingerprint()).element())
    ElementTree.register_namespace(MARK_PREFIX, MARK_NAMESPACE)
    ElementTree.register_namespace("libosinfo", "http://libosinfo.org/xmlns/libvirt/domain/1.0")
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def virt_install_arguments(
    request: Request,
    disks: Sequence[Disk],
    boot_index: int,
    *,
    uri: str,
    virt_type: str,
    osinfo: str,
) -> list[str]:
    """Return virt-install's argument vector, which prints the XML and does nothing else."""
    argv = ["virt-install", "--connect", uri, "--import", "--print-xml", "1", "--dry-run"]
    argv += ["--noautoconsole", "--check", "all=off", "--virt-type", virt_type]
    argv += ["--name", request.uuid, "--osinfo", osinfo]
    argv += ["--metadata", f"uuid={request.uuid},title={_quoted(_title(request))}"]
    argv += ["--memory", str(request.memory_mb), "--vcpus", _cpus(request)]
    if request.cpu_model:
        argv += ["--cpu", request.cpu_model]
    argv += _boot(request)
    # Without a word virt-install gives a TPM to every UEFI machine.
    tpm = "model=tpm-crb,backend.type=emulator,backend.version=2.0" if request.tpm else "none"
    argv += ["--tpm", tpm]
    for index, disk in enumerate(disks):
        argv += ["--disk", _disk(disk, request.disk_bus, index == boot_index)]
    for nic in request.nics:
        argv += ["--network", _network(nic)]
    if not request.nics:
        argv += ["--network", "none"]
    # The console of the machine, on the host's loopback only.
    argv += ["--graphics", "vnc,listen=127.0.0.1"]
    return argv


def _cpus(request: Request) -> str:
    """Return the CPUs as cores of one socket, unless the user's CPU says how they are arranged.

    Without a word each is a socket, and Windows for clients uses no more than two of these.
    """
    if re.search(r"(?:sockets|cores|threads|dies)=", request.cpu_model):
        return str(request.cpus)
    return f"{request.cpus},sockets=1,cores={request.cpus},threads=1"


def _boot(request: Request) -> list[str]:
    if request.firmware != "uefi":
        return []
    switch = "yes" if request.secure_boot else "no"
    features = ("secure-boot", "enrolled-keys")
    parts = ["firmware=efi"]
    for index, feature in enumerate(features):
        parts += [
            f"firmware.feature{index}.name={feature}",
            f"firmware.feature{index}.enabled={switch}",
        ]
    if request.secure_boot:
        parts.append("loader_secure=yes")
    return ["--boot", ",".join(parts)] + (
        ["--features", "smm.state=on"] if request.secure_boot else []
    )


def _keep_bios(root: ElementTree.Element, request: Request) -> None:
    """Take away the UEFI that virt-install gives to systems which prefer it: this disk boots from a BIOS."""
    element = root.find("os")
    if request.firmware == "bios" and element is not None and "firmware" in element.attrib:
        del element.attrib["firmware"]
        for part in element.findall("firmware") + element.findall("loader"):
            element.remove(part)


def _disk(disk: Disk, bus: str, boots: bool) -> str:
    parts = [f"source.file={_PLACEHOLDER}", "type=file", "device=disk", "driver.name=qemu"]
    parts += [f"driver.type={disk.format}", f"target.bus={bus}", "driver.discard=unmap"]
    if boots:
        parts.append("boot.order=1")
    return ",".join(parts)


def _network(nic: Nic) -> str:
    attachment = nic.attachment
    parts = [
        "user" if attachment.kind == "user" else f"{attachment.kind}={_quoted(attachment.name)}"
    ]
    parts += [f"mac.address={nic.mac}", "model.type=virtio"]
    if attachment.link == "down":
        parts.append("link.state=down")
    return ",".join(parts)


def _title(request: Request) -> str:
    return f"{request.name}, migrated from {request.source}" if request.source else request.name


def _quoted(value: str) -> str:
    """Return a value for virt-install's lists, which are split as POSIX shells split words."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _virt_type(request: Request, kvm: bool) -> str:
    return request.virt_type or ("kvm" if kvm else "qemu")


def _known_systems() -> frozenset[str]:
    """Return all names that libosinfo's database here has for operating systems."""
    listed = _printed(["virt-install", "--osinfo", "list"])
    return frozenset(listed.replace(",", " ").split())


def _printed(argv: Sequence[str]) -> str:
    if shutil.which(argv[0], path=BASE_ENVIRONMENT["PATH"]) is None:
        raise DomainError(f"The program {argv[0]} is not installed.", action=_INSTALL)
    with tempfile.TemporaryDirectory(prefix="hyper2kvm-") as scratch:
        completed = run(
            argv, environment=_environment(Path(scratch)), timeout=_TIMEOUT, isolation=NONE
        )
    if not completed.ok:
        raise DomainError(f"{argv[0]} failed: {_said(completed)}.")
    return completed.stdout.decode("utf-8", errors="replace")


def _environment(scratch: Path) -> Mapping[str, str]:
    # The home is for the keys of a qemu+ssh URI; virt-install's log goes with the scratch.
    return {"HOME": os.path.expanduser("~"), "XDG_CACHE_HOME": str(scratch)}


def _said(completed: Completed) -> str:
    if completed.timed_out:
        return f"it did not answer within {_TIMEOUT:.0f} s"
    lines = [line.strip() for line in completed.tail[-_ERROR_LINES:] if line.strip()]
    return "; ".join(lines).rstrip(".") or f"exit status {completed.returncode}"
