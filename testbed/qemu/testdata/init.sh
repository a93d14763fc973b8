#!/bin/busybox sh
# shellcheck shell=dash
# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
#
# First process of a test machine: brings up eth0 as 10.0.0.(port + 1), runs /job.sh, powers off.
# Neighbours are known beforehand and IPv6 is off, so nothing is sent that the job does not send.
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
# shellcheck disable=SC2013 # words are what is wanted
for word in $(cat /proc/cmdline); do
    case $word in
    port=*) PORT=${word#port=} ;;
    ports=*) PORTS=${word#ports=} ;;
    esac
done
ip link set lo up
echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6
ip addr add 10.0.0.$((PORT + 1))/24 dev eth0
ip link set eth0 up
i=1
while [ $i -le "$PORTS" ]; do
    [ $i = $((PORT + 1)) ] || arp -s 10.0.0.$i 52:54:00:00:00:"$(printf %02x $i)"
    i=$((i + 1))
done
echo 1 >/proc/sys/net/ipv4/tcp_no_metrics_save
echo "UP $PORT"
# shellcheck source=/dev/null
. /job.sh
echo "DONE $PORT"
poweroff -f
