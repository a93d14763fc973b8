// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "kit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <arpa/inet.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#define EXIT_SKIP 4

struct setup setup;
static struct test *tests;

void test_register(struct test *test)
{
	struct test **end = &tests;

	while (*end)
		end = (struct test **)&(*end)->next;
	*end = test;
}

void fail(const char *file, int line, const char *format, ...)
{
	const char *base = strrchr(file, '/');
	va_list args;

	printf("# %s:%d: ", base ? base + 1 : file, line);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
	_exit(1);
}

void skip(const char *format, ...)
{
	va_list args;

	printf("# skipped: ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
	_exit(EXIT_SKIP);
}

void report(const char *name, double value)
{
	printf("# value %s %.10g\n", name, value);
	fflush(stdout);
}

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

int sysctl_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), ret;

	if (fd < 0)
		return -errno;
	ret = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

void link_up(const char *name, bool up)
{
	int fd = OK(socket(AF_INET, SOCK_DGRAM, 0));
	struct ifreq request = {};

	strncpy(request.ifr_name, name, IFNAMSIZ - 1);
	OK(ioctl(fd, SIOCGIFFLAGS, &request));
	if (up)
		request.ifr_flags |= IFF_UP;
	else
		request.ifr_flags &= ~IFF_UP;
	OK(ioctl(fd, SIOCSIFFLAGS, &request));
	close(fd);
}

/* --- AF_XDP -------------------------------------------------------------------------------------- */

struct umem *umem_new(uint32_t chunks)
{
	struct umem *umem = calloc(1, sizeof(*umem));

	umem->chunks = chunks;
	umem->area = mmap(NULL, (size_t)chunks * CHUNK, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	CHECK(umem->area != MAP_FAILED);
	return umem;
}

void umem_free(struct umem *umem)
{
	munmap(umem->area, (size_t)umem->chunks * CHUNK);
	free(umem);
}

struct xsk_opts xsk_defaults(void)
{
	return (struct xsk_opts){.device = setup.device, .mode = setup.mode};
}

static void ring_map(struct ring *ring, int fd, const struct xdp_ring_offset *off, off_t pgoff,
		     uint32_t size, size_t entry)
{
	ring->size = size;
	ring->map_size = off->desc + size * entry;
	ring->map = mmap(NULL, ring->map_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
			 fd, pgoff);
	CHECK(ring->map != MAP_FAILED);
	ring->producer = ring->map + off->producer;
	ring->consumer = ring->map + off->consumer;
	ring->flags = ring->map + off->flags;
	ring->entries = ring->map + off->desc;
}

int xsk_try_open(struct xsk *xsk, struct umem *umem, const struct xsk_opts *opts)
{
	uint32_t size = opts->ring ? opts->ring : RING;
	struct sockaddr_xdp address = {.sxdp_family = AF_XDP};
	struct xdp_mmap_offsets offsets;
	socklen_t length = sizeof(offsets);
	bool same_queue = false;

	memset(xsk, 0, sizeof(*xsk));
	xsk->umem = umem;
	xsk->fd = OK(socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0));
	if (!opts->shared) {
		struct xdp_umem_reg reg = {
			.addr = (uintptr_t)umem->area,
			.len = (uint64_t)umem->chunks * CHUNK,
			.chunk_size = CHUNK,
			.headroom = opts->headroom,
			.flags = opts->umem_flags,
		};
		OK(setsockopt(xsk->fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof(reg)));
	} else {
		same_queue = opts->bind_flags & XDP_SHARED_UMEM && !opts->shared->fill.map;
		same_queue |= opts->queue == UINT32_MAX;
	}
	if (!same_queue) {
		OK(setsockopt(xsk->fd, SOL_XDP, XDP_UMEM_FILL_RING, &size, sizeof(size)));
		OK(setsockopt(xsk->fd, SOL_XDP, XDP_UMEM_COMPLETION_RING, &size, sizeof(size)));
	}
	if (!opts->no_rx)
		OK(setsockopt(xsk->fd, SOL_XDP, XDP_RX_RING, &size, sizeof(size)));
	if (!opts->no_tx)
		OK(setsockopt(xsk->fd, SOL_XDP, XDP_TX_RING, &size, sizeof(size)));
	OK(getsockopt(xsk->fd, SOL_XDP, XDP_MMAP_OFFSETS, &offsets, &length));
	if (!same_queue) {
		ring_map(&xsk->fill, xsk->fd, &offsets.fr, XDP_UMEM_PGOFF_FILL_RING, size, 8);
		ring_map(&xsk->comp, xsk->fd, &offsets.cr, XDP_UMEM_PGOFF_COMPLETION_RING, size, 8);
	} else {
		xsk->fill = opts->shared->fill;
		xsk->comp = opts->shared->comp;
		xsk->fill.map = xsk->comp.map = NULL;
	}
	if (!opts->no_rx)
		ring_map(&xsk->rx, xsk->fd, &offsets.rx, XDP_PGOFF_RX_RING, size,
			 sizeof(struct xdp_desc));
	if (!opts->no_tx)
		ring_map(&xsk->tx, xsk->fd, &offsets.tx, XDP_PGOFF_TX_RING, size,
			 sizeof(struct xdp_desc));

