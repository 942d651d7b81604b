# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The test vCenter acts as vCenter and ESXi do, seen with clients that are not ours."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from pyVmomi import vim, vmodl

from ansible_collections.hypersdk.hyper2kvm.tests.support import golang
from ansible_collections.hypersdk.hyper2kvm.tests.support.leases import (
    connected,
    fetch,
    find_vm,
    last_lease,
    started,
    two_disk_inventory,
)
from ansible_collections.hypersdk.hyper2kvm.tests.support.vcsim import Vcsim
from ansible_collections.hypersdk.hyper2kvm.tests.support.waiting import wait_for

OVF = "{http://schemas.dmtf.org/ovf/envelope/1}"
RASD = "{http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData}"
VMW = "{http://www.vmware.com/schema/ovf}"


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return two_disk_inventory(tmp_path_factory.mktemp("disks"))


@pytest.fixture(scope="module")
def vcenter(inventory: dict[str, Any]) -> Iterator[Vcsim]:
    with Vcsim(inventory) as vcenter:
        yield vcenter


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def govc(vcenter: Vcsim, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ["HOME"],
        "GOVC_URL": f"https://{vcenter.hostname}:{vcenter.port}",
        "GOVC_USERNAME": vcenter.username,
        "GOVC_PASSWORD": vcenter.password,
        "GOVC_TLS_CA_CERTS": vcenter.ca_path,
        "GOVC_PERSIST_SESSION": "false",
        "GOVC_DATACENTER": "DC0",
    }
    return subprocess.run(
        [str(golang.programs() / "govc"), *arguments],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
    )


def test_govc_sees_a_vcenter_8(vcenter: Vcsim) -> None:
    done = govc(vcenter, "about")
    assert re.search(r"API version: +8\.0", done.stdout), done


def test_govc_exports_what_the_vm_has(
    vcenter: Vcsim, inventory: dict[str, Any], tmp_path: Path
) -> None:
    done = govc(vcenter, "export.ovf", "-vm", "web01", "-sha", "256", "-i", str(tmp_path))
    assert done.returncode == 0, done.stderr
    exported = tmp_path / "web01"
    sources = [Path(disk["path"]) for disk in inventory["vms"][0]["disks"]]
    for number, source in enumerate(sources):
        assert sha256(exported / f"web01-disk-{number}.vmdk") == sha256(source)
    for line in (exported / "web01.mf").read_text().splitlines():
        found = re.fullmatch(r"SHA256\((.+)\)= ([0-9a-f]{64})", line)
        assert found is not None
        assert sha256(exported / found[1]) == found[2]
    lease = last_lease(vcenter)
    assert (lease["vm"], lease["state"], lease["end"]) == ("web01", "done", "completed")
    downloads = [file["requests"] for file in lease["files"]]
    assert [len(requests) for requests in downloads] == [1, 1, 1]
    assert [file["bytes"] for file in lease["files"]] == [
        *(source.stat().st_size for source in sources),
        5000,
    ]


def test_descriptor(vcenter: Vcsim) -> None:
    with connected(vcenter) as service:
        vm = find_vm(service, "web01")
        lease = started(vm.ExportVm())
        urls = lease.info.deviceUrl
        lease.HttpNfcLeaseComplete()
        files = [
            vim.OvfManager.OvfFile(deviceId=url.key, path=f"file-{i}", size=1000 + i)
            for i, url in enumerate(urls)
        ]
        result = service.content.ovfManager.CreateDescriptor(
            vm, vim.OvfManager.CreateDescriptorParams(name="renamed", ovfFiles=files)
        )
        unknown = vim.OvfManager.OvfFile(deviceId="/vm-0/none", path="x", size=1)
        with pytest.raises(vmodl.fault.InvalidArgument):
            service.content.ovfManager.CreateDescriptor(
                vm, vim.OvfManager.CreateDescriptorParams(ovfFiles=[unknown])
            )
    root = ElementTree.fromstring(result.ovfDescriptor)
    assert root.tag == f"{OVF}Envelope"
    assert [file.get(f"{OVF}size") for file in root.iter(f"{OVF}File")] == ["1000", "1001", "1002"]
    for disk, reference in zip(root.iter(f"{OVF}Disk"), ("file1", "file2")):
        assert disk.get(f"{OVF}capacity") == "16"
        assert disk.get(f"{OVF}capacityAllocationUnits") == "byte * 2^20"
        assert disk.get(f"{OVF}fileRef") == reference
    networks = [network.get(f"{OVF}name") for network in root.iter(f"{OVF}Network")]
    assert networks == ["VM Network", "Backend"]
    config = {(c.get(f"{VMW}key"), c.get(f"{VMW}value")) for c in root.iter(f"{VMW}Config")}
    assert {
        ("firmware", "efi"),
        ("bootOptions.efiSecureBootEnabled", "true"),
        ("slotInfo.pciSlotNumber", "192"),
    } <= config
    extra = [c.get(f"{VMW}value") for c in root.iter(f"{VMW}ExtraConfig")]
    assert extra == ["ovf:/file/file3"]
    kinds = [kind.text for kind in root.iter(f"{RASD}ResourceType")]
    assert kinds == ["3", "4", "6", "20", "17", "17", "10", "10"]


