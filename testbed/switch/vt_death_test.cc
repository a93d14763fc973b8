/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 *
 * VMs that are killed, as processes: the others are released and told why.
 */
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <thread>

#include "test_net.h"
#include "vt_net.h"

namespace etran_test {
namespace {

using testing::HasSubstr;

/* A child process; its end is waited for. */
class Child {
  public:
    /* `body` says something on the pipe by say(); the parent hears it. It ends by _exit. */
    explicit Child(const std::function<void(Child &)> &body) {
        if (pipe(pipe_))
            abort();
        pid_ = fork();
        if (!pid_) {
            body(*this);
            _exit(0);
        }
    }
    ~Child() {
        close(pipe_[0]);
        close(pipe_[1]);
        if (pid_ > 0) {
            kill(pid_, SIGKILL);
            waitpid(pid_, nullptr, 0);
        }
    }
    Child(const Child &) = delete;
    Child &operator=(const Child &) = delete;

    void say() { EXPECT_EQ(write(pipe_[1], "x", 1), 1); }
    void hear() {
        char c;
        EXPECT_EQ(read(pipe_[0], &c, 1), 1);
    }
    void kill_it() {
        kill(pid_, SIGKILL);
        siginfo_t info;
        waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT); // stays a zombie
    }
    pid_t pid() const { return pid_; }

