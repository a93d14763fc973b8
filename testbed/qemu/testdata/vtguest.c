// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// Runs inside the machines of test_vtnet.py, static, beside busybox. One sub-command per run; every
// result is one line "RESULT <command> key=value ...", every failure a message and status 1.
//
//   vtguest join|leave|query IFACE         control frame to the NIC, waits for its answer
//   vtguest echo-server PORT SIZE          serves one connection until it closes
//   vtguest echo-client IP PORT SIZE N     N round trips; hash over every one of them in ns
//   vtguest sink PORT                      takes one stream, verifies each byte
//   vtguest stream IP PORT BYTES           sends one, waits for the sink's verdict
//   vtguest channels IFACE N               switches on N queue pairs
//   vtguest segments-send IFACE SRC DST    one packet of protocol 146 for the NIC to cut up
//   vtguest segments-receive               takes and verifies what arrives of it
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "vtnet_control.h"

enum { WARM_UP = 50, CONNECT_TRIES = 200, CHUNK = 1 << 16, PERIOD = 65537 };

static void fail(const char *what) {
    fprintf(stderr, "vtguest: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now_ns(void) {
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void nap(int64_t ns) {
    struct timespec t = {ns / 1000000000, ns % 1000000000};

    nanosleep(&t, NULL);
}

// The test stream repeats after PERIOD bytes: no power of two, so misplaced blocks show. Whole
// blocks are written from it and compared with it, or the verification would be slower than the
// network.
static const uint8_t *pattern(uint64_t at) {
    static uint8_t p[PERIOD + CHUNK];

    if (!p[0]) {
        for (uint32_t i = 0, x = 1; i < PERIOD; i++) {
            x = x * 1664525 + 1013904223;
            p[i] = (uint8_t)(x >> 24 | (i == 0));
        }
        memcpy(p + PERIOD, p, CHUNK);
    }
    return p + at % PERIOD;
}

static int compare(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static void read_all(int fd, void *buf, size_t n) {
    for (size_t got = 0; got < n;) {
        ssize_t r = read(fd, (char *)buf + got, n - got);

        if (r <= 0)
            fail(r ? "read" : "peer closed");
        got += (size_t)r;
    }
}

static void write_all(int fd, const void *buf, size_t n) {
    for (size_t put = 0; put < n;) {
        ssize_t r = write(fd, (const char *)buf + put, n - put);

        if (r <= 0)
            fail("write");
        put += (size_t)r;
    }
}

static int listen_once(int port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1, s = socket(AF_INET, SOCK_STREAM, 0);

    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(s, (struct sockaddr *)&a, sizeof(a)) || listen(s, 1))
        fail("listen");

    int c = accept(s, NULL, NULL);

    if (c < 0)
        fail("accept");
    close(s);
    setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return c;
}

static int connect_to(const char *ip, int port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1;

    if (inet_pton(AF_INET, ip, &a.sin_addr) != 1)
        fail(ip);
    for (int i = 0; i < CONNECT_TRIES; i++) {
        int s = socket(AF_INET, SOCK_STREAM, 0);

        if (!connect(s, (struct sockaddr *)&a, sizeof(a))) {
            setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
            return s;
        }
        close(s);
        nap(1000000);
    }
    fail("connect");
    return -1;
}

static void control(const char *name, const char *iface) {
    int op = !strcmp(name, "join")    ? VTNET_OP_JOIN
             : !strcmp(name, "leave") ? VTNET_OP_LEAVE
                                      : VTNET_OP_QUERY;
    int s = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(VTNET_ETHERTYPE));
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_protocol = htons(VTNET_ETHERTYPE)};
    struct ifreq ifr = {0};
    uint8_t f[2048] = {0x02};
    struct vtnet_control c = {
        .magic = htonl(VTNET_MAGIC), .version = VTNET_VERSION, .op = (uint8_t)op};

    if (s < 0)
        fail("socket");
    snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", iface);
    if (ioctl(s, SIOCGIFHWADDR, &ifr))
        fail(iface);
    memcpy(f + 6, ifr.ifr_hwaddr.sa_data, 6);
    f[12] = VTNET_ETHERTYPE >> 8;
    f[13] = VTNET_ETHERTYPE & 0xff;
    c.cookie = htonl((uint32_t)now_ns());
    memcpy(f + 14, &c, sizeof(c));
    to.sll_ifindex = (int)if_nametoindex(iface);
    if (bind(s, (struct sockaddr *)&to, sizeof(to)))
        fail("bind");
    if (send(s, f, 14 + sizeof(c), 0) < 0)
        fail("send");
    for (uint32_t cookie = c.cookie;;) {
        struct pollfd p = {.fd = s, .events = POLLIN};

        if (poll(&p, 1, 5000) != 1)
            fail("the NIC does not answer");

        ssize_t n = recv(s, f, sizeof(f), 0);

        if (n < (ssize_t)(14 + sizeof(c)))
            continue;
        memcpy(&c, f + 14, sizeof(c));
        if (c.cookie == cookie && c.op == (op | VTNET_OP_REPLY))
            break;
    }
    printf("RESULT %s status=%u epoch=%u port=%u ports=%u in_epoch=%u now=%" PRIu64 "\n", name,
           ntohs(c.status), ntohl(c.epoch), ntohl(c.port), ntohl(c.ports), ntohl(c.in_epoch),
           be64toh(c.now_ns));
    if (ntohs(c.status) != VTNET_STATUS_OK)
        exit(1);
}

