// SPDX-License-Identifier: GPL-2.0-or-later
// Copyright (c) The eTran artifact authors
/*
 * vtnet: frames between the guest's NIC and the network. Contracts in vtnet_int.h.
 */
#include "qemu/osdep.h"

#include "net/queue.h"
#include "qemu/bswap.h"
#include "qemu/iov.h"
#include "qemu/log.h"
#include "standard-headers/linux/virtio_net.h"

#include "vtnet_int.h"

/* ---- from the network to the guest ---- */

static int vtnet_header_len(const VtNetQueue *q) {
    return q->vnet_hdr ? q->nc.vnet_hdr_len : 0;
}

/* Queue pairs that the driver has switched on. */
static int vtnet_rx_queues(VtNet *s) {
    int n = 0;

    while (n < s->queues) {
        NetClientState *peer = s->queue[n]->nc.peer;

        if (!peer || !peer->info->can_receive || !peer->info->can_receive(peer)) {
            break;
        }
        n++;
    }
    return n;
}

void vtnet_rx_frame(VtNet *s, const uint8_t *data, uint32_t len) {
    struct virtio_net_hdr *hdr = (struct virtio_net_hdr *)s->rx;
    int queues = vtnet_rx_queues(s);
    enum nic_rx_csum csum;
    VtNetQueue *q;
    int header;

    if (queues == 0) {
        s->stats.rx_not_ready++;
        return;
    }
    /* With virtio's own RSS on, the device steers again by the guest's table. */
    q = s->queue[queues > 1 ? nic_flow_hash(data, len) % queues : 0];
    header = vtnet_header_len(q);
    memset(s->rx, 0, header);
    memcpy(s->rx + header, data, len);
    if (header) {
        csum = nic_rx_check(data, len);
        s->stats.rx_csum_good += csum == NIC_RX_CSUM_GOOD;
        s->stats.rx_csum_bad += csum == NIC_RX_CSUM_BAD;
        if (s->rx_csum && csum == NIC_RX_CSUM_GOOD) {
            hdr->flags = VIRTIO_NET_HDR_F_DATA_VALID;
        }
    }
    /* Not qemu_send_packet(): it would keep without bound what a NIC drops. */
    if (qemu_receive_packet(q->nc.peer, s->rx, header + len) == 0) {
        s->stats.rx_no_buffer++;
        return;
    }
    s->stats.rx_frames++;
}

void vtnet_rx(VtNet *s, int64_t now) {
    vt_frame f;

    while (vt_peek(s->vm, &f) && f.at <= now) {
        vtnet_rx_frame(s, f.data, f.len);
        vt_pop(s->vm);
    }
}

/* ---- from the guest to the network ---- */

/* Builds the next wire frame of the queue if there is none waiting. */
static void vtnet_build(VtNetQueue *q) {
    uint32_t len;

    if (q->frame_len) {
        return;
    }
    len = nic_tx_frame(&q->tx, q->frame);
    if (len < VTNET_MIN_FRAME) {
        memset(q->frame + len, 0, VTNET_MIN_FRAME - len);
        len = VTNET_MIN_FRAME;
    }
    q->frame_len = len;
}

static vt_status vtnet_send(VtNet *s, VtNetQueue *q, int64_t *retry_at) {
    bool epoch = vt_in_epoch(s->vm);

    if (s->pending) { /* the main loop has disturbed a wait, and now a timer: not yet */
        *retry_at = vtnet_clock() - s->zero + 1;
        return VT_BUSY;
    }
    if (!epoch && !s->freerun) {
        return VT_DROPPED;
    }
    return vt_send(s->vm, q->frame, q->frame_len, epoch ? vtnet_clock() - s->zero : 0, retry_at);
}

/*
 * The transmit engine: queues take turns, one wire frame each, until the MAC has its backlog full
 * (tx_timer goes on then) or there is nothing left.
 */
static void vtnet_tx_run(VtNet *s) {
    int idle = 0;

    while (idle < s->queues) {
        VtNetQueue *q = s->queue[s->next_tx];
        int64_t retry_at;
        vt_status r;

        if (q->state != TX_ACTIVE) {
            s->next_tx = (s->next_tx + 1) % s->queues;
            idle++;
            continue;
        }
        idle = 0;
        vtnet_build(q);
        r = vtnet_send(s, q, &retry_at);
        switch (r) {
        case VT_BUSY:
            timer_mod(s->tx_timer, s->zero + retry_at);
            return;
        case VT_OK:
            s->stats.tx_frames++;
            break;
        case VT_DROPPED:
            s->stats.tx_lost++;
            break;
        default:
            vtnet_fatal(s, "send");
        }
        q->frame_len = 0;
        if (nic_tx_frame_len(&q->tx) == 0) {
            q->state = TX_DONE;
        }
        s->next_tx = (s->next_tx + 1) % s->queues;
    }
}