def test_pyvmomi_sees_the_whole_lease(vcenter: Vcsim) -> None:
    with connected(vcenter) as service:
        vm = find_vm(service, "web01")
        lease = vm.ExportVm()
        assert (lease.state, lease.info, lease.error) == ("initializing", None, None)
        started(lease)
        info, capabilities = lease.info, lease.capabilities
        assert (lease.mode, lease.state, lease.initializeProgress) == ("pushOrGet", "ready", 100)
        assert capabilities.pullModeSupported
        assert info.totalDiskCapacityInKB == 2 * 16 * 1024
        assert [url.targetId for url in info.deviceUrl] == [
            "disk-0.vmdk",
            "disk-1.vmdk",
            "web01.nvram",
        ]
        assert [url.fileSize for url in info.deviceUrl] == [None, None, 5000]
        assert [url.disk for url in info.deviceUrl] == [True, True, False]
        assert info.deviceUrl[1].key == f"/{vm._moId}/VirtualAHCIController0:0"
        download = fetch(info.deviceUrl[0].url)
        assert download.thumbprint == info.deviceUrl[0].sslThumbprint
        assert download.headers["transfer-encoding"] == "chunked"
        assert "content-length" not in download.headers
        lease.HttpNfcLeaseProgress(40)
        task = service.content.taskManager.recentTask[-1].info
        assert (task.entityName, task.state, task.progress) == ("web01", "running", 40)
        with pytest.raises(vmodl.fault.InvalidArgument):
            lease.HttpNfcLeaseProgress(101)
        lease.HttpNfcLeaseAbort(fault=vim.fault.FileFault(file="x"))
        assert (lease.state, type(lease.error)) == ("error", vim.fault.FileFault)
        for call in (lease.HttpNfcLeaseComplete, lambda: lease.HttpNfcLeaseProgress(50)):
            with pytest.raises(vim.fault.InvalidState):
                call()
    seen = last_lease(vcenter)
    assert (seen["end"], seen["abort_fault"]) == ("aborted", "FileFault")
    assert [report["percent"] for report in seen["progress"]] == [40]


def test_manifest_has_the_digests_of_what_was_fetched(
    vcenter: Vcsim, inventory: dict[str, Any]
) -> None:
    with connected(vcenter) as service:
        lease = started(find_vm(service, "web01").ExportVm())
        first = lease.info.deviceUrl[0]
        choice = [vim.KeyValue(key=first.key, value="sha256")]
        lease.HttpNfcLeaseSetManifestChecksumType(choice)
        assert not lease.HttpNfcLeaseGetManifest()
        data = fetch(first.url).data
        (entry,) = lease.HttpNfcLeaseGetManifest()
        lease.HttpNfcLeaseComplete()
    assert (entry.key, entry.size, entry.disk) == (first.key, len(data), True)
    assert entry.sha1 == hashlib.sha1(data).hexdigest()
    assert (entry.checksumType, entry.checksum) == (
        "sha256",
        sha256(Path(inventory["vms"][0]["disks"][0]["path"])),
    )


