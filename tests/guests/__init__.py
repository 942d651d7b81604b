# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real guests for the tests: built from Debian's packages, cached, each a room of its own."""
