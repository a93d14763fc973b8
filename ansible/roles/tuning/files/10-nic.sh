#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
#
# Sets up the data NIC as /etc/etran/nic.conf says. What the device cannot do is skipped with the
# reason, because the same file serves real and emulated NICs; a NIC that is not there, or
# another MTU, is an error. Addresses are not touched. ETRAN_ETC stands in for /etc in tests.
set -u
# shellcheck source=/dev/null
. "${ETRAN_ETC:-/etc}/etran/nic.conf"
# The launcher of an emulated node may know better which NIC it is.
NIC=${ETRAN_DATA_INTERFACE:-$NIC}

say() { echo "nic $NIC: $*"; }

# On one line, and of some messages only the part that says something.
reason() {
    text=$(printf '%s' "$1" | tr '\n' ' ')
    text=${text#netlink error: }
    echo "${text:-no reason given}"
}

# try WHAT FLAG WORD... : one call of ethtool; prints what came of it, 1 when it was refused.
try() {
    what=$1 flag=$2
    shift 2
    if message=$(ethtool "$flag" "$NIC" "$@" 2>&1); then
        say "$what $*"
        return 0
    fi
    case $message in
    *unmodified* | *'no '*' changed'* | *'not changed'*)
        say "$what $* (as it was)"
        return 0
        ;;
    esac
    return 1
}

# apply WHAT FLAG "NAME VALUE NAME VALUE...": all at once, since some drivers restart the NIC at
# every call; where that is refused one by one, so that only what is impossible is left out.
apply() {
    what=$1 flag=$2
    # shellcheck disable=SC2086 # words
    set -- $3
    [ $# -gt 0 ] || return 0
    if try "$what" "$flag" "$@"; then
        return 0
    fi
    if [ $# -le 2 ]; then
        say "$what $*: skipped ($(reason "$message"))"
        return 0
    fi
    while [ $# -ge 2 ]; do
        try "$what" "$flag" "$1" "$2" || say "$what $1 $2: skipped ($(reason "$message"))"
        shift 2
    done
}

if ! ip link show dev "$NIC" >/dev/null 2>&1; then
    say "there is no such interface; data_interface in the inventory names it" >&2
    exit 1
fi
if ! message=$(ip link set dev "$NIC" mtu "$NIC_MTU" up 2>&1); then
    say "cannot set the MTU to $NIC_MTU: $message" >&2
    exit 1
fi
say "mtu $NIC_MTU"

if ! command -v ethtool >/dev/null 2>&1; then
    say "ethtool is not installed" >&2
    exit 1
fi
apply channels -L "$NIC_CHANNELS"
apply rings -G "$NIC_RINGS"
apply coalescing -C "$NIC_COALESCE"
apply features -K "$NIC_FEATURES"
apply pause -A "$NIC_PAUSE"
apply private-flags --set-priv-flags "$NIC_PRIVATE_FLAGS"
