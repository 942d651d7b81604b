# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the attributes that every module states."""

from __future__ import annotations


class ModuleDocFragment:
    """Attributes; a module adds C(support) to each that it names."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Says what would change, and changes nothing, when run with C(--check).
  diff_mode:
    description: Says in detail what changed, or would change, when run with C(--diff).
  idempotent:
    description:
      - A second run with the same options reports that nothing changed, as long as nothing changed elsewhere.
"""

    INFO_MODULE = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - Reads only, in check mode as well.
  diff_mode:
    support: N/A
    details:
      - Reads only.
  idempotent:
    support: full
    details:
      - Reads only.
"""

    ACTIONGROUP_VSPHERE = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/hypersdk.hyper2kvm.vsphere) in C(module_defaults) to set the connection to vCenter once.
    support: full
    membership:
      - hypersdk.hyper2kvm.vsphere
"""
