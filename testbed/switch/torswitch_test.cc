/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 *
 * The program as a whole, as a launcher sees it: options, output, files, exit status.
 */
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "test_nodes.h"
#include "tor_model.h"

namespace etran_test {
namespace {

using nlohmann::json;
using testing::HasSubstr;
namespace fs = std::filesystem;

/* torswitch as a child process. */
class Program {
  public:
    explicit Program(const std::vector<std::string> &args) {
        int out[2];
        if (pipe(out))
            abort();
        pid_ = fork();
        if (!pid_) {
            std::vector<char *> argv = {const_cast<char *>(TORSWITCH)};
            for (const std::string &a : args)
                argv.push_back(const_cast<char *>(a.c_str()));
            argv.push_back(nullptr);
            dup2(out[1], 1);
            dup2(out[1], 2);
            close(out[0]);
            execv(TORSWITCH, argv.data());
            _exit(127);
        }
        close(out[1]);
        out_ = fdopen(out[0], "r");
    }
    ~Program() {
        if (pid_ > 0) {
            kill(pid_, SIGKILL);
            waitpid(pid_, nullptr, 0);
        }
        fclose(out_);
    }
    Program(const Program &) = delete;
    Program &operator=(const Program &) = delete;

    /* Reads lines until one has this event; fails at the end of output. */
    json event(const std::string &name) {
        char line[4096];
        while (fgets(line, sizeof(line), out_)) {
            text += line;
            json j = json::parse(line, nullptr, false);
            if (j.is_object() && j.value("event", "") == name)
                return j;
        }
        ADD_FAILURE() << "no event " << name << " in:\n" << text;
        return {};
    }

    /* Reads what is left and returns the exit status. */
    int wait() {
        char line[4096];
        while (fgets(line, sizeof(line), out_))
            text += line;
        int status = 0;
        waitpid(pid_, &status, 0);
        pid_ = -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }

    void signal(int sig) const { kill(pid_, sig); }

    std::string text; // everything read so far

  private:
    pid_t pid_;
    FILE *out_;
};

class torswitch : public testing::Test {
  protected:
    torswitch() : shm(test_file()), dir(fs::temp_directory_path() / fs::path(shm).filename()) {
        fs::create_directories(dir);
    }
    ~torswitch() override {
        fs::remove_all(dir);
        fs::remove(shm);
    }

    std::string file(const std::string &name) const { return dir / name; }
    std::string write(const std::string &name, const std::string &text) const {
        std::ofstream(file(name)) << text;
        return file(name);
    }
    json stats() const { return json::parse(std::ifstream(file("stats.json"))); }