/* Tells the NIC that its packets are on the way; it comes with the next ones. */
void vtnet_tx_timer(void *opaque) {
    VtNet *s = opaque;

    vtnet_tx_run(s);
    for (int i = 0; i < s->queues; i++) {
        VtNetQueue *q = s->queue[i];

        if (q->state == TX_DONE) {
            if (q->orphan) {
                q->orphan = false;
                q->state = TX_EMPTY;
            }
            /* qemu_flush_queued_packets() would also wake the main loop. */
            q->nc.receive_disabled = 0;
            qemu_net_queue_flush(q->nc.incoming_queue);
        }
    }
}

/* False: malformed or no frame for the wire; nothing is to be sent. */
static bool vtnet_tx_begin(VtNetQueue *q, const struct iovec *iov, int iovcnt) {
    struct virtio_net_hdr hdr = {0};
    struct nic_tx_request req;
    int header = vtnet_header_len(q);
    size_t len = iov_size(iov, iovcnt);
    VtNet *s = q->net;
    enum nic_tx_error e;

    if (len < header || len - header > NIC_MAX_PACKET) {
        e = len < header ? NIC_TX_TOO_SHORT : NIC_TX_TOO_LONG;
        goto refuse;
    }
    if (header) {
        iov_to_buf(iov, iovcnt, 0, &hdr, MIN(header, sizeof(hdr)));
    }
    len -= header;
    iov_to_buf(iov, iovcnt, header, q->packet, len);
    if (len >= 14 && lduw_be_p(q->packet + 12) == VTNET_ETHERTYPE) {
        vtnet_control_request(s, q->packet, len);
        return false;
    }
    req = (struct nic_tx_request){
        .csum = hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM,
        .csum_start = hdr.csum_start,
        .csum_offset = hdr.csum_offset,
        .gso_size = hdr.gso_size,
    };
    switch (hdr.gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
    case VIRTIO_NET_HDR_GSO_NONE:
        break;
    case VIRTIO_NET_HDR_GSO_TCPV4:
    case VIRTIO_NET_HDR_GSO_TCPV6:
        req.tso = true;
        break;
    default:
        e = NIC_TX_GSO_PROTO;
        goto refuse;
    }
    e = nic_tx_begin(&q->tx, &req, q->packet, len, s->info.frame_max);
    if (e == NIC_TX_OK) {
        s->stats.tx_packets++;
        return true;
    }
refuse:
    s->stats.tx_refused[e]++;
    qemu_log_mask(LOG_GUEST_ERROR, "vtnet: packet of %zu bytes refused: %s\n", len,
                  nic_tx_error_name(e));
    return false;
}

/*
 * A packet from the NIC. 0 = "not yet": it is offered again when its last frame has been taken by
 * the MAC, and only then the guest sees it as sent.
 */
ssize_t vtnet_receive_iov(NetClientState *nc, const struct iovec *iov, int iovcnt) {
    VtNetQueue *q = DO_UPCAST(VtNetQueue, nc, nc);
    VtNet *s = q->net;

    if (!s->vm || s->waiting) {
        return iov_size(iov, iovcnt); /* from the main loop (announce_self) */
    }
    switch (q->state) {
    case TX_EMPTY:
        if (!vtnet_tx_begin(q, iov, iovcnt)) {
            break;
        }
        q->state = TX_ACTIVE;
        if (!timer_pending(s->tx_timer)) {
            vtnet_tx_run(s);
        }
        if (q->state != TX_DONE) {
            return 0;
        }
        /* fall through */
    case TX_DONE:
        q->state = TX_EMPTY;
        break;
    case TX_ACTIVE:
        /* Only after the packet on its way was purged (reset of a queue, "stop"). */
        q->orphan = true;
        return 0;
    }
    return iov_size(iov, iovcnt);
}

ssize_t vtnet_receive(NetClientState *nc, const uint8_t *buf, size_t size) {
    struct iovec iov = {.iov_base = (void *)buf, .iov_len = size};

    return vtnet_receive_iov(nc, &iov, 1);
}
