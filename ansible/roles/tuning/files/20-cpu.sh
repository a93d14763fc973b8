#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
#
# Fixes the speed of the processors as /etc/etran/cpu.conf says: frequency governor, turbo, idle
# states. What the machine does not offer is skipped with the reason. Real machines only.
# ETRAN_ETC and ETRAN_SYS stand in for /etc and /sys in tests.
set -u
# shellcheck source=/dev/null
. "${ETRAN_ETC:-/etc}/etran/cpu.conf"
cpus=${ETRAN_SYS:-/sys}/devices/system/cpu

# put WHAT VALUE FILE...: writes VALUE to all the files, prints one line.
put() {
    what=$1 value=$2 done=0
    shift 2
    for file in "$@"; do
        [ -e "$file" ] || continue
        if echo "$value" 2>/dev/null >"$file"; then
            done=$((done + 1))
        else
            echo "cpu: $what $value: refused by $file"
        fi
    done
    if [ $done -gt 0 ]; then
        echo "cpu: $what $value ($done)"
    else
        echo "cpu: $what $value: skipped (this machine has no ${1##*/})"
    fi
}

put governor "$CPU_GOVERNOR" "$cpus"/cpu[0-9]*/cpufreq/scaling_governor

# Two interfaces with opposite senses; a machine has one of them.
if [ -e "$cpus/intel_pstate/no_turbo" ]; then
    [ "$CPU_TURBO" = on ] && value=0 || value=1
    put no_turbo "$value" "$cpus/intel_pstate/no_turbo"
else
    [ "$CPU_TURBO" = on ] && value=1 || value=0
    put boost "$value" "$cpus/cpufreq/boost"
fi

if [ "$CPU_IDLE_LATENCY_US" -lt 0 ]; then
    echo "cpu: idle states left alone"
    exit 0
fi
disabled=0 states=0
for state in "$cpus"/cpu[0-9]*/cpuidle/state[0-9]*; do
    [ -e "$state/latency" ] || continue
    states=$((states + 1))
    read -r latency <"$state/latency"
    [ "$latency" -gt "$CPU_IDLE_LATENCY_US" ] && value=1 || value=0
    echo "$value" >"$state/disable" && disabled=$((disabled + value))
done
if [ $states -eq 0 ]; then
    echo "cpu: idle states: skipped (this machine has no cpuidle)"
else
    echo "cpu: $disabled of $states idle states disabled (longer than $CPU_IDLE_LATENCY_US us)"
fi
