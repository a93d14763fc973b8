// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
#include "kvbench/kv_client.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <span>

#include <fmt/format.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/pattern.h"
#include "common/signals.h"
#include "kvbench/kv_protocol.h"

namespace etran::wl {
namespace {

constexpr size_t kBufferBytes = kMaxLineBytes + kMaxValueBytes + 16 * 1024;
constexpr uint32_t kKeyDigits = 8;
constexpr int kStartBurst = 4; // connections started per turn, so that answers are read meanwhile
constexpr uint32_t kPreloadOutstanding = 32; // per connection
constexpr uint64_t kValueSalt = 0x76616c7565ULL;
constexpr std::string_view kStored = "STORED\r\n";
constexpr std::string_view kEnd = "END\r\n";
constexpr std::string_view kValue = "VALUE ";
constexpr std::string_view kValueEnd = "\r\nEND\r\n";

bool would_block(int error) {
    return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

void put_hex(char *to, uint32_t value) {
    for (int shift = 28; shift >= 0; shift -= 4)
        *to++ = "0123456789abcdef"[(value >> shift) & 15];
}

// Writes "<key>" at `to`.
void put_key(char *to, const std::string &key_template, uint32_t key) {
    std::memcpy(to, key_template.data(), key_template.size());
    put_hex(to + key_template.size() - kKeyDigits, key);
}

} // namespace

std::string key_text(uint32_t key, uint32_t bytes) {
    std::string text = "key-" + std::string(bytes - 4, '0');
    put_hex(text.data() + bytes - kKeyDigits, key);
    return text;
}

uint32_t value_position(uint32_t key) {
    return Pattern::start(key ^ kValueSalt);
}

void KvClient::Fifo::push(const Request &request) {
    if (size() == ring_.size()) {
        std::vector<Request> larger(2 * ring_.size());
        for (size_t i = head_; i != tail_; i++)
            larger[i & (larger.size() - 1)] = ring_[i & (ring_.size() - 1)];
        ring_.swap(larger);
    }
    ring_[tail_++ & (ring_.size() - 1)] = request;
}

KvClient::KvClient(const KvLoad &load, const KeyChooser &keys)
    : load_(load), keys_(keys), loop_(load.poll),
      recorder_(2, load.open() ? SampleBy::kIntended : SampleBy::kCompletion, load.dump),
      arrival_prng_(derive_seed(load.seed, Purpose::kArrivals, load.thread)),
      key_prng_(derive_seed(load.seed, Purpose::kKeys, load.thread)),
      operation_prng_(derive_seed(load.seed, Purpose::kOperations, load.thread)),
      key_template_(key_text(0, load.key_bytes)),
      value_header_(fmt::format("{}{} 0 {}\r\n", kValue, key_template_, load.value_bytes)),
      value_answer_bytes_(value_header_.size() + load.value_bytes + kValueEnd.size()),
      buffer_(std::make_unique_for_overwrite<char[]>(kBufferBytes)) {}

KvClient::~KvClient() {
    for (const std::unique_ptr<Connection> &connection : connections_)
        close(connection->fd);
}

void KvClient::connect(const std::vector<Address> &targets, int64_t deadline) {
    std::vector<int> fds = connect_all(targets, deadline);
    for (int fd : fds) {
        auto connection = std::make_unique<Connection>();
        connection->fd = fd;
        connection->tag = connections_.size();
        connections_.push_back(std::move(connection));
        loop_.add(fd, EPOLLIN, connections_.back()->tag);
    }
}

// ---- what to send and when

void KvClient::preload() {
    phase_ = Phase::kPreload;
    preload_next_ = load_.thread;
    for (const std::unique_ptr<Connection> &connection : connections_)
        preload_more(*connection);
    while (under_way_ > 0 && !stopped_ && !stop_requested())
        turn(kNever);
}

void KvClient::preload_more(Connection &connection) {
    while (preload_next_ < keys_.keys() && connection.requests.size() < kPreloadOutstanding &&
           !stopped_) {
        send(connection, {0, static_cast<uint32_t>(preload_next_), kKvSet});
        preload_next_ += load_.threads;
    }
}

void KvClient::start(Window window) {
    window_ = window;
    recorder_.set_window(window);
    phase_ = Phase::kLoad;
    if (load_.open())
        draw_arrival();
}

void KvClient::run() {
    while (!stopped_ && !stop_requested()) {
        int64_t now = mono_ns();
        int64_t deadline = window_.start;
        if (load_.open())
            send_due(now);
        if (now >= window_.end) {
            phase_ = Phase::kDrain;
            window_over_ = true;
            deadline = window_.end + load_.drain_ns;
            bool all_sent = !load_.open() || arrival_.at >= window_.end;
            if ((all_sent && under_way_ == 0) || now >= deadline)
                break;
        } else if (load_.open()) {
            deadline = window_.end;
            if (under_way_ < load_.max_outstanding)
                deadline = std::min(deadline, arrival_.at);
        } else if (now >= window_.start) {
            deadline = start_more() ? 0 : window_.end;
        }
        turn(deadline);
    }
    conclude();
}

bool KvClient::start_more() {
    for (int n = 0; n < kStartBurst && started_ < connections_.size(); n++, started_++) {
        for (uint32_t i = 0; i < load_.outstanding && !stopped_; i++)
            send_random(*connections_[started_]);
    }
    return started_ < connections_.size();
}

KvOperation KvClient::draw_operation() {
    return operation_prng_.unit() <= load_.get_share ? kKvGet : kKvSet;
}

void KvClient::draw_arrival() {
    arrival_clock_ += arrival_prng_.exponential(1e9 / load_.rate);
    arrival_.at = window_.start + static_cast<int64_t>(arrival_clock_);
    arrival_.key = keys_.sample(key_prng_);
    arrival_.operation = draw_operation();
}

void KvClient::send_due(int64_t now) {
    while (arrival_.at <= now && arrival_.at < window_.end && under_way_ < load_.max_outstanding &&
           !stopped_) {
        Connection &connection = *connections_[next_connection_];
        next_connection_ = next_connection_ + 1 == connections_.size() ? 0 : next_connection_ + 1;
        send(connection, {arrival_.at, arrival_.key, arrival_.operation});
        now = mono_ns();
        recorder_.late(arrival_.at, now);
        draw_arrival();
    }
}

void KvClient::send_random(Connection &connection) {
    uint32_t key = keys_.sample(key_prng_);
    KvOperation operation = draw_operation();
    send(connection, {mono_ns(), key, operation});
}

void KvClient::conclude() {
    if (!load_.open())
        return;
    for (const std::unique_ptr<Connection> &connection : connections_) {
        for (Fifo &left = connection->requests; left.size() > 0; left.pop())
            recorder_.unfinished(left.front().operation, left.front().from);
    }
    while (arrival_.at < window_.end) {
        recorder_.unfinished(arrival_.operation, arrival_.at);
        draw_arrival();
    }
}

// ---- the connections

void KvClient::turn(int64_t deadline) {
    std::array<epoll_event, 64> events;
    int n = loop_.wait(events, deadline);
    for (int i = 0; i < n && !stopped_; i++) {
        const epoll_event &event = events[static_cast<size_t>(i)];
        Connection &connection = *connections_[event.data.u64];
        if (event.events & EPOLLOUT)
            flush(connection);
        if (event.events & ~static_cast<uint32_t>(EPOLLOUT) && !stopped_)
            receive(connection);
    }
}

void KvClient::send(Connection &connection, const Request &request) {
    // "get <key>\r\n" or "set <key> 0 0 <bytes>\r\n<value>\r\n"
    constexpr size_t kStack = 1024;
    std::array<char, kStack> stack;
    std::string heap;
    size_t room = load_.key_bytes + load_.value_bytes + 32;
    char *text = stack.data();
    if (room > kStack) {
        heap.resize(room);
        text = heap.data();
    }
    char *end = text;
    auto add = [&end](std::string_view piece) {
        std::memcpy(end, piece.data(), piece.size());
        end += piece.size();
    };
    add(request.operation == kKvGet ? "get " : "set ");
    put_key(end, key_template_, request.key);
    end += load_.key_bytes;
    if (request.operation == kKvSet) {
        add(" 0 0 ");
        end = std::to_chars(end, end + 16, load_.value_bytes).ptr;
        add("\r\n");
        std::memcpy(end, Pattern::get().at(value_position(request.key)), load_.value_bytes);
        end += load_.value_bytes;
    }
    add("\r\n");
    connection.requests.push(request);
    under_way_++;
    auto length = static_cast<size_t>(end - text);
    ssize_t written = 0;
    if (connection.output.empty()) {
        written = write(connection.fd, text, length);
        if (written == static_cast<ssize_t>(length))
            return;
        if (written < 0 && !would_block(errno)) {
            stop(std::strerror(errno));
            return;
        }
        written = std::max<ssize_t>(written, 0);
    }
    connection.output.append(text + written, length - static_cast<size_t>(written));
    want_write(connection, true);
}

void KvClient::flush(Connection &connection) {
    ssize_t n = write(connection.fd, connection.output.data(), connection.output.size());
    if (n < 0) {
        if (!would_block(errno))
            stop(std::strerror(errno));
        return;
    }
    connection.output.erase(0, static_cast<size_t>(n));
    want_write(connection, !connection.output.empty());
}

void KvClient::want_write(Connection &connection, bool on) {
    if (connection.want_write == on)
        return;
    connection.want_write = on;
    loop_.modify(connection.fd, EPOLLIN | (on ? static_cast<uint32_t>(EPOLLOUT) : 0),
                 connection.tag);
}

void KvClient::receive(Connection &connection) {
    size_t before = connection.input.size();
    if (before > 0)
        std::memcpy(buffer_.get(), connection.input.data(), before);
    ssize_t n = read(connection.fd, buffer_.get() + before, kBufferBytes - before);
    if (n < 0 && would_block(errno))
        return;
    if (n <= 0) {
        stop(n == 0 ? "closed by the server" : std::strerror(errno));
        return;
    }
    int64_t now = mono_ns();
    std::string_view input(buffer_.get(), before + static_cast<size_t>(n));
    while (!input.empty() && !stopped_) {
        if (connection.requests.size() == 0) {
            stop("the server answered more than was asked");
            return;
        }
        size_t used = take_answer(connection.requests.front(), input);
        if (used == 0)
            break;
        input.remove_prefix(used);
        answered(connection, now);
    }
    connection.input.assign(input);
}

size_t KvClient::take_answer(const Request &request, std::string_view input) {
    if (request.operation == kKvGet) {
        if (input.size() >= value_answer_bytes_ && input.starts_with(kValue))
            return take_value(request, input);
        if (input.starts_with(kEnd)) {
            misses_ += phase_ == Phase::kPreload ? 0 : 1;
            return kEnd.size();
        }
    } else if (input.starts_with(kStored)) {
        verified_ += load_.verify && phase_ != Phase::kPreload ? 1 : 0;
        return kStored.size();
    }
    // Incomplete, or an error message.
    size_t end = input.find('\n');
    if (end == std::string_view::npos && input.size() < kMaxLineBytes)
        return 0;
    std::string_view line = input.substr(0, std::min(end, input.size()));
    if (request.operation == kKvGet && line.starts_with(kValue) && right_header(request, input))
        return 0;
    line = line.substr(0, std::min<size_t>(line.find('\r'), 80));
    stop(fmt::format("the server answered '{}'", line));
    return 0;
}

// Whether `input` starts with "VALUE <key> 0 <bytes>\r\n" as it must.
bool KvClient::right_header(const Request &request, std::string_view input) const {
    std::string_view header = value_header_;
    size_t digits = kValue.size() + load_.key_bytes - kKeyDigits;
    std::array<char, kKeyDigits> key;
    put_hex(key.data(), request.key);
    return input.size() >= header.size() && input.substr(0, digits) == header.substr(0, digits) &&
           input.substr(digits, kKeyDigits) == std::string_view(key.data(), kKeyDigits) &&
           input.substr(digits + kKeyDigits, header.size() - digits - kKeyDigits) ==
               header.substr(digits + kKeyDigits);
}

// Of a GET that hit; all of the answer is there.
size_t KvClient::take_value(const Request &request, std::string_view input) {
    std::string_view value = input.substr(value_header_.size(), load_.value_bytes);
    std::string_view rest = input.substr(value_header_.size() + load_.value_bytes);
    if (!right_header(request, input) || !rest.starts_with(kValueEnd)) {
        stop(fmt::format("the answer to a get of {} is none: '{}'",
                         key_text(request.key, load_.key_bytes),
                         input.substr(0, std::min<size_t>(input.find('\r'), 80))));
        return 0;
    }
    if (load_.verify) {
        auto data = std::as_bytes(std::span(value.data(), value.size()));
        uint32_t position = value_position(request.key);
        if (Pattern::get().matches(position, data)) [[likely]]
            verified_++;
        else
            fail(fmt::format("byte {} of the value of {} is wrong",
                             Pattern::get().first_difference(position, data),
                             key_text(request.key, load_.key_bytes)));
    }
    return value_answer_bytes_;
}

void KvClient::answered(Connection &connection, int64_t now) {
    Request request = connection.requests.front();
    connection.requests.pop();
    under_way_--;
    if (phase_ == Phase::kPreload) {
        preload_more(connection);
        return;
    }
    bool get = request.operation == kKvGet;
    recorder_.complete(request.operation, request.from, now,
                       load_.key_bytes + (get ? 0 : load_.value_bytes),
                       get ? load_.value_bytes : 0);
    if (!load_.open() && now < window_.end)
        send_random(connection);
}

void KvClient::stop(const std::string &why) {
    fail(why);
    stopped_ = true;
}

void KvClient::fail(const std::string &what) {
    errors_++;
    if (problem_.empty())
        problem_ = what;
}

} // namespace etran::wl