    std::string shm;
    fs::path dir;
};

struct Packet {
    int64_t time_ns;
    Bytes data;
};

std::vector<Packet> read_pcap(const std::string &path) {
    std::ifstream in(path, std::ios::binary);
    uint32_t header[6], record[4];
    std::vector<Packet> packets;
    in.read(reinterpret_cast<char *>(header), sizeof(header));
    EXPECT_EQ(header[0], 0xa1b23c4du);
    EXPECT_EQ(header[5], 1u);
    while (in.read(reinterpret_cast<char *>(record), sizeof(record))) {
        Packet p{record[0] * INT64_C(1000000000) + record[1], Bytes(record[2])};
        EXPECT_EQ(record[2], record[3]);
        in.read(reinterpret_cast<char *>(p.data.data()), record[2]);
        EXPECT_TRUE(in.good());
        packets.push_back(std::move(p));
    }
    return packets;
}

TEST_F(torswitch, virtual__epoch_with_all_outputs) {
    std::string config = write("switch.json", R"({"ports": 3, "ecn_k_bytes": 2000})");
    Program p({"virtual", "--file", shm, "--config", config, "--stats", file("stats.json"),
               "--pcap", file("out.pcap"), "--queue-trace", file("queue.csv")});
    p.event("ready");
    auto nodes = make_nodes(3, 1, 300000, 80);
    uint64_t received = 0;
    for (const NodeResult &r : run_parallel(shm, nodes, {})) {
        EXPECT_EQ(r.error, "");
        received += r.received;
    }
    json end = p.event("epoch_end");
    EXPECT_EQ(end["epoch"], 1);
    EXPECT_NEAR(end["virtual_ms"].get<double>(), 0.302, 1e-9);
    EXPECT_EQ(p.wait(), 0) << p.text;
    EXPECT_FALSE(fs::exists(shm));

    json s = stats();
    EXPECT_EQ(s["state"], "ok");
    EXPECT_EQ(s["reproducible"], true);
    EXPECT_EQ(s["trace_lost"], 0);
    EXPECT_EQ(s["config"]["ecn_k_bytes"], 2000);
    ASSERT_EQ(s["epochs"].size(), 1u);
    EXPECT_EQ(s["epochs"][0]["virtual_ns"], 302000);
    uint64_t tx = 0;
    for (const json &port : s["epochs"][0]["ports"])
        tx += port["tx_frames"].get<uint64_t>();
    EXPECT_GE(tx, received);

    std::vector<Packet> packets = read_pcap(file("out.pcap"));
    EXPECT_EQ(packets.size(), tx);
    int64_t last = 0;
    for (const Packet &packet : packets) {
        EXPECT_GE(packet.time_ns, last);
        last = packet.time_ns;
        EXPECT_TRUE(ip_checksum_ok(packet.data));
    }
    std::ifstream csv(file("queue.csv"));
    std::string line;
    std::getline(csv, line);
    EXPECT_EQ(line, "epoch,time_ns,port,depth_bytes");
    int rows = 0;
    while (std::getline(csv, line)) {
        EXPECT_THAT(line, testing::ContainsRegex("^1,[0-9]+000,[0-2],[0-9]+$"));
        rows++;
    }
    EXPECT_GT(rows, 10);
}

TEST_F(torswitch, virtual__capture_of_one_port_both_ways_and_two_epochs) {
    Program p({"virtual", "--file", shm, "--ports", "2", "--epochs", "2", "--pcap",
               file("out.pcap"), "--pcap-port", "0", "--pcap-point", "both", "--stats",
               file("stats.json")});
    p.event("ready");
    auto nodes = make_nodes(2, 3, 100000, 50);
    std::vector<std::thread> vms;
    for (uint32_t i = 0; i < 2; i++) {
        vms.emplace_back([this, &nodes, i] {
            char err[200];
            vt_vm *vm = vt_attach(shm.c_str(), i, 0, err, sizeof(err));
            for (int epoch = 0; epoch < 2; epoch++)
                EXPECT_EQ(run_node(vm, nodes[i], {}).error, "");
            vt_detach(vm);
        });
    }
    for (std::thread &t : vms)
        t.join();
    EXPECT_EQ(p.wait(), 0) << p.text;
    json s = stats();
    ASSERT_EQ(s["epochs"].size(), 2u);
    EXPECT_EQ(s["epochs"][0]["ports"], s["epochs"][1]["ports"]);
    const json &port = s["epochs"][0]["ports"][0];
    auto packets = read_pcap(file("out.pcap"));
    ASSERT_EQ(packets.size(),
              2 * (port["rx_frames"].get<size_t>() + port["tx_frames"].get<size_t>()));
    for (size_t i = 0; i < packets.size() / 2; i++) {
        const Packet &a = packets[i], &b = packets[i + packets.size() / 2];
        EXPECT_EQ(b.time_ns - a.time_ns, INT64_C(3600000000000));
        EXPECT_EQ(a.data, b.data);
    }
}

TEST_F(torswitch, virtual__dead_vm_breaks_the_epoch) {
    Program p({"virtual", "--file", shm, "--ports", "2", "--stats", file("stats.json")});
    p.event("ready");
    auto nodes = make_endless_nodes(2, 1);
    pid_t victim = fork();
    if (!victim) {
        char err[200];
        run_node(vt_attach(shm.c_str(), 1, 0, err, sizeof(err)), nodes[1], {});
        _exit(0);
    }
    char err[200];
    vt_vm *vm = vt_attach(shm.c_str(), 0, 0, err, sizeof(err));
    ASSERT_NE(vm, nullptr);
    NodeResult result;
    std::thread other([&] { result = run_node(vm, nodes[0], {}); });
    p.event("progress"); // it has run for a second
    kill(victim, SIGKILL);
    EXPECT_EQ(p.wait(), 1);
    other.join();
    waitpid(victim, nullptr, 0);
    std::string what = fmt::format("the VM at port 1 (process {}) died while in the epoch", victim);
    EXPECT_THAT(result.error, HasSubstr(what));
    EXPECT_THAT(p.text, HasSubstr(what));
    EXPECT_EQ(stats()["state"], "broken");
    EXPECT_EQ(stats()["reason"], what);
    EXPECT_FALSE(fs::exists(shm));
    vt_detach(vm);
}

TEST_F(torswitch, virtual__signal_cleans_up_and_releases_vms) {
    for (int sig : {SIGINT, SIGTERM}) {
        Program p({"virtual", "--file", shm, "--ports", "2", "--stats", file("stats.json")});
        p.event("ready");
        char err[200];
        vt_vm *vm = vt_attach(shm.c_str(), 0, 0, err, sizeof(err));
        ASSERT_NE(vm, nullptr);
        EXPECT_EQ(vt_join(vm, 0), VT_AGAIN);
        p.signal(sig);
        EXPECT_EQ(vt_join(vm, -1), VT_BROKEN);
        EXPECT_THAT(vt_error(vm), HasSubstr("interrupted"));
        EXPECT_EQ(p.wait(), 128 + sig);
        EXPECT_FALSE(fs::exists(shm));
        EXPECT_EQ(stats()["state"], "interrupted");
        vt_detach(vm);
    }
}

TEST_F(torswitch, virtual__vms_that_go_without_an_epoch_are_an_error) {
    Program p({"virtual", "--file", shm, "--ports", "2"});
    p.event("ready");
    char err[200];
    vt_vm *a = vt_attach(shm.c_str(), 0, 0, err, sizeof(err));
    vt_vm *b = vt_attach(shm.c_str(), 1, 0, err, sizeof(err));
    vt_detach(a);
    vt_detach(b);
    json e = p.event("error");
    EXPECT_THAT(e["message"].get<std::string>(), HasSubstr("detached after 0 of 1 epochs"));
    EXPECT_EQ(p.wait(), 1);
}

TEST_F(torswitch, virtual__full_disk_ends_the_epoch_with_the_reason) {
    Program p({"virtual", "--file", shm, "--ports", "2", "--pcap", "/dev/full"});
    p.event("ready");
    auto nodes = make_endless_nodes(2, 1);
    for (const NodeResult &r : run_parallel(shm, nodes, {}))
        EXPECT_THAT(r.error, HasSubstr("No space left on device"));
    EXPECT_EQ(p.wait(), 1);
    EXPECT_THAT(p.text, HasSubstr("/dev/full: cannot write: No space left on device"));
}

TEST_F(torswitch, errors__before_anything_starts) {
    struct {
        std::vector<std::string> args;
        const char *message;
    } cases[] = {
        {{"virtual"}, "--file is required"},
        {{"virtual", "--file", shm}, "ports: missing"},
        {{"virtual", "--file", shm, "--ports", "99"}, "ports: 99, permitted 2..16"},
        {{"virtual", "--file", shm, "--config", "/nonexistent"}, "/nonexistent: cannot read"},
        {{"virtual", "--file", shm, "--config", write("bad.json", R"({"ports":2,"latency_ns":1})")},
         "bad.json: latency_ns: 1, permitted"},
        {{"virtual", "--file", shm, "--ports", "2", "--pcap", "/nonexistent/x"},
         "/nonexistent/x: cannot write: No such file"},
        {{"virtual", "--file", shm, "--ports", "2", "--pcap", file("x"), "--pcap-port", "2"},
         "--pcap-port: 2, permitted 0..1"},
        {{"virtual", "--file", write("precious", "data"), "--ports", "2"},
         "exists and is not a file of torswitch"},
        {{"real", "--dir", "/nonexistent", "--ports", "2"}, "/nonexistent: not a directory"},
        {{}, "subcommand is required"},
    };
    for (const auto &c : cases) {
        Program p(c.args);
        EXPECT_EQ(p.wait(), 2) << p.text;
        EXPECT_THAT(p.text, HasSubstr(c.message));
        EXPECT_FALSE(fs::exists(shm));
    }
}

TEST_F(torswitch, virtual__file_in_use) {
    Program first({"virtual", "--file", shm, "--ports", "2"});
    first.event("ready");
    Program second({"virtual", "--file", shm, "--ports", "2"});
    EXPECT_EQ(second.wait(), 2);
    EXPECT_THAT(second.text, HasSubstr("in use by torswitch (process"));
    EXPECT_TRUE(fs::exists(shm));
    first.signal(SIGKILL);
    EXPECT_EQ(first.wait(), -1);
    Program third({"virtual", "--file", shm, "--ports", "2"}); // what a dead one left is replaced
    third.event("ready");
    third.signal(SIGTERM);
    EXPECT_EQ(third.wait(), 128 + SIGTERM);
}

/* The VM's end of a cable in real mode. */
class Plug {
  public:
    Plug(const fs::path &dir, unsigned port) : fd_(socket(AF_UNIX, SOCK_DGRAM, 0)) {
        sockaddr_un self = address(dir / fmt::format("port{}.vm", port));
        sockaddr_un peer = address(dir / fmt::format("port{}.sw", port));
        EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr *>(&self), sizeof(self)), 0);
        EXPECT_EQ(connect(fd_, reinterpret_cast<sockaddr *>(&peer), sizeof(peer)), 0);
    }
    ~Plug() { close(fd_); }
    Plug(const Plug &) = delete;
    Plug &operator=(const Plug &) = delete;

