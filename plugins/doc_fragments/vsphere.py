# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the connection to vCenter."""

from __future__ import annotations


class ModuleDocFragment:
    """The options of module_utils/vsphere/options.py, connection_argument_spec()."""

    DOCUMENTATION = r"""
requirements:
  - pyVmomi 8.0 or newer, on the machine where the module runs
options:
  hostname:
    description:
      - Name or address of vCenter.
      - If it is not set, the environment variable E(VMWARE_HOST) is used.
    type: str
  username:
    description:
      - Who logs in to vCenter.
      - If it is not set, the environment variable E(VMWARE_USER) is used.
    type: str
    aliases: [user, admin]
  password:
    description:
      - The password of O(username).
      - If it is not set, the environment variable E(VMWARE_PASSWORD) is used.
    type: str
    aliases: [pass, pwd]
  port:
    description:
      - The port of vCenter.
      - If it is not set, the environment variable E(VMWARE_PORT) is used.
    type: int
    default: 443
  validate_certs:
    description:
      - Whether certificates are checked, vCenter's and each ESXi host's.
      - With V(false) anybody between can read the password and change the disks.
        Where a certificate has no CA, pin it with O(thumbprint) instead.
      - If it is not set, the environment variable E(VMWARE_VALIDATE_CERTS) is used.
    type: bool
    default: true
  ca_path:
    description:
      - A PEM file with the CA certificates that vCenter's certificate is checked against,
        on the machine where the module runs.
      - Without it the system's store is used, or the file that E(SSL_CERT_FILE) names.
    type: path
  thumbprint:
    description:
      - The SHA-1 or SHA-256 thumbprint of vCenter's certificate, in hexadecimal, with colons or without.
      - No other certificate is then accepted, and no CA is asked.
    type: str
  proxy_host:
    description:
      - An HTTP proxy through which vCenter and the ESXi hosts are reached.
      - If it is not set, the environment variable E(VMWARE_PROXY_HOST) is used.
    type: str
  proxy_port:
    description:
      - The port of O(proxy_host).
      - If it is not set, the environment variable E(VMWARE_PROXY_PORT) is used.
    type: int
"""