def test_what_pyvmomi_reads_of_a_vm(vcenter: Vcsim) -> None:
    with connected(vcenter) as service:
        vm = find_vm(service, "web01")
        disks = devices_of(vm, vim.vm.device.VirtualDisk)
        assert [disk.deviceInfo.label for disk in disks] == ["Hard disk 1", "Data"]
        assert [disk.capacityInBytes for disk in disks] == [16 << 20, 16 << 20]
        first, second = devices_of(vm, vim.vm.device.VirtualEthernetCard)
        assert [card.key for card in devices_of(vm, vim.vm.device.VirtualVmxnet3)] == [first.key]
        assert (first.macAddress, first.slotInfo.pciSlotNumber) == ("00:50:56:8a:00:01", 192)
        assert second.backing.port.portgroupKey
        assert (vm.config.firmware, vm.config.bootOptions.efiSecureBootEnabled) == ("efi", True)
        assert vm.config.guestFullName == "Debian GNU/Linux 12 (64-bit)"
        assert (vm.parent.name, vm.parent.parent.name) == ("web", "production")
        assert vm.snapshot is None
        assert vm.runtime.host.name
        before = vm.config.changeVersion
        assert vcenter.touch("web01")["change_version"] == vm.config.changeVersion != before
        live = find_vm(service, "live01")
        assert live.guest.toolsRunningStatus == "guestToolsRunning"
        assert list(live.guest.net[0].ipAddress) == ["192.0.2.10"]


def devices_of(vm: Any, kind: type) -> list[Any]:
    return [device for device in vm.config.hardware.device if isinstance(device, kind)]


def test_snapshot_of_a_running_vm(vcenter: Vcsim) -> None:
    with connected(vcenter) as service:
        vm = find_vm(service, "live01")
        with pytest.raises(vim.fault.InvalidPowerState):
            vm.ExportVm()
        task = vm.CreateSnapshot("for export", "", memory=False, quiesce=True)
        wait_for(lambda: task.info.state == "success")
        snapshot = task.info.result
        lease = started(snapshot.ExportSnapshot())
        assert fetch(lease.info.deviceUrl[0].url).error == ""
        lease.HttpNfcLeaseComplete()
        assert last_lease(vcenter)["snapshot"] == snapshot._moId
        assert snapshots(vcenter, "live01") == ["for export"]
        task = snapshot.RemoveSnapshot_Task(removeChildren=False)
        wait_for(lambda: task.info.state == "success")
        assert snapshots(vcenter, "live01") == []
    operations = [entry for entry in vcenter.status()["operations"] if entry["vm"] == "live01"]
    assert [entry["operation"] for entry in operations[-3:]] == [
        "CreateSnapshot_Task",
        "ExportSnapshot",
        "RemoveSnapshot_Task",
    ]
    assert operations[-3]["quiesce"]


def snapshots(vcenter: Vcsim, name: str) -> list[str]:
    (vm,) = [vm for vm in vcenter.status()["vms"] if vm["name"] == name]
    return list(vm["snapshots"])


def test_guests_shut_down_when_asked_or_never(vcenter: Vcsim) -> None:
    with connected(vcenter) as service:
        live, stuck = find_vm(service, "live01"), find_vm(service, "stuck01")
        begun = time.monotonic()
        live.ShutdownGuest()
        stuck.ShutdownGuest()
        assert live.runtime.powerState == "poweredOn"
        wait_for(lambda: live.runtime.powerState == "poweredOff")
        assert time.monotonic() - begun >= 0.2
        assert live.guest.toolsRunningStatus == "guestToolsNotRunning"
        with pytest.raises(vim.fault.InvalidPowerState):
            live.ShutdownGuest()
        time.sleep(0.5)
        assert stuck.runtime.powerState == "poweredOn"
        task = live.PowerOn()
        wait_for(lambda: task.info.state == "success")


