# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A libvirtd of a test's own: real, and apart from the machine's.

It runs in a mount namespace in which libvirt's directories, /etc/passwd and
/etc/group are the test's, in a network namespace in which its bridges are, and in
a process namespace, so that whatever it starts ends with it. Its socket is in the
test's directory, where programs outside find it.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from pathlib import Path

_DIRECTORIES = {
    "etc": "/etc/libvirt",
    "lib": "/var/lib/libvirt",
    "run": "/run/libvirt",
    "cache": "/var/cache/libvirt",
    "log": "/var/log/libvirt",
    "swtpm": "/var/lib/swtpm-localca",
    "swtpm-log": "/var/log/swtpm",
}
_LIBVIRTD_CONF = """\
unix_sock_rw_perms = "0700"
auth_unix_ro = "none"
auth_unix_rw = "none"
log_outputs = "3:stderr"
"""
_QEMU_CONF = """\
user = "{user}"
group = "{user}"
swtpm_user = "root"
swtpm_group = "root"
security_driver = "none"
remember_owner = 0
dynamic_ownership = 0
namespaces = []
cgroup_controllers = []
stdio_handler = "file"
"""
# libvirt's QEMU driver looks for them when it starts; Debian's libvirt-daemon-system makes them.
_USER = "libvirt-qemu"
_ID = 64055
_NETWORK = """\
<network>
  <name>{name}</name>
  <forward mode='open'/>
  <bridge name='{bridge}' stp='off'/>
  <dns enable='no'/>
  <ip address='{address}' netmask='255.255.255.248'/>
</network>
"""
_START_TIMEOUT = 60.0


class Libvirtd:
    """A context manager: a libvirtd that runs.

    Args:
        directory: For its files; the longest path of a socket is 107 bytes.
        qemu_user: Whom QEMU runs as.
    """

    def __init__(self, directory: Path, *, qemu_user: str = "root") -> None:
        self.directory = directory
        self._qemu_user = qemu_user
        self._process: subprocess.Popen[bytes] | None = None
        # A socket below pytest's directories would have too long a name.
        self._runtime = Path(tempfile.mkdtemp(prefix="libvirtd-"))

    @property
    def uri(self) -> str:
        """What to connect to."""
        return f"qemu+unix:///system?socket={self._runtime}/libvirt-sock"

    def __enter__(self) -> Libvirtd:
        for name in _DIRECTORIES:
            self._own(name).mkdir(parents=True, exist_ok=True)
        # Where a network's MAC addresses are noted, for dnsmasq, which there is none of.
        self._own("lib").joinpath("dnsmasq").mkdir(exist_ok=True)
        self._own("etc").joinpath("libvirtd.conf").write_text(_LIBVIRTD_CONF)
        self._own("etc").joinpath("qemu.conf").write_text(_QEMU_CONF.format(user=self._qemu_user))
        for name in ("passwd", "group"):
            gecos = f":{_ID}::/nonexistent:/usr/sbin/nologin" if name == "passwd" else ":"
            text = Path("/etc", name).read_text()
            if f"{_USER}:" not in text:
                text += f"{_USER}:x:{_ID}{gecos}\n"
            (self.directory / name).write_text(text)
        argv = ["bwrap", "--dev-bind", "/", "/", "--unshare-pid", "--proc", "/proc"]
        argv += ["--unshare-net", "--die-with-parent"]
        for name in ("passwd", "group"):
            argv += ["--ro-bind", str(self.directory / name), f"/etc/{name}"]
        for name, path in _DIRECTORIES.items():
            # bwrap binds onto what is there; on a machine without libvirt nothing is.
            Path(path).mkdir(parents=True, exist_ok=True)
            argv += ["--bind", str(self._own(name)), path]
        argv += ["libvirtd", "--config", "/etc/libvirt/libvirtd.conf"]
        argv += ["--pid-file", "/run/libvirt/libvirtd.pid"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        self._wait()
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=_START_TIMEOUT)
        shutil.rmtree(self._runtime, ignore_errors=True)

    def virsh(self, *arguments: str) -> str:
        """Run virsh and return what it prints."""
        done = subprocess.run(
            ["virsh", "--connect", self.uri, "--quiet", *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"virsh {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def add_network(self, name: str, number: int) -> None:
        """Add a network that leads nowhere: its bridge is in libvirtd's own namespace.

        Args:
            name: Its name.
            number: 0 to 30, another one for each.
        """
        path = self.directory / f"{name}.xml"
        path.write_text(
            _NETWORK.format(name=name, bridge=f"virbr{number}", address=f"192.0.2.{8 * number + 1}")
        )
        self.virsh("net-define", str(path))
        self.virsh("net-start", name)

    def add_pool(self, name: str) -> Path:
        """Add a storage pool that is a directory, and return that."""
        directory = self.directory / f"pool-{name}"
        directory.mkdir()
        self.virsh("pool-define-as", name, "dir", "--target", str(directory))
        self.virsh("pool-start", name)
        return directory

    @property
    def _log(self) -> Path:
        return self.directory / "libvirtd.log"

    def _own(self, name: str) -> Path:
        return self._runtime if name == "run" else self.directory / name

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT
        while time.monotonic() < deadline:
            assert self._process is not None
            if self._process.poll() is not None:
                break
            if self._runtime.joinpath("libvirt-sock").exists():
                # The drivers come after the socket; an answer comes after the drivers.
                self.virsh("list")
                return
            time.sleep(0.1)
        raise AssertionError(f"libvirtd did not start: {self._log.read_text()[-2000:]}")
