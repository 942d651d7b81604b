# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: export_profile
short_description: Read an export profile of hyperexport, or one of the collection's own
version_added: "0.1.0"
author:
  - The hypersdk.hyper2kvm authors (@hypersdk)
description:
  - Reads hyperexport's JSON profiles as they are, on the controller, and returns the options that they set under the
    names that the collection's modules have for them.
  - A profile is looked for in the play's directory (C(profiles/) in it, then the directory itself), then in
    C(~/.hyperexport/profiles), then among the collection's own.
  - V(quick) exports and doesn't read the disks again, V(kvm-migration) shuts the VM down and verifies all before it is
    converted, V(archive) keeps one OVA.
  - An unknown key is an error that names it. So is a key of hyperexport's that asks for something that the collection
    doesn't do, such as C(encrypt).
options:
  _terms:
    description:
      - Names of profiles, without C(.json), or paths of their files.
    required: true
  directories:
    description:
      - Directories to look in, in order, instead of the play's and C(~/.hyperexport/profiles).
    type: list
    elements: path
"""

EXAMPLES = r"""
- name: Take the target format from a profile unless the play sets it
  ansible.builtin.set_fact:
    target: "{{ migrate_target_format | default(profile.manifest_target) | default('qcow2') }}"
  vars:
    profile: "{{ lookup('hypersdk.hyper2kvm.export_profile', 'kvm-migration') }}"
"""

RETURN = r"""
_raw:
  description:
    - For each profile the options that it sets, such as C(format), C(compress), C(verify), C(power_off), C(parallel),
      C(manifest), C(verify_manifest), C(manifest_checksum), C(manifest_target), C(executable) and C(tags).
  type: list
  elements: dict
"""

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.errors import Hyper2KvmError
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.profiles import (
    find_profile,
)


class LookupModule(LookupBase):
    """Reads profiles on the controller."""

    def run(
        self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any
    ) -> list[dict[str, Any]]:
        """Return the settings of each profile."""
        self.set_options(var_options=variables, direct=kwargs)
        given = self.get_option("directories")
        directories = [Path(directory) for directory in given or []]
        if not given:
            # Not get_basedir(), which is the role's directory inside a role.
            play = Path(str((variables or {}).get("playbook_dir") or self._loader.get_basedir()))
            directories = [play / "profiles", play, Path("~/.hyperexport/profiles")]
        try:
            return [dict(find_profile(str(term), directories).settings) for term in terms]
        except Hyper2KvmError as error:
            raise AnsibleLookupError(str(error)) from error
