# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.files import GuestFileError
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.network import (
    cloud_init,
    ifcfg,
    ifupdown,
    keyfiles,
    netplan,
    udev,
    wicked,
)
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.guest.network.sections import (
    parse_sections,
)

damaged = st.one_of(
    st.binary(max_size=300).map(lambda each: each.decode("utf-8", "surrogateescape")),
    st.text(
        alphabet="aA0:.-/*[]{}()=\n\t \"'\\#;,<>!&|en192iface autobndMATCHNamevlnk\x00",
        max_size=300,
    ),
)


@settings(deadline=None)
@given(damaged)
def test_damaged_files_raise_nothing_but_their_own_error(text: str) -> None:
    ifupdown.interfaces(ifupdown.parse(text))
    ifupdown.interfaces(ifupdown.parse(f"iface {text}\n address {text}\nauto {text}"))
    keyfiles.parse(text, "/k")
    keyfiles.parse(
        f"[connection]\ntype=vlan\n{text}\n[ipv4]\naddress1={text}\n[vlan]\nid={text}", "/k"
    )
    settings = ifcfg.parse(text)
    ifcfg.rhel_interface({**settings, "DEVICE": text, "IPADDR": text}, "/i", settings)
    ifcfg.suse_interface({**settings, "IPADDR": text, "VLAN_ID": text}, f"/ifcfg-{text}")
    udev.parse_rules(text, "/r")
    udev.parse_link(parse_sections(text), "/l")
    for parse in (
        lambda: netplan.interfaces([("/n", netplan.load(text, "/n"))]),
        lambda: wicked.parse(text, "/w"),
    ):
        try:
            parse()
        except GuestFileError as error:
            assert error.message


deep = st.recursive(
    st.one_of(st.text(max_size=8), st.sampled_from(["192.0.2.10/24", "ens192", "true", "30"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                [
                    "network",
                    "ethernets",
                    "bonds",
                    "vlans",
                    "match",
                    "macaddress",
                    "interfaces",
                    "addresses",
                    "routes",
                    "to",
                    "link",
                    "id",
                    "set-name",
                    "driver",
                    "ens192",
                ]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=20,
)


@settings(deadline=None)
@given(deep, deep)
def test_netplan_of_any_shape_is_read(one: object, two: object) -> None:
    cloud_init.parse(one, "/c")
    netplan.interfaces([("/a", one), ("/b", {"network": {"ethernets": two, "vlans": one}})])
