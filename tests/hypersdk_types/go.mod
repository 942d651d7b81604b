// SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
// SPDX-License-Identifier: GPL-3.0-or-later

module github.com/hypersdk/ansible-hyper2kvm/tests/hypersdk_types

go 1.21