  private:
    int pipe_[2];
    pid_t pid_ = -1;
};

[[noreturn]] void sleep_for_ever() {
    for (;;)
        pause();
}

vt_vm *attach(const std::string &path, uint32_t port) {
    char err[300];
    return vt_attach(path.c_str(), port, 0, err, sizeof(err));
}

void mark_dead(vt_net *net, uint32_t port) {
    while (!vt_mark_dead(net, port))
        std::this_thread::yield();
}

TEST(vt_death, killed_in_the_epoch__others_are_released_and_told) {
    Net net(3);
    Child victim([&net](Child &c) {
        vt_vm *vm = attach(net.path, 1);
        vt_join(vm, -1);
        c.say();
        sleep_for_ever();
    });
    vt_vm *a = net.attach(0), *b = net.attach(2);
    EXPECT_EQ(vt_join(a, 0), VT_AGAIN);
    EXPECT_EQ(vt_join(b, -1), VT_OK);
    EXPECT_EQ(vt_join(a, -1), VT_OK);
    victim.hear();
    std::thread waiting([a] {
        int64_t next;
        EXPECT_EQ(vt_report(a, 1000000, -1, &next), VT_BROKEN);
    });
    victim.kill_it();
    mark_dead(net.net, 1);
    waiting.join();
    int64_t wake;
    EXPECT_EQ(vt_idle(b, 0, 10, -1, &wake), VT_BROKEN);
    EXPECT_THAT(vt_error(b), HasSubstr("the VM at port 1 (process " + std::to_string(victim.pid()) +
                                       ") died while in the epoch"));
    EXPECT_EQ(net.overview().port[1].state, static_cast<uint32_t>(VT_PORT_DEAD));
}

TEST(vt_death, killed_while_joining__others_are_released) {
    Net net(2);
    Child victim([&net](Child &c) {
        vt_vm *vm = attach(net.path, 1);
        c.say();
        sleep_for_ever();
        vt_detach(vm);
    });
    victim.hear();
    vt_vm *a = net.attach(0);
    EXPECT_EQ(vt_join(a, 0), VT_AGAIN);
    victim.kill_it();
    mark_dead(net.net, 1);
    EXPECT_EQ(vt_join(a, -1), VT_BROKEN);
    EXPECT_THAT(vt_error(a), HasSubstr("died while running free"));
}

TEST(vt_death, killed_holding_the_lock__epoch_is_broken_not_hung) {
    for (bool supervisor_first : {false, true}) {
        Net net(2);
        Child victim([&net](Child &c) {
            vt_vm *vm = attach(net.path, 1);
            vt_join(vm, -1);
            vt_net raw;
            char err[300];
            vt_net_open(&raw, net.path.c_str(), err, sizeof(err));
            vt_lock(&raw);
            c.say();
            sleep_for_ever();
        });
        vt_vm *a = net.attach(0);
        EXPECT_EQ(vt_join(a, -1), VT_OK);
        victim.hear();
        EXPECT_FALSE(vt_mark_dead(net.net, 1)) << "the supervisor never waits for the lock";
        std::thread waiting([a] {
            int64_t next;
            EXPECT_EQ(vt_report(a, 5000, -1, &next), VT_BROKEN);
        });
        victim.kill_it();
        if (supervisor_first)
            mark_dead(net.net, 1);
        waiting.join();
        EXPECT_THAT(vt_error(a), HasSubstr("died while it ran the switch"));
        mark_dead(net.net, 1);
        EXPECT_EQ(net.overview().state, static_cast<uint32_t>(VT_NET_BROKEN));
    }
}

TEST(vt_death, killed_at_any_moment__all_others_end) {
    for (uint64_t seed = 1; seed <= 20; seed++) {
        Net net(4);
        const auto nodes = make_endless_nodes(4, seed);
        std::vector<std::unique_ptr<Child>> children;
        for (uint32_t i = 0; i < 4; i++) {
            children.push_back(std::make_unique<Child>([&, i](Child &c) {
                vt_vm *vm = attach(net.path, i);
                NodeResult r = run_node(vm, nodes[i], {.seed = seed});
                if (!r.error.empty())
                    c.say();
                sleep_for_ever();
            }));
        }
        /* Somewhere in the epoch: where exactly depends on the host, which is the point. */
        int64_t until = static_cast<int64_t>(seed % 7) * 20000000; // ps
        vt_overview o{};
        while (o.state != VT_NET_EPOCH || o.clock_ps < until) {
            vt_get_overview(net.net, &o);
            std::this_thread::yield();
        }
        uint32_t victim = static_cast<uint32_t>(seed % 4);
        children[victim]->kill_it();
        mark_dead(net.net, victim);
        for (uint32_t i = 0; i < 4; i++) {
            if (i != victim)
                children[i]->hear();
        }
    }
}

TEST(vt_death, port_of_a_dead_process__can_be_taken_again) {
    Net net(2);
    pid_t pid;
    {
        Child first([&net](Child &c) {
            attach(net.path, 0);
            c.say();
        });
        first.hear();
        pid = first.pid();
    }
    EXPECT_EQ(net.overview().port[0].pid, pid);
    net.attach(0);
}

TEST(vt_create, file__of_a_living_switch_or_of_somebody_else_is_not_replaced) {
    std::string path = test_file();
    vt_setup setup = Net::defaults(2);
    char err[300];
    FILE *f = fopen(path.c_str(), "w");
    fputs("precious", f);
    fclose(f);
    EXPECT_EQ(vt_create(path.c_str(), &setup, err, sizeof(err)), nullptr);
    EXPECT_THAT(err, HasSubstr("is not a file of torswitch"));
    unlink(path.c_str());
    {
        Child other([&](Child &c) {
            vt_create(path.c_str(), &setup, err, sizeof(err));
            c.say();
            sleep_for_ever();
        });
        other.hear();
        EXPECT_EQ(vt_create(path.c_str(), &setup, err, sizeof(err)), nullptr);
        EXPECT_THAT(err, HasSubstr("in use by torswitch (process " + std::to_string(other.pid())));
    }
    vt_net *n = vt_create(path.c_str(), &setup, err, sizeof(err)); // its owner is dead
    EXPECT_NE(n, nullptr) << err;
    vt_destroy(n, path.c_str());
    EXPECT_NE(access(path.c_str(), F_OK), 0);
    EXPECT_EQ(vt_create("/nonexistent/x", &setup, err, sizeof(err)), nullptr);
    EXPECT_THAT(err, HasSubstr("/nonexistent/x: cannot create: No such file"));
}

TEST(vt_create, setup__is_checked) {
    char err[300];
    vt_setup s = Net::defaults(2);
    s.model.latency_ps = INT64_C(100000000) * TOR_NS;
    EXPECT_EQ(vt_create("/dev/shm/x", &s, err, sizeof(err)), nullptr);
    EXPECT_THAT(err, HasSubstr("latency_ns and rate_mbps"));
    s = Net::defaults(2);
    s.sync_ns = -1;
    EXPECT_EQ(vt_create("/dev/shm/x", &s, err, sizeof(err)), nullptr);
    EXPECT_THAT(err, HasSubstr("sync_ns: -1, permitted"));
    s = Net::defaults(2);
    s.trace_bytes = 1000;
    EXPECT_EQ(vt_create("/dev/shm/x", &s, err, sizeof(err)), nullptr);
    EXPECT_THAT(err, HasSubstr("trace_bytes: 1000, permitted"));
    s = Net::defaults(20);
    EXPECT_EQ(vt_create("/dev/shm/x", &s, err, sizeof(err)), nullptr);
    EXPECT_THAT(err, HasSubstr("ports: 20, permitted 2..16"));
}

} // namespace
} // namespace etran_test