	address.sxdp_ifindex = OK(if_nametoindex(opts->device) ?: -1);
	address.sxdp_queue_id = opts->queue == UINT32_MAX ? 0 : opts->queue;
	if (opts->shared) {
		address.sxdp_flags = XDP_SHARED_UMEM;
		address.sxdp_shared_umem_fd = opts->shared->fd;
	} else {
		address.sxdp_flags = opts->bind_flags | XDP_USE_NEED_WAKEUP;
		address.sxdp_flags |= opts->mode == MODE_ZC ? XDP_ZEROCOPY : XDP_COPY;
	}
	if (bind(xsk->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return 0;
}

void xsk_open(struct xsk *xsk, struct umem *umem, const struct xsk_opts *opts)
{
	int err;

	/* The queue becomes free only when the last user of its pool is gone, by a work item. */
	WAIT(2000, (err = xsk_try_open(xsk, umem, opts)) != -EBUSY, xsk_close(xsk); usleep(1000));
	if (err)
		FAIL("bind %s queue %u mode %d: %s", opts->device, opts->queue, opts->mode,
		     strerror(-err));
}

void xsk_close(struct xsk *xsk)
{
	struct ring *rings[] = {&xsk->rx, &xsk->tx, &xsk->fill, &xsk->comp};

	for (int i = 0; i < 4; i++)
		if (rings[i]->map)
			munmap(rings[i]->map, rings[i]->map_size);
	close(xsk->fd);
}

uint32_t ring_used(const struct ring *ring)
{
	return __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE) -
	       __atomic_load_n(ring->consumer, __ATOMIC_ACQUIRE);
}

bool tx_put(struct xsk *xsk, uint64_t addr, uint32_t len, uint32_t options)
{
	struct ring *ring = &xsk->tx;
	uint32_t index = *ring->producer;

	if (ring_used(ring) >= ring->size)
		return false;
	((struct xdp_desc *)ring->entries)[index & (ring->size - 1)] =
		(struct xdp_desc){.addr = addr, .len = len, .options = options};
	__atomic_store_n(ring->producer, index + 1, __ATOMIC_RELEASE);
	return true;
}

bool fill_put(struct xsk *xsk, uint64_t addr)
{
	struct ring *ring = &xsk->fill;
	uint32_t index = *ring->producer;

	if (ring_used(ring) >= ring->size)
		return false;
	((uint64_t *)ring->entries)[index & (ring->size - 1)] = addr;
	__atomic_store_n(ring->producer, index + 1, __ATOMIC_RELEASE);
	return true;
}

bool comp_get(struct xsk *xsk, uint64_t *addr)
{
	struct ring *ring = &xsk->comp;
	uint32_t index = *ring->consumer;

	if (!ring_used(ring))
		return false;
	*addr = ((uint64_t *)ring->entries)[index & (ring->size - 1)];
	__atomic_store_n(ring->consumer, index + 1, __ATOMIC_RELEASE);
	return true;
}

bool rx_get(struct xsk *xsk, struct xdp_desc *desc)
{
	struct ring *ring = &xsk->rx;
	uint32_t index = *ring->consumer;

	if (!ring_used(ring))
		return false;
	*desc = ((struct xdp_desc *)ring->entries)[index & (ring->size - 1)];
	__atomic_store_n(ring->consumer, index + 1, __ATOMIC_RELEASE);
	return true;
}

void kick_always(struct xsk *xsk)
{
	if (sendto(xsk->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 && errno != EAGAIN &&
	    errno != EBUSY && errno != ENOBUFS && errno != ENETDOWN && errno != ENXIO)
		FAIL("sendto: %m");
}

void kick(struct xsk *xsk)
{
	/* The flag is looked at after the descriptor was published. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(xsk->tx.flags, __ATOMIC_RELAXED) & XDP_RING_NEED_WAKEUP)
		kick_always(xsk);
}

uint64_t tx_invalid(struct xsk *xsk)
{
	struct xdp_statistics statistics;
	socklen_t length = sizeof(statistics);

	OK(getsockopt(xsk->fd, SOL_XDP, XDP_STATISTICS, &statistics, &length));
	return statistics.tx_invalid_descs;
}

void frame_write(struct umem *umem, uint64_t addr, uint64_t tag, uint32_t len)
{
	struct frame *frame = (struct frame *)(umem->area + addr);

	memset(frame->dst, 0xff, sizeof(frame->dst));
	memset(frame->src, 0x02, sizeof(frame->src));
	frame->type = htons(TEST_ETHERTYPE);
	frame->magic = FRAME_MAGIC;
	frame->tag = tag;
	for (uint32_t i = sizeof(*frame); i < len; i++)
		umem->area[addr + i] = (uint8_t)(tag + i);
}

int tap_open(const char *device)
{
	int fd = OK(socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(TEST_ETHERTYPE)));
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(TEST_ETHERTYPE),
		.sll_ifindex = OK(if_nametoindex(device) ?: -1),
	};
	int size = 64 << 20, one = 1;

	OK(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)));
	OK(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)));
	OK(bind(fd, (struct sockaddr *)&address, sizeof(address)));
	return fd;
}

int tap_read(int fd, uint64_t *tags, int room, uint32_t *len)
{
	uint8_t buffer[2 * CHUNK];
	int count = 0;

	while (count < room) {
		ssize_t got = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
		struct frame *frame = (struct frame *)buffer;

		if (got < 0) {
			if (errno == EAGAIN)
				break;
			FAIL("recv: %m");
		}
		if (got < (ssize_t)sizeof(*frame) || frame->magic != FRAME_MAGIC)
			continue;
		for (ssize_t i = sizeof(*frame); i < got; i++)
			if (buffer[i] != (uint8_t)(frame->tag + i))
				FAIL("tag %llu: byte %zd is %02x", (unsigned long long)frame->tag,
				     i, buffer[i]);
		if (len)
			*len = got;
		tags[count++] = frame->tag;
	}
	return count;
}

void tap_send(int fd, int ifindex, uint64_t tag, uint32_t len)
{
	uint8_t buffer[CHUNK];
	struct umem umem = {.area = buffer};
	struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_ifindex = ifindex};

	frame_write(&umem, 0, tag, len);
	WAIT(1000, sendto(fd, buffer, len, 0, (void *)&address, sizeof(address)) == (ssize_t)len);
}

/* --- BPF ------------------------------------------------------------------------------------------- */

static char log_text[1 << 16];
static size_t log_used;

static int log_keep(enum libbpf_print_level level, const char *format, va_list args)
{
	int n;

	if (level == LIBBPF_DEBUG)
		return 0;
	n = vsnprintf(log_text + log_used, sizeof(log_text) - log_used, format, args);
	if (n > 0 && log_used + n < sizeof(log_text))
		log_used += n;
	return 0;
}

static enum bpf_attach_type attach_type(const char *section)
{

	if (!strncmp(section, "xdp/egress", 10))
		return BPF_XDP_EGRESS;
	if (!strncmp(section, "xdp/gen", 7))
		return BPF_XDP_GEN;
	return BPF_XDP;
}

static struct bpf_object *object_open(const char *name)
{
	struct bpf_program *program;
	struct bpf_object *object;
	char path[128];

	log_used = 0;
	log_text[0] = 0;
	libbpf_set_print(log_keep);
	snprintf(path, sizeof(path), "/bpf/%s.bpf.o", name);
	object = bpf_object__open_file(path, NULL);
	if (!object)
		FAIL("open %s: %m\n%s", path, log_text);
	bpf_object__for_each_program(program, object) {
		const char *section = bpf_program__section_name(program);

		if (strncmp(section, "xdp", 3))
			continue;
		bpf_program__set_type(program, BPF_PROG_TYPE_XDP);
		bpf_program__set_expected_attach_type(program, attach_type(section));
	}
	return object;
}

struct bpf_object *object_load(const char *name)
{
	struct bpf_object *object = object_open(name);

	if (bpf_object__load(object))
		FAIL("load %s: %m\n%s", name, log_text + (log_used > 3000 ? log_used - 3000 : 0));
	return object;
}

char *object_refused(const char *name, const char *wanted)
{
	struct bpf_object *object = object_open(name);
	struct bpf_program *program;
	bool found = false;

	bpf_object__for_each_program(program, object) {
		bool this = !strcmp(bpf_program__name(program), wanted);

		bpf_program__set_autoload(program, this);
		found |= this;
	}
	CHECK(found);
	if (!bpf_object__load(object)) {
		bpf_object__close(object);
		return NULL;
	}
	bpf_object__close(object);
	return log_text;
}

int program_fd(struct bpf_object *object, const char *name)
{
	struct bpf_program *program = bpf_object__find_program_by_name(object, name);

	CHECK(program);
	return OK(bpf_program__fd(program));
}

int map_fd(struct bpf_object *object, const char *name)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object, name);

	CHECK(map);
	return OK(bpf_map__fd(map));
}

int run_program(struct bpf_object *object, const char *name)
{
	char frame[64] = {};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame));

	OK(bpf_prog_test_run_opts(program_fd(object, name), &opts));
	return opts.retval;
}