def test_lease_expires_without_progress(inventory: dict[str, Any]) -> None:
    with Vcsim(inventory, lease_timeout=1) as vcenter, connected(vcenter) as service:
        lease = started(find_vm(service, "web01").ExportVm())
        info = lease.info
        assert info.leaseTimeout == 1
        for percent in range(4):
            time.sleep(0.5)
            lease.HttpNfcLeaseProgress(percent)
        wait_for(lambda: lease.state == "error", 3)
        assert isinstance(lease.error, vim.fault.Timedout)
        for call in (
            lambda: lease.HttpNfcLeaseProgress(50),
            lease.HttpNfcLeaseComplete,
            lease.HttpNfcLeaseAbort,
            lease.HttpNfcLeaseGetManifest,
        ):
            with pytest.raises(vim.fault.Timedout):
                call()
        assert fetch(info.deviceUrl[0].url).status == 404
        assert last_lease(vcenter)["end"] == "expired"
        # vSphere's own task shows it too.
        assert service.content.taskManager.recentTask[-1].info.state == "error"


def test_who_gets_in(vcenter: Vcsim) -> None:
    with pytest.raises(vim.fault.InvalidLogin), connected(vcenter, password="wrong"):
        pass
    assert "unknown authority" in govc_without_ca(vcenter)
    with connected(vcenter) as service:
        vm = find_vm(service, "web01")
        vcenter.end_sessions()
        for call in (lambda: vm.name, vm.ExportVm):
            with pytest.raises(vim.fault.NotAuthenticated):
                call()


def govc_without_ca(vcenter: Vcsim) -> str:
    url = f"https://{vcenter.hostname}:{vcenter.port}"
    return subprocess.run(
        [str(golang.programs() / "govc"), "about", "-u", url],
        check=False,
        capture_output=True,
        text=True,
        env={"HOME": os.environ["HOME"]},
        timeout=60,
    ).stderr


def test_vcenter_and_esxi_have_certificates_of_their_own(vcenter: Vcsim) -> None:
    pem = ssl.get_server_certificate((vcenter.hostname, vcenter.port), ca_certs=vcenter.ca_path)
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest().upper()
    assert vcenter.thumbprint.replace(":", "") == digest
    with pytest.raises(ssl.SSLCertVerificationError):
        ssl.get_server_certificate((vcenter.hostname, vcenter.nfc_port), ca_certs=vcenter.ca_path)


def test_nothing_is_left_when_its_owner_is_killed(inventory: dict[str, Any]) -> None:
    program = (
        "import json, sys, time\n"
        f"from {Vcsim.__module__} import Vcsim\n"
        "with Vcsim(json.load(sys.stdin)) as vcenter:\n"
        "    print(vcenter.pid, flush=True)\n"
        "    time.sleep(60)\n"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdin is not None and owner.stdout is not None
    with owner:
        owner.stdin.write(json.dumps(inventory))
        owner.stdin.close()
        pid = int(owner.stdout.readline())
        assert Path(f"/proc/{pid}").exists()
        owner.kill()
    wait_for(lambda: not Path(f"/proc/{pid}").exists(), 5)


def test_command(inventory: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "inventory.json").write_text(json.dumps(inventory))
    ready = tmp_path / "ready.json"
    command = [sys.executable, "-m", Vcsim.__module__, "--ready", str(ready)]
    process = subprocess.Popen([*command, "--inventory", str(tmp_path / "inventory.json")])
    try:
        wait_for(ready.exists, 60)
        told = json.loads(ready.read_text())
        assert told["pid"] == process.pid
        assert Path(told["ca_path"]).exists()
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert not Path(told["ca_path"]).exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": "blue"}, 'unknown field "colour"'),
        ({"firmware": "uefi"}, 'firmware is "uefi", must be one of'),
        ({"disks": [{"path": "/nowhere.vmdk"}]}, "disk 0: open /nowhere.vmdk"),
        ({"disks": [{"path": "/etc/passwd"}]}, "/etc/passwd is not a sparse VMDK"),
        ({"guest_id": "nonsense"}, 'guest_id "nonsense" is not one of'),
        ({"host": "nowhere"}, "creating VM web01: host 'nowhere' not found"),
    ],
)
def test_inventory_with_a_mistake_is_explained(change: dict[str, Any], message: str) -> None:
    with (
        pytest.raises(RuntimeError, match=re.escape(message)),
        Vcsim({"vms": [{"name": "web01", **change}]}),
    ):
        pass
