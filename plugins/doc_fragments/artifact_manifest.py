# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the Artifact Manifest's fields as options."""

from __future__ import annotations

import json

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.manifest.arguments import (
    contract_documentation,
)


class ModuleDocFragment:
    """The contract's fields, made from its schema as the argument spec is (JSON is YAML)."""

    # Annotated: ansible-test looks into plain assignments for a literal.
    DOCUMENTATION: str = json.dumps({"options": contract_documentation()})