void *object_vars(struct bpf_object *object)
{
	struct btf *btf = bpf_object__btf(object);
	const struct btf_var_secinfo *info;
	const struct btf_type *section;
	struct bpf_map *map;
	void *memory;
	int id = btf__find_by_name_kind(btf, ".bss", BTF_KIND_DATASEC);

	CHECK(id > 0);
	bpf_object__for_each_map(map, object)
		if (strstr(bpf_map__name(map), ".bss"))
			break;
	CHECK(map);
	memory = mmap(NULL, bpf_map__value_size(map), PROT_READ | PROT_WRITE, MAP_SHARED,
		      bpf_map__fd(map), 0);
	CHECK(memory != MAP_FAILED);
	section = btf__type_by_id(btf, id);
	info = btf_var_secinfos(section);
	for (int i = 0; i < btf_vlen(section); i++) {
		const struct btf_type *var = btf__type_by_id(btf, info[i].type);

		if (!strcmp(btf__name_by_offset(btf, var->name_off), "vars"))
			return (char *)memory + info[i].offset;
	}
	FAIL("no variable 'vars'");
}

uint32_t link_id(int link_fd)
{
	struct bpf_link_info info = {};
	uint32_t size = sizeof(info);

	OK(bpf_obj_get_info_by_fd(link_fd, &info, &size));
	return info.id;
}

