# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is compared: each contender exports the same VM from the same vCenter, its own way."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.hypersdk.hyper2kvm.tests.benchmark.leased_urls import leased_urls
from ansible_collections.hypersdk.hyper2kvm.tests.support import exporting, golang
from ansible_collections.hypersdk.hyper2kvm.tests.support.modules import COLLECTIONS_ROOT
from ansible_collections.hypersdk.hyper2kvm.tests.support.vcsim import Vcsim

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Place:
    """Where a run happens: the vCenter and an empty directory."""

    vcenter: Vcsim
    directory: Path


# Makes the command for one run; what it enters is not timed.
Prepare = Callable[[Place], AbstractContextManager[list[str]]]


@dataclass(frozen=True)
class Contender:
    """One way to do the work."""

    name: str
    prepare: Prepare


def curl(place: Place) -> AbstractContextManager[list[str]]:
    """The floor: the URLs of a lease, in parallel, to files, and nothing else."""
    return leased_urls(place.vcenter, place.directory)


def govc(place: Place) -> AbstractContextManager[list[str]]:
    """Make govc's command, SHA-256 included."""
    return nullcontext(_govc(place))


def govc_then_raw(place: Place) -> AbstractContextManager[list[str]]:
    """Make govc's export and then qemu-img's conversion to raw."""
    return nullcontext(
        [sys.executable, str(HERE / "export_then_raw.py"), str(place.directory), *_govc(place)]
    )


def community_vmware(place: Place) -> AbstractContextManager[list[str]]:
    """Make a playbook of community.vmware."""
    export = {
        **_account(place.vcenter),
        "validate_certs": False,
        "name": "small01",
        "export_dir": str(place.directory),
    }
    return nullcontext(_playbook(place, {"community.vmware.vmware_export_ovf": export}))


def ours(place: Place) -> AbstractContextManager[list[str]]:
    """Make a playbook of ours."""
    return nullcontext(_our_playbook(place))


def ours_with_copies(place: Place) -> AbstractContextManager[list[str]]:
    """Make a playbook of ours that writes raw images as well."""
    return nullcontext(_our_playbook(place, working_copies=True))


def our_transfer(place: Place) -> AbstractContextManager[list[str]]:
    """Our transfer alone: lease, files, SHA-256, OVF and .mf, in a process that is there already."""
    return leased_module(place)


def our_transfer_without_digest(place: Place) -> AbstractContextManager[list[str]]:
    """The same with a digest that computes nothing: what SHA-256 adds is the difference."""
    return leased_module(place, "--no-digest")


def leased_module(place: Place, *flags: str) -> AbstractContextManager[list[str]]:
    """Make the command that runs the module in a process of its own."""
    options = exporting.options(place.vcenter, place.directory / "out", check_space=False)
    arguments = place.directory / "arguments.json"
    arguments.write_text(json.dumps(options))
    return nullcontext([sys.executable, str(HERE / "module_alone.py"), str(arguments), *flags])


def openssl(place: Place) -> AbstractContextManager[list[str]]:
    """Make openssl read the files of an export, all at the same time."""
    return nullcontext([sys.executable, str(HERE / "digest_files.py"), *map(str, _exported(place))])


def our_verifying(place: Place) -> AbstractContextManager[list[str]]:
    """Make the command that reads an export again and compares its digests."""
    _exported(place)
    return nullcontext(
        [sys.executable, str(HERE / "verify_alone.py"), str(place.directory / "out")]
    )


def _exported(place: Place) -> list[Path]:
    """Export the VM and return its disks' files."""
    with our_transfer(place) as command:
        subprocess.run(command, check=True, capture_output=True)
    return sorted((place.directory / "out").glob("*.vmdk"))


def _govc(place: Place) -> list[str]:
    os.environ.update(
        GOVC_URL=f"https://{place.vcenter.hostname}:{place.vcenter.port}",
        GOVC_USERNAME=place.vcenter.username,
        GOVC_PASSWORD=place.vcenter.password,
        GOVC_TLS_CA_CERTS=place.vcenter.ca_path,
        GOVC_PERSIST_SESSION="false",
    )
    program = str(golang.programs() / "govc")
    return [program, "export.ovf", "-sha", "256", "-vm", "small01", str(place.directory)]


def _our_playbook(place: Place, **more: object) -> list[str]:
    options = exporting.options(place.vcenter, place.directory / "out", check_space=False, **more)
    return _playbook(place, {"hypersdk.hyper2kvm.vsphere_ovf_export": options})


def _playbook(place: Place, task: dict[str, object]) -> list[str]:
    playbook = place.directory / "playbook.yml"
    play = {"hosts": "localhost", "gather_facts": False, "tasks": [task]}
    playbook.write_text(json.dumps([play]))
    peers = os.environ.get("HYPER2KVM_PEERS", "")
    os.environ["ANSIBLE_COLLECTIONS_PATH"] = f"{COLLECTIONS_ROOT}:{peers}".rstrip(":")
    program = shutil.which("ansible-playbook") or "ansible-playbook"
    return [program, "-i", "localhost,", "-c", "local", str(playbook)]


def _account(vcenter: Vcsim) -> dict[str, object]:
    return {
        "hostname": vcenter.hostname,
        "port": vcenter.port,
        "username": vcenter.username,
        "password": vcenter.password,
    }
