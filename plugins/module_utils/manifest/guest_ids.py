# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What kind of operating system an identifier of a hypervisor means."""

from __future__ import annotations

import re

LINUX = "linux"
WINDOWS = "windows"
UNKNOWN = "unknown"

#: vim.vm.GuestOsDescriptor.GuestOsIdentifier of vSphere 9, without the trailing Guest and the _64, 64 before it.
_VSPHERE = {
    WINDOWS: """
        win31 win95 win98 winMe winNT win2000Pro win2000Serv win2000AdvServ winXPHome winXPPro winNetWeb
        winNetStandard winNetEnterprise winNetDatacenter winNetBusiness winLonghorn winVista windows7
        windows7Server windows8 windows8Server windows9 windows9Server windows11 windows12 windowsHyperV
        windows2019srv windows2019srvNext windows2022srvNext
    """,
    LINUX: """
        redhat rhel2 rhel3 rhel4 rhel5 rhel6 rhel7 rhel8 rhel9 rhel10 centos centos6 centos7 centos8 centos9
        oracleLinux oracleLinux6 oracleLinux7 oracleLinux8 oracleLinux9 oracleLinux10 suse sles sles10 sles11
        sles12 sles15 sles16 nld9 oes sjds mandrake mandriva turboLinux ubuntu debian4 debian5 debian6 debian7
        debian8 debian9 debian10 debian11 debian12 debian13 asianux3 asianux4 asianux5 asianux7 asianux8 asianux9
        miraclelinux pardus opensuse fedora coreos vmwarePhoton other24xLinux other26xLinux otherLinux
        other3xLinux other4xLinux other5xLinux other6xLinux other7xLinux genericLinux fusionos prolinux
        kylinlinux flatcar amazonlinux2 amazonlinux3 crxPod1 crxSys1 rockylinux almalinux
    """,
    UNKNOWN: """
        dos freebsd freebsd11 freebsd12 freebsd13 freebsd14 freebsd15 solaris6 solaris7 solaris8 solaris9
        solaris10 solaris11 os2 eComStation eComStation2 netware4 netware5 netware6 openServer5 openServer6
        unixWare7 darwin darwin10 darwin11 darwin12 darwin13 darwin14 darwin15 darwin16 darwin17 darwin18
        darwin19 darwin20 darwin21 darwin22 darwin23 vmkernel vmkernel5 vmkernel6 vmkernel65 vmkernel7
        vmkernel8 vmkernel9 other
    """,
}

#: Each identifier, reduced by _stem, with its kind.
VSPHERE_KINDS = {name: kind for kind, names in _VSPHERE.items() for name in names.split()}

#: The ids of CIM_OperatingSystem.OSType (DMTF) that OVF's OperatingSystemSection uses.
_CIM_WINDOWS = frozenset(
    {15, 16, 17, 18, 58, 63, 67, 69, 70, 71, 72, 73, 74, 76, 77, 103, 105, *range(111, 124)}
)
_CIM_LINUX = frozenset({36, *range(79, 102), 106, 107, 108, 109})

_LINUX_WORDS = re.compile(
    r"linux|ubuntu|debian|fedora|red ?hat|rhel|centos|suse|sles|oracle(?!.*solaris)|rocky|alma|gentoo|mandriva"
    r"|mageia|photon|coreos|flatcar|amazon|arch\b|xandros|turbolinux|asianux|kylin|openeuler",
    re.IGNORECASE,
)
_WINDOWS_WORDS = re.compile(r"windows|\bwin(?:2k|xp|nt|me|vista)?\d*\b", re.IGNORECASE)


def os_hint(guest_id: str) -> str:
    """Return linux, windows or unknown for a guest identifier of vSphere, such as rhel9_64Guest."""
    kind = VSPHERE_KINDS.get(_stem(guest_id))
    # An identifier of a newer vSphere than this list.
    return kind if kind is not None else hint_of_words(guest_id)


def hint_of_cim(identifier: int) -> str:
    """Return linux, windows or unknown for OVF's ovf:id of an operating system."""
    if identifier in _CIM_WINDOWS:
        return WINDOWS
    return LINUX if identifier in _CIM_LINUX else UNKNOWN


def hint_of_words(words: str) -> str:
    """Return linux, windows or unknown for an operating system's name, such as Ubuntu_64."""
    if _WINDOWS_WORDS.search(words.replace("_", " ")):
        return WINDOWS
    return LINUX if _LINUX_WORDS.search(words.replace("_", " ")) else UNKNOWN


def _stem(guest_id: str) -> str:
    """Return the identifier without its word size: otherGuest64, winXPPro64Guest and rhel9_64Guest."""
    return re.sub(r"(?:_?64)?(?:Guest)?(?:64)?$", "", guest_id)