int link_queue(int prog_fd, int ifindex, uint32_t queue, uint32_t type)
{
	/* struct link_create of union bpf_attr: prog_fd, ifindex, attach type, flags, queue */
	struct {
		uint32_t prog_fd, ifindex, attach_type, flags, queue;
		uint32_t zero[11];
	} attr = {prog_fd, ifindex, type, 0, queue, {}};
	long fd = syscall(__NR_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));

	return fd < 0 ? -errno : (int)fd;
}

static uint32_t xdp_flags(bool native)
{
	return native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
}

void xdp_attach(int prog_fd, int ifindex, bool native)
{
	OK(bpf_xdp_attach(ifindex, prog_fd, xdp_flags(native), NULL));
}

void xdp_detach(int ifindex, bool native)
{
	bpf_xdp_detach(ifindex, xdp_flags(native), NULL);
}

/* --- Running --------------------------------------------------------------------------------------- */

int main(int argc, char **argv)
{
	const char *match = argc > 4 ? argv[4] : "";
	int failed = 0;

	if (argc < 4) {
		fprintf(stderr, "usage: %s zc|copy DEVICE PEER [PREFIX]\n", argv[0]);
		return 2;
	}
	setup.mode = strcmp(argv[1], "zc") ? MODE_COPY : MODE_ZC;
	setup.device = argv[2];
	setup.peer = argv[3];
	setup.ifindex = if_nametoindex(setup.device);
	setup.peer_ifindex = if_nametoindex(setup.peer);
	if (!setup.ifindex || !setup.peer_ifindex) {
		fprintf(stderr, "no device %s or %s\n", setup.device, setup.peer);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (const struct test *test = tests; test; test = test->next) {
		uint64_t began = now_ns();
		const char *result;
		int status;
		pid_t pid;

		if (strncmp(test->name, match, strlen(match)))
			continue;
		/* Long ones run only when they are asked for. */
		if (!strncmp(test->name, "million_", 8) && strncmp(match, "million_", 8))
			continue;
		fflush(stdout);
		pid = OK(fork());
		if (!pid) {
			test->run();
			fflush(stdout);
			_exit(0);
		}
		OK(waitpid(pid, &status, 0));
		if (!WIFEXITED(status)) {
			printf("# killed by signal %d\n", WTERMSIG(status));
			result = "not ok";
		} else if (WEXITSTATUS(status) == EXIT_SKIP) {
			result = "skip";
		} else {
			result = WEXITSTATUS(status) ? "not ok" : "ok";
		}
		failed += !strcmp(result, "not ok");
		printf("%s %s %.3f\n", result, test->name, (now_ns() - began) / 1e9);
	}
	return failed ? 1 : 0;
}
