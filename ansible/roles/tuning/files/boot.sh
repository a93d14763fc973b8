#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
#
# Applies the settings that Ansible (role tuning) left on this node: kernel parameters, then every
# script of boot.d in order. Run at each boot, and whenever a setting has changed. Also runs in an
# image that has only busybox, sysctl, ip and ethtool.
#
# Exit status: 0, or 1 when something failed that a measurement relies on (all is tried first).
# ETRAN_ETC stands in for /etc in tests.
set -u
etc=${ETRAN_ETC:-/etc}
failed=0

for file in "$etc"/sysctl.d/9?-etran*.conf; do
    [ -e "$file" ] || continue
    # One by one: a kernel that lacks one parameter still gets the others.
    while read -r name equals value; do
        case $name in '' | '#'*) continue ;; esac
        [ "$equals" = '=' ] || continue
        if ! message=$(sysctl -q -w "$name=$value" 2>&1); then
            echo "sysctl: $name skipped ($message)"
        fi
    done <"$file"
done

for script in "$etc"/etran/boot.d/*.sh; do
    [ -e "$script" ] || continue
    if ! sh "$script"; then
        echo "boot: $script failed" >&2
        failed=1
    fi
done
exit $failed
