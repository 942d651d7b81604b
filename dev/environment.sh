# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# What every script of dev/ knows: sourced, never run. dev/setup finds out the
# values that depend on the machine and leaves them in .build/environment.d.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
build=$root/.build
mkdir -p "$build/environment.d" "$build/tmp"
# The tree that dev/install made last, by its real name: ansible-test wants that.
collections=$(readlink -m "$build/collections")
# shellcheck disable=SC2034 # read by the scripts that source this
installed=$collections/ansible_collections/hypersdk/hyper2kvm
export HYPER2KVM_TEST_CACHE=${HYPER2KVM_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/hypersdk-hyper2kvm}
cache=$HYPER2KVM_TEST_CACHE
mkdir -p "$cache"

HYPER2KVM_ACCELERATION='' HYPER2KVM_CONTROLLER='' HYPER2KVM_PYTHON='' HYPER2KVM_EXECUTABLE='' HYPER2KVM_PEERS=''
for file in "$build"/environment.d/*.sh; do
    # shellcheck source=/dev/null
    [ ! -e "$file" ] || . "$file"
done

# The installed artefact is what is tested, never the checkout.
export PYTHONPATH=$collections
export ANSIBLE_COLLECTIONS_PATH=$collections${HYPER2KVM_PEERS:+:$HYPER2KVM_PEERS}
# Nothing of the person who runs this takes part, and nothing of theirs is changed.
export ANSIBLE_HOME=$build/ansible ANSIBLE_CONFIG=$root/dev/ansible.cfg ANSIBLE_NOCOWS=1
export HYPER2KVM_PYTHON HYPER2KVM_EXECUTABLE HYPER2KVM_PEERS
export PYTHONDONTWRITEBYTECODE=1
# libguestfs without libvirt; hyper2kvm without the host's nbd module.
export LIBGUESTFS_BACKEND=direct HYPER2KVM_GUESTFS_BACKEND=libguestfs
[ -z "$HYPER2KVM_ACCELERATION" ] || export LIBGUESTFS_BACKEND_SETTINGS=$HYPER2KVM_ACCELERATION
if [ -n "$HYPER2KVM_CONTROLLER" ]; then
    export PATH=$HYPER2KVM_CONTROLLER/bin:$PATH
fi

# Prints 16 hex digits for what it reads: the key of a directory in the cache.
key() { sha256sum | cut -c1-16; }

# Remembers NAME=value pairs for the scripts that come after.
# Usage: remember PART NAME=value…
remember() {
    local part=$1 pair
    shift
    for pair in "$@"; do
        printf '%s=%q\n' "${pair%%=*}" "${pair#*=}"
    done > "$build/environment.d/.$part.$$"
    mv "$build/environment.d/.$part.$$" "$build/environment.d/$part.sh"
}

say() { printf '\033[1m== %s\033[0m\n' "$*"; }
