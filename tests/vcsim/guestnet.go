// SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// configured splits the NIC's addresses into bare ones and, of those with a prefix,
// their configuration.
func (n nicSpec) configured() (bare []string, config *types.NetIpConfigInfo, err error) {
	origin := types.NetIpConfigInfoIpAddressOriginManual
	if n.DHCP {
		origin = types.NetIpConfigInfoIpAddressOriginDhcp
	}
	for _, address := range n.Addresses {
		if !strings.Contains(address, "/") {
			bare = append(bare, address)
			continue
		}
		prefix, err := netip.ParsePrefix(address)
		if err != nil {
			return nil, nil, err
		}
		if config == nil {
			config = &types.NetIpConfigInfo{}
		}
		bare = append(bare, prefix.Addr().String())
		config.IpAddress = append(config.IpAddress, types.NetIpConfigInfoIpAddress{
			IpAddress:    prefix.Addr().String(),
			PrefixLength: int32(prefix.Bits()),
			Origin:       string(origin),
			State:        string(types.NetIpConfigInfoIpAddressStatusPreferred),
		})
	}
	return bare, config, nil
}

// guestNetwork is what VMware Tools report: the NICs, and the one stack of a Linux guest with
// its routes and name servers.
func guestNetwork(vm *simulator.VirtualMachine, spec vmSpec) ([]types.GuestNicInfo, []types.GuestStackInfo) {
	var nics []types.GuestNicInfo
	var routes []types.NetIpRouteConfigInfoIpRoute
	var servers, search []string
	for _, device := range vm.Config.Hardware.Device {
		card, ok := device.(types.BaseVirtualEthernetCard)
		if !ok || len(nics) == len(spec.NICs) {
			continue
		}
		nic := spec.NICs[len(nics)]
		bare, config, _ := nic.configured() // looked at when the inventory was read
		for _, gateway := range nic.Gateways {
			routes = append(routes, defaultRoute(gateway, len(nics)))
		}
		servers = append(servers, nic.DNS...)
		search = append(search, nic.Search...)
		nics = append(nics, types.GuestNicInfo{
			Network:        nic.Network,
			IpAddress:      bare,
			IpConfig:       config,
			MacAddress:     card.GetVirtualEthernetCard().MacAddress,
			Connected:      true,
			DeviceConfigId: card.GetVirtualEthernetCard().Key,
		})
	}
	if len(routes)+len(servers)+len(search) == 0 {
		return nics, nil
	}
	return nics, []types.GuestStackInfo{{
		DnsConfig: &types.NetDnsConfigInfo{
			HostName: spec.Name, IpAddress: servers, SearchDomain: search,
		},
		IpRouteConfig: &types.NetIpRouteConfigInfo{IpRoute: routes},
	}}
}

func defaultRoute(gateway string, nic int) types.NetIpRouteConfigInfoIpRoute {
	network := "0.0.0.0"
	if strings.Contains(gateway, ":") {
		network = "::"
	}
	return types.NetIpRouteConfigInfoIpRoute{
		Network: network,
		Gateway: types.NetIpRouteConfigInfoGateway{IpAddress: gateway, Device: strconv.Itoa(nic)},
	}
}
