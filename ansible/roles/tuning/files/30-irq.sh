#!/bin/sh
# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
#
# Interrupt i of the data NIC's queues goes to processor i, so that a flow's work stays where its
# queue is. Real machines only. ETRAN_ETC, ETRAN_SYS, ETRAN_PROC stand in for /etc... in tests.
set -u
etc=${ETRAN_ETC:-/etc} sys=${ETRAN_SYS:-/sys} proc=${ETRAN_PROC:-/proc}
# shellcheck source=/dev/null
. "$etc/etran/nic.conf"
# shellcheck source=/dev/null
. "$etc/etran/cpu.conf"
if [ "$IRQ_AFFINITY" != on ]; then
    echo "irq: left alone"
    exit 0
fi

device=$sys/class/net/$NIC/device
if [ ! -d "$device/msi_irqs" ]; then
    echo "irq: skipped ($NIC has no interrupts of its own)"
    exit 0
fi
address=$(basename "$(readlink -f "$device")")
cpus=$(grep -c '^processor' "$proc/cpuinfo")
moved=0
# mlx5 names the interrupt of queue i mlx5_comp<i>@pci:<address>; others end in the queue's number.
for file in "$device"/msi_irqs/*; do
    irq=${file##*/}
    name=$(awk -v irq="$irq:" '$1 == irq { print $NF }' "$proc/interrupts")
    name=${name%"@pci:$address"}
    case $name in
    mlx5_async* | mlx5_cmd* | mlx5_pages*) continue ;;
    *[!0-9][0-9] | *[!0-9][0-9][0-9]) queue=${name##*[!0-9]} ;;
    *) continue ;;
    esac
    if echo $((queue % cpus)) 2>/dev/null >"$proc/irq/$irq/smp_affinity_list"; then
        moved=$((moved + 1))
    else
        echo "irq: $irq ($name): refused"
    fi
done
echo "irq: $moved queues of $NIC on $cpus processors"