static void echo_server(int port, size_t size) {
    int c = listen_once(port);
    char *buf = malloc(size);

    for (;;) {
        ssize_t r = recv(c, buf, size, MSG_WAITALL);

        if (r <= 0)
            return;
        write_all(c, buf, (size_t)r);
    }
}

static void echo_client(const char *ip, int port, size_t size, int n) {
    int c = connect_to(ip, port);
    int64_t *rtt = calloc((size_t)n, sizeof(*rtt));
    char *buf = calloc(1, size);
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (int i = -WARM_UP; i < n; i++) {
        int64_t t = now_ns();

        write_all(c, buf, size);
        read_all(c, buf, size);
        if (i >= 0)
            rtt[i] = now_ns() - t;
    }
    for (int i = 0; i < n; i++) {
        hash ^= (uint64_t)rtt[i];
        hash *= UINT64_C(0x100000001b3);
    }
    qsort(rtt, (size_t)n, sizeof(*rtt), compare);
    printf("RESULT echo n=%d p50=%" PRId64 " p99=%" PRId64 " max=%" PRId64 " hash=%016" PRIx64 "\n",
           n, rtt[n / 2], rtt[n * 99 / 100], rtt[n - 1], hash);
}

static void sink(int port) {
    static uint8_t buf[CHUNK];
    int c = listen_once(port);
    uint64_t total = 0, bad = 0;
    int64_t begin = 0, end = 0;
    ssize_t r;

    pattern(0);
    while ((r = read(c, buf, sizeof(buf))) > 0) {
        end = now_ns();
        if (!begin)
            begin = end;
        bad += memcmp(buf, pattern(total), (size_t)r) != 0;
        total += (uint64_t)r;
    }
    printf("RESULT sink bytes=%" PRIu64 " bad=%" PRIu64 " mbps=%" PRId64 "\n", total, bad,
           end > begin ? (int64_t)total * 8000 / (end - begin) : 0);
    write_all(c, &bad, sizeof(bad));
}

static void stream(const char *ip, int port, uint64_t bytes) {
    int c = connect_to(ip, port);
    uint64_t bad;

    for (uint64_t at = 0; at < bytes;) {
        size_t n = bytes - at < CHUNK ? (size_t)(bytes - at) : CHUNK;

        write_all(c, pattern(at), n);
        at += n;
    }
    shutdown(c, SHUT_WR);
    read_all(c, &bad, sizeof(bad));
    printf("RESULT stream bytes=%" PRIu64 " bad=%" PRIu64 "\n", bytes, bad);
}

static void channels(const char *iface, int n) {
    struct ethtool_channels c = {.cmd = ETHTOOL_GCHANNELS};
    struct ifreq ifr = {0};
    int s = socket(AF_INET, SOCK_DGRAM, 0);

    snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", iface);
    ifr.ifr_data = (void *)&c;
    if (ioctl(s, SIOCETHTOOL, &ifr))
        fail("ETHTOOL_GCHANNELS");
    c.cmd = ETHTOOL_SCHANNELS;
    c.combined_count = (uint32_t)n;
    if (ioctl(s, SIOCETHTOOL, &ifr))
        fail("ETHTOOL_SCHANNELS");
    printf("RESULT channels combined=%u max=%u\n", c.combined_count, c.max_combined);
}

