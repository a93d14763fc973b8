/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 *
 * A shared file and ports on it, removed at the end of the test.
 */
#ifndef ETRAN_TEST_NET_H
#define ETRAN_TEST_NET_H

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "test_nodes.h"
#include "vt_core.h"
#include "vt_file.h"

namespace etran_test {

class Net {
  public:
    explicit Net(const vt_setup &setup) : path(test_file()) {
        char err[400] = "";
        net = vt_create(path.c_str(), &setup, err, sizeof(err));
        EXPECT_NE(net, nullptr) << err;
    }
    explicit Net(uint32_t ports) : Net(defaults(ports)) {}
    ~Net() {
        for (vt_vm *vm : vms)
            vt_detach(vm);
        vt_destroy(net, path.c_str());
    }
    Net(const Net &) = delete;
    Net &operator=(const Net &) = delete;

    static vt_setup defaults(uint32_t ports) {
        vt_setup s;
        vt_setup_default(&s, ports);
        return s;
    }

    /* Detached with the Net, unless given to vt_detach() and taken from `vms` before. */
    vt_vm *attach(uint32_t port, int64_t sync_ns = 0) {
        char err[400] = "";
        vt_vm *vm = vt_attach(path.c_str(), port, sync_ns, err, sizeof(err));
        EXPECT_NE(vm, nullptr) << err;
        vms.push_back(vm);
        return vm;
    }

    /* The message of an attach that must fail. */
    std::string refused(uint32_t port) {
        char err[400] = "";
        vt_vm *vm = vt_attach(path.c_str(), port, 0, err, sizeof(err));
        EXPECT_EQ(vm, nullptr);
        vt_detach(vm);
        return err;
    }

    /* All ports, in an epoch, at virtual time 0; one thread is enough, since nobody waits. */
    void join_all(uint32_t ports, int64_t sync_ns = 0) {
        for (uint32_t i = 0; i < ports; i++)
            attach(i, sync_ns);
        for (uint32_t i = 0; i < ports; i++)
            EXPECT_EQ(vt_join(vms[i], 0), i + 1 < ports ? VT_AGAIN : VT_OK);
        for (uint32_t i = 0; i + 1 < ports; i++)
            EXPECT_EQ(vt_join(vms[i], 0), VT_OK);
    }

    vt_overview overview() const {
        vt_overview o;
        vt_get_overview(net, &o);
        return o;
    }

    std::string path;
    vt_net *net;
    std::vector<vt_vm *> vms;
};

} // namespace etran_test

#endif