    void send(const Bytes &f) const {
        EXPECT_EQ(::send(fd_, f.data(), f.size(), 0), static_cast<ssize_t>(f.size()));
    }
    Bytes receive() const {
        Bytes b(10000);
        ssize_t n = recv(fd_, b.data(), b.size(), 0);
        b.resize(n < 0 ? 0 : static_cast<size_t>(n));
        return b;
    }

  private:
    static sockaddr_un address(const std::string &path) {
        sockaddr_un a{};
        a.sun_family = AF_UNIX;
        strncpy(a.sun_path, path.c_str(), sizeof(a.sun_path) - 1);
        return a;
    }
    int fd_;
};

TEST_F(torswitch, real__forwards_counts_and_cleans_up) {
    Program p({"real", "--dir", dir, "--ports", "3", "--stats", file("stats.json"), "--pcap",
               file("out.pcap")});
    p.event("ready");
    Plug a(dir, 0), b(dir, 1);
    Bytes f = make_frame({.len = 500, .tag = 1}),
          g = make_frame({.dst = node_mac(0), .src = node_mac(1)});
    a.send(f); // unknown: flooded, nobody at port 2
    EXPECT_EQ(b.receive(), f);
    for (int i = 0; i < 200; i++) {
        b.send(g);
        EXPECT_EQ(a.receive(), g);
    }
    p.signal(SIGTERM);
    EXPECT_EQ(p.wait(), 0) << p.text;
    EXPECT_FALSE(fs::exists(dir / "port0.sw"));
    json s = stats();
    EXPECT_EQ(s["mode"], "real");
    EXPECT_EQ(s["ports"][0]["tx_frames"], 200);
    EXPECT_EQ(s["ports"][1]["tx_frames"], 1);
    EXPECT_EQ(s["ports"][2]["unreachable"], 1);
    EXPECT_EQ(read_pcap(file("out.pcap")).size(), 202u);
}

TEST_F(torswitch, real__socket_in_use) {
    Program first({"real", "--dir", dir, "--ports", "2"});
    first.event("ready");
    Program second({"real", "--dir", dir, "--ports", "2"});
    EXPECT_EQ(second.wait(), 2);
    EXPECT_THAT(second.text, HasSubstr("port0.sw: in use by another process"));
    first.signal(SIGKILL);
    first.wait();
    Program third({"real", "--dir", dir, "--ports", "2"}); // sockets left behind are replaced
    third.event("ready");
    third.signal(SIGINT);
    EXPECT_EQ(third.wait(), 0);
}

} // namespace
} // namespace etran_test
