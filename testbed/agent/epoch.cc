// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "epoch.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <stdexcept>
#include <vector>

#include <arpa/inet.h>
#include <endian.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>
#include <x86intrin.h>

#include "runner.h"

namespace etran::agent {
namespace {

// Ethernet header; what follows is struct vtnet_control.
constexpr size_t kHeader = 14;
constexpr size_t kFrame = kHeader + sizeof(vtnet_control);

// In the guest's time, which stands still while the NIC waits: only a NIC that is no vtnet port
// leaves a request unanswered.
constexpr timeval kAnswerTimeout{1, 0};

// The TSC of such a machine counts nanoseconds of its virtual clock.
int64_t tsc_ns() {
    return static_cast<int64_t>(__rdtsc());
}

void copy_file(const std::string &from, const std::string &to) {
    const Fd source(open(from.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!source)
        throw_errno("cannot open " + from);
    const Fd target(open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (!target)
        throw_errno("cannot create " + to);
    for (;;) {
        const ssize_t moved = sendfile(target.get(), source.get(), nullptr, 1U << 20);
        if (moved < 0 && errno != EINTR)
            throw_errno("cannot copy " + from + " to " + to);
        if (moved == 0)
            break;
    }
    if (fsync(target.get()) < 0)
        throw_errno("cannot write " + to);
}

} // namespace

EpochLink::EpochLink(const std::string &interface)
    : socket_(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(VTNET_ETHERTYPE))) {
    if (!socket_)
        throw_errno("cannot open a packet socket");
    sockaddr_ll to{};
    to.sll_family = AF_PACKET;
    to.sll_protocol = htons(VTNET_ETHERTYPE);
    to.sll_ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
    if (to.sll_ifindex == 0)
        throw_errno("there is no network interface " + interface);
    if (bind(socket_.get(), reinterpret_cast<sockaddr *>(&to), sizeof to) < 0)
        throw_errno("cannot bind to " + interface);
    ifreq request{};
    interface.copy(request.ifr_name, sizeof request.ifr_name - 1);
    if (ioctl(socket_.get(), SIOCGIFHWADDR, &request) < 0)
        throw_errno("cannot read the address of " + interface);
    std::memcpy(address_.data(), request.ifr_hwaddr.sa_data, address_.size());
    if (setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &kAnswerTimeout, sizeof kAnswerTimeout) <
        0)
        throw_errno("cannot set a time limit");
}

int64_t EpochLink::join() {
    const vtnet_control answer = ask(VTNET_OP_JOIN);
    const auto tsc_zero = static_cast<int64_t>(be64toh(answer.tsc_zero));
    const int64_t tsc = tsc_ns();
    return monotonic_ns() - (tsc - tsc_zero);
}

void EpochLink::leave() {
    ask(VTNET_OP_LEAVE);
}

vtnet_control EpochLink::ask(uint8_t op) {
    constexpr std::array<uint8_t, 6> kNic = VTNET_CONTROL_MAC;
    vtnet_control control{};
    control.magic = htonl(VTNET_MAGIC);
    control.version = VTNET_VERSION;
    control.op = op;
    control.cookie = htonl(op);
    std::array<uint8_t, kFrame> frame{};
    std::copy(kNic.begin(), kNic.end(), frame.begin());
    std::copy(address_.begin(), address_.end(), frame.begin() + 6);
    frame[12] = VTNET_ETHERTYPE >> 8;
    frame[13] = VTNET_ETHERTYPE & 0xff;
    std::memcpy(frame.data() + kHeader, &control, sizeof control);
    if (send(socket_.get(), frame.data(), frame.size(), 0) < 0)
        throw_errno("cannot send to the virtual NIC");
    for (;;) {
        const ssize_t got = recv(socket_.get(), frame.data(), frame.size(), MSG_TRUNC);
        if (got < 0 && errno == EAGAIN)
            throw std::runtime_error("the NIC does not answer: it is not a port of a network in "
                                     "virtual time (a wallclock timetable needs none)");
        if (got < 0)
            throw_errno("cannot receive from the virtual NIC");
        if (static_cast<size_t>(got) < kFrame)
            continue;
        std::memcpy(&control, frame.data() + kHeader, sizeof control);
        if (ntohl(control.magic) == VTNET_MAGIC && control.op == (op | VTNET_OP_REPLY) &&
            ntohl(control.cookie) == op)
            break;
    }
    if (control.version != VTNET_VERSION || ntohs(control.status) != VTNET_STATUS_OK)
        throw std::runtime_error(fmt::format("the virtual NIC refuses operation {}: status {}, "
                                             "its protocol version is {}, ours {}",
                                             op, ntohs(control.status), control.version,
                                             VTNET_VERSION));
    return control;
}

void set_realtime(int64_t unix_ns) {
    const timespec now{unix_ns / 1'000'000'000, unix_ns % 1'000'000'000};
    if (clock_settime(CLOCK_REALTIME, &now) < 0)
        throw_errno("cannot set the clock");
}

void store_results(const std::string &tag, const std::string &out_dir, const std::string &last) {
    std::string mount_point = "/run/etran-results.XXXXXX";
    if (!mkdtemp(mount_point.data()))
        throw_errno("cannot create " + mount_point);
    if (mount(tag.c_str(), mount_point.c_str(), "9p", MS_NOSUID | MS_NODEV | MS_NOEXEC,
              "trans=virtio,version=9p2000.L,msize=262144,cache=none") < 0)
        throw_errno("cannot mount the share " + tag);
    std::vector<std::string> names;
    for (const auto &entry : std::filesystem::directory_iterator(out_dir))
        if (entry.is_regular_file() && !entry.is_symlink() && entry.path().filename() != last)
            names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    names.push_back(last);
    for (const auto &name : names)
        copy_file(out_dir + "/" + name, mount_point + "/" + name);
    if (umount(mount_point.c_str()) < 0)
        throw_errno("cannot unmount the share " + tag);
    rmdir(mount_point.c_str());
}

} // namespace etran::agent
