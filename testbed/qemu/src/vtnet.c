// SPDX-License-Identifier: GPL-2.0-or-later
// Copyright (c) The eTran artifact authors
/*
 * vtnet: a port of a network in virtual time.
 *
 *   -icount shift=0,sleep=off[,ns-num=2,ns-den=5]
 *   -netdev vtnet,id=n,path=FILE,port=P[,queues=N][,sync=NS][,freerun=on][,stats=FILE]
 *   -device virtio-net-pci,netdev=n,ioeventfd=off,tx=timer,x-txtimer=NS,...
 *
 * Binds QEMU_CLOCK_VIRTUAL to the clocks of the other machines on the network
 * (vt_core.h) and gives them a NIC with checksum and segmentation offload
 * (nic_offload.h). The guest enters and leaves synchronised time with control
 * frames (vtnet_control.h).
 *
 * Contracts in vtnet_int.h.
 */
#include "qemu/osdep.h"

#include "migration/blocker.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "standard-headers/linux/virtio_net.h"
#include "sysemu/sysemu.h"

#include "../clients.h"
#include "vtnet_int.h"

VtNet *vtnet;

G_NORETURN void vtnet_fatal(VtNet *s, const char *doing) {
    error_report("vtnet: port %" PRIu32 " cannot %s: %s", s->info.port, doing, vt_error(s->vm));
    /*
     * Not exit(): this is the vCPU thread, and the main thread may be waiting for it. There is
     * nothing to flush, and the supervisor sees that the process is gone.
     */
    _exit(EXIT_FAILURE);
}

void vtnet_write_stats(VtNet *s) {
    g_autoptr(GString) out = g_string_new("{");
    const VtNetStats *n = &s->stats;
    vt_stats v = {0};

    if (!s->stats_path) {
        return;
    }
    if (s->vm) {
        vt_get_stats(s->vm, &v);
    }
    g_string_append_printf(out, "\"version\": 1, \"port\": %" PRIu32, s->info.port);
#define PUT(name, value) g_string_append_printf(out, ", \"" name "\": %" PRIu64, (uint64_t)(value))
    PUT("joins", n->joins);
    PUT("leaves", n->leaves);
    PUT("control_errors", n->control_errors);
    PUT("tx_packets", n->tx_packets);
    PUT("tx_frames", n->tx_frames);
    PUT("tx_lost", n->tx_lost);
    PUT("rx_frames", n->rx_frames);
    PUT("rx_csum_good", n->rx_csum_good);
    PUT("rx_csum_bad", n->rx_csum_bad);
    PUT("rx_no_buffer", n->rx_no_buffer);
    PUT("rx_not_ready", n->rx_not_ready);
    PUT("reports", v.reports);
    PUT("waits", v.waits);
    PUT("spins", v.spins);
    PUT("idles", v.idles);
    PUT("host_wakes", v.host_wakes);
    PUT("mac_busy", v.backlogged);
#undef PUT
    g_string_append(out, ", \"tx_refused\": {");
    for (int e = NIC_TX_OK + 1; e < NIC_TX_ERRORS; e++) {
        g_string_append_printf(out, "%s\"%s\": %" PRIu64, e > NIC_TX_OK + 1 ? ", " : "",
                               nic_tx_error_name(e), n->tx_refused[e]);
    }
    g_string_append(out, "}}\n");
    if (!g_file_set_contents(s->stats_path, out->str, out->len, NULL)) {
        warn_report("vtnet: cannot write %s", s->stats_path);
    }
}

static void vtnet_close(VtNet *s) {
    if (s->vm) {
        vtnet_write_stats(s);
        vt_detach(s->vm); /* within an epoch this breaks it, and the others say so */
        s->vm = NULL;
    }
}

static void vtnet_cleanup(NetClientState *nc) {
    VtNetQueue *q = DO_UPCAST(VtNetQueue, nc, nc);

    vtnet_close(q->net);
    q->net->queue[nc->queue_index] = NULL;
    q->net->queues = MIN(q->net->queues, nc->queue_index);
    g_free(q->frame);
    g_free(q->packet);
}

static void vtnet_exit(Notifier *n, void *data) {
    VtNet *s = container_of(n, VtNet, exit);

    if (s->vm && s->waiting) { /* exit() in the middle of everything */
        vt_abandon(s->vm);
    } else {
        vtnet_close(s);
    }
}

static bool vtnet_has_vnet_hdr(NetClientState *nc) {
    return true;
}