// A transport with a protocol number of its own that has borrowed TCP's header layout in order to
// be segmented by the NIC, as Homa does. Goes to port 0 of the network.
enum { OWN_PROTOCOL = 146, OWN_HEADER = 40, SEGMENT = 1400, MESSAGE = 20001, FIRST_SEQ = 7 };

static void segments_send(const char *iface, const char *src, const char *dst) {
    int on = 1, s = socket(AF_PACKET, SOCK_RAW, 0);
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP)};
    static uint8_t packet[sizeof(struct virtio_net_hdr) + 14 + 20 + OWN_HEADER + MESSAGE];
    struct virtio_net_hdr *h = (void *)packet;
    uint8_t *eth = packet + sizeof(*h), *own = eth + 34;
    struct iphdr *ip = (void *)(eth + 14);
    static const uint8_t mac[6] = {0x52, 0x54, 0, 0, 0, 1};

    to.sll_ifindex = (int)if_nametoindex(iface);
    if (s < 0 || bind(s, (struct sockaddr *)&to, sizeof(to)) ||
        setsockopt(s, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)))
        fail("packet socket");
    h->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    h->gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
    h->hdr_len = 34 + OWN_HEADER;
    h->gso_size = SEGMENT;
    h->csum_start = 34;
    h->csum_offset = 16;
    memcpy(eth, mac, 6);
    memcpy(eth + 6, mac, 6);
    eth[11] = 0xee;
    eth[12] = 0x08;
    ip->version = 4;
    ip->ihl = 5;
    ip->ttl = 64;
    ip->tot_len = htons(20 + OWN_HEADER + MESSAGE);
    ip->protocol = OWN_PROTOCOL;
    inet_pton(AF_INET, src, &ip->saddr);
    inet_pton(AF_INET, dst, &ip->daddr);
    own[7] = FIRST_SEQ;
    own[12] = OWN_HEADER / 4 << 4;
    memcpy(own + OWN_HEADER, pattern(0), MESSAGE);
    if (send(s, packet, sizeof(packet), 0) != sizeof(packet))
        fail("send");
}

static void segments_receive(void) {
    int s = socket(AF_INET, SOCK_RAW, OWN_PROTOCOL), frames = 0;
    uint32_t got = 0;
    uint8_t p[2048];

    if (s < 0)
        fail("raw socket");
    printf("READY\n");
    fflush(stdout);
    while (got < MESSAGE) {
        ssize_t n = recv(s, p, sizeof(p), 0);
        uint8_t *own = p + 20;
        uint32_t seq, left = MESSAGE - got, want = left < SEGMENT ? left : SEGMENT;

        memcpy(&seq, own + 4, 4);
        if (n != (ssize_t)(20 + OWN_HEADER + want) || ntohl(seq) != FIRST_SEQ + got ||
            own[12] != OWN_HEADER / 4 << 4 || memcmp(own + OWN_HEADER, pattern(got), want)) {
            fprintf(stderr, "vtguest: segment %d is wrong\n", frames);
            exit(1);
        }
        got += want;
        frames++;
    }
    printf("RESULT segments frames=%d bytes=%u\n", frames, got);
}

int main(int argc, char **argv) {
    const char *cmd = argc > 1 ? argv[1] : "";

    if (argc == 3 && (!strcmp(cmd, "join") || !strcmp(cmd, "leave") || !strcmp(cmd, "query")))
        control(cmd, argv[2]);
    else if (argc == 4 && !strcmp(cmd, "echo-server"))
        echo_server(atoi(argv[2]), (size_t)atol(argv[3]));
    else if (argc == 6 && !strcmp(cmd, "echo-client"))
        echo_client(argv[2], atoi(argv[3]), (size_t)atol(argv[4]), atoi(argv[5]));
    else if (argc == 3 && !strcmp(cmd, "sink"))
        sink(atoi(argv[2]));
    else if (argc == 5 && !strcmp(cmd, "stream"))
        stream(argv[2], atoi(argv[3]), strtoull(argv[4], NULL, 10));
    else if (argc == 5 && !strcmp(cmd, "segments-send"))
        segments_send(argv[2], argv[3], argv[4]);
    else if (argc == 2 && !strcmp(cmd, "segments-receive"))
        segments_receive();
    else if (argc == 4 && !strcmp(cmd, "channels"))
        channels(argv[2], atoi(argv[3]));
    else
        return fprintf(stderr, "vtguest: bad arguments\n"), 2;
    return fflush(stdout) ? 1 : 0;
}
