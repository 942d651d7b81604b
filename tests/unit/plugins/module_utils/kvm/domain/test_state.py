# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is left when a domain was defined and something went wrong right then.

libvirt can't be made to fail between the two calls, so what it has done is kept here.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.domain import state
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.domain.definition import Mark
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.domain.errors import (
    DomainError,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.domain.hypervisor import (
    Defined,
    Hypervisor,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.domain.placing import Placed
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.kvm.domain.request import (
    Request,
    request_of,
)
from ansible_collections.hypersdk.hyper2kvm.tests.unit.plugins.module_utils.kvm.domain.asked import (
    DEFAULTS,
    DOCUMENT,
)


class Unsigned(Hypervisor):
    """libvirt that takes a domain and then no metadata."""

    def __init__(self, domains: dict[str, Defined]) -> None:
        super().__init__("qemu:///system")
        self.domains = domains

    def refresh(self, pool_name: str) -> None:
        pass

    def define(self, xml: str, mark: Mark) -> Defined:
        self.domains["web01"] = Defined("web01", "u", False, xml, mark)
        raise DomainError("libvirt does not take the domain: no metadata.")

    def domain(self, name: str) -> Defined | None:
        return self.domains.get(name)

    def undefine(self, found: Defined) -> None:
        del self.domains[found.name]


@pytest.fixture
def asked(tmp_path: Path) -> Request:
    options = {**DEFAULTS, "placement": "move", "pool": "images"}
    return request_of(DOCUMENT, tmp_path, options, {})


@pytest.mark.parametrize("there_before", [False, True])
def test_a_domain_that_could_not_be_signed_goes(
    asked: Request, tmp_path: Path, there_before: bool
) -> None:
    disk = Placed("disk-0", tmp_path / "disk-0.qcow2", tmp_path / "pool.qcow2", "qcow2", True)
    disk.source.write_text("a disk")
    before = {"web01": Defined("web01", "u", True, "", None)} if there_before else {}
    hypervisor = Unsigned(before)
    with pytest.raises(DomainError, match="no metadata"):
        state._apply(asked, [disk], "<domain/>", hypervisor, fresh=True, new=not there_before)
    # One that was there is never taken away.
    assert list(hypervisor.domains) == (["web01"] if there_before else [])
    assert disk.source.read_text() == "a disk"
    assert not (tmp_path / "domain.json").exists()