static bool vtnet_has_vnet_hdr_len(NetClientState *nc, int len) {
    return len == sizeof(struct virtio_net_hdr) || len == sizeof(struct virtio_net_hdr_mrg_rxbuf) ||
           len == sizeof(struct virtio_net_hdr_v1_hash);
}

static void vtnet_using_vnet_hdr(NetClientState *nc, bool enable) {
    DO_UPCAST(VtNetQueue, nc, nc)->vnet_hdr = enable;
}

static void vtnet_set_vnet_hdr_len(NetClientState *nc, int len) {
    assert(vtnet_has_vnet_hdr_len(nc, len)); /* the caller has stored it in nc */
}

/* What the guest's receive path takes. Large receive (tso4, tso6) is not offered: no frames are
 * merged. */
static void vtnet_set_offload(NetClientState *nc, int csum, int tso4, int tso6, int ecn, int ufo) {
    DO_UPCAST(VtNetQueue, nc, nc)->net->rx_csum = csum;
}

static NetClientInfo vtnet_info = {
    .type = NET_CLIENT_DRIVER_VTNET,
    .size = sizeof(VtNetQueue),
    .receive = vtnet_receive,
    .receive_iov = vtnet_receive_iov,
    .cleanup = vtnet_cleanup,
    .has_vnet_hdr = vtnet_has_vnet_hdr,
    .has_vnet_hdr_len = vtnet_has_vnet_hdr_len,
    .using_vnet_hdr = vtnet_using_vnet_hdr,
    .set_vnet_hdr_len = vtnet_set_vnet_hdr_len,
    .set_offload = vtnet_set_offload,
};

static void vtnet_add_queue(VtNet *s, NetClientState *peer, const char *name) {
    NetClientState *nc = qemu_new_net_client(&vtnet_info, peer, "vtnet", name);
    VtNetQueue *q = DO_UPCAST(VtNetQueue, nc, nc);

    q->net = s;
    q->frame = g_malloc(MAX(s->info.frame_max, VTNET_MIN_FRAME));
    q->packet = g_malloc(NIC_MAX_PACKET);
    nc->queue_index = s->queues;
    nc->vnet_hdr_len = sizeof(struct virtio_net_hdr);
    nc->do_not_pad = true; /* frames are padded after segmentation */
    qemu_set_info_str(nc, "port=%" PRIu32 "/%" PRIu32 ",%" PRIu32 "Mbit/s,latency=%" PRId64 "ns",
                      s->info.port, s->info.ports, s->info.rate_mbps, s->info.latency_ns);
    s->queue[s->queues++] = q;
}

int net_init_vtnet(const Netdev *netdev, const char *name, NetClientState *peer, Error **errp) {
    const NetdevVtnetOptions *o = &netdev->u.vtnet;
    int queues = o->has_queues ? o->queues : 1;
    char reason[256];
    VtNet *s;

    if (vtnet) {
        error_setg(errp, "vtnet: only one per machine, which has only one clock");
        return -1;
    }
    if (queues < 1 || queues > VTNET_MAX_QUEUES) {
        error_setg(errp, "vtnet: queues=%d is not in 1..%d", queues, VTNET_MAX_QUEUES);
        return -1;
    }
    if (!vtnet_bind_clock(errp)) {
        error_prepend(errp, "vtnet: ");
        return -1;
    }
    s = vtnet = g_new0(VtNet, 1);
    s->vm = vt_attach(o->path, o->port, o->has_sync ? o->sync : 0, reason, sizeof(reason));
    if (!s->vm) {
        error_setg(errp, "vtnet: port %" PRIu32 " of %s: %s", o->port, o->path, reason);
        return -1;
    }
    vt_get_info(s->vm, &s->info);
    s->stop = INT64_MAX;
    s->freerun = o->has_freerun && o->freerun;
    s->stats_path = g_strdup(o->stats);
    s->rx = g_malloc0(VTNET_MAX_VNET_HDR + MAX(s->info.frame_max, 256));
    s->tx_timer = timer_new_ns(QEMU_CLOCK_VIRTUAL, vtnet_tx_timer, s);
    while (s->queues < queues) {
        vtnet_add_queue(s, peer, name);
    }
    error_setg(&s->blocker, "vtnet: the clocks of other machines depend on this one");
    migrate_add_blocker(s->blocker, NULL);
    s->exit.notify = vtnet_exit;
    qemu_add_exit_notifier(&s->exit);
    return 0;
}
