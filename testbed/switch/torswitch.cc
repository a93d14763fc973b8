/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 *
 * torswitch: the top-of-rack switch of an emulated cluster. See README.md.
 */
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <map>

#include "modes.h"

namespace {

struct Options {
    std::string config;
    uint32_t ports = 0;
    etran::Outputs outputs;
    etran::VirtualOptions virtual_options;
    etran::RealOptions real_options;
};

void add_common(CLI::App *cmd, Options *o) {
    static const std::map<std::string, etran::CapturePoint> points = {
        {"in", etran::CapturePoint::kIn},
        {"out", etran::CapturePoint::kOut},
        {"both", etran::CapturePoint::kBoth}};
    cmd->add_option("--ports", o->ports, "Number of ports (2..16), if --config does not say it");
    cmd->add_option("--config", o->config, "switch.json; every field has a default");
    cmd->add_option("--stats", o->outputs.stats, "Write counters to this JSON file at the end");
    cmd->add_option("--pcap", o->outputs.pcap, "Capture frames to this file (Wireshark opens it)");
    cmd->add_option("--pcap-port", o->outputs.capture_ports,
                    "Capture only this port; may be given several times (default: all)");
    cmd->add_option("--pcap-point", o->outputs.capture,
                    "Capture frames as they come in, as they go out (default), or both")
        ->transform(CLI::CheckedTransformer(points));
    cmd->add_option("--queue-trace", o->outputs.queue_trace,
                    "Write queue depths to this CSV file (every 1000 ns, or as sample_ns says)");
}

int run(int argc, char **argv) {
    Options o;
    CLI::App app("Top-of-rack switch of an emulated cluster");
    app.require_subcommand(1);
    CLI::App *virt = app.add_subcommand("virtual", "Synchronised virtual time: creates the shared "
                                                   "file and watches the VMs that attach to it");
    virt->add_option("--file", o.virtual_options.file, "Shared file to create, in /dev/shm")
        ->required();
    virt->add_option("--spin", o.virtual_options.spin,
                     "Pauses before a waiting VM sleeps; useful if there are fewer VMs than cores");
    virt->add_option("--epochs", o.virtual_options.epochs,
                     "End after this many epochs (default 1); 0: when all VMs have detached");
    add_common(virt, &o);
    CLI::App *real = app.add_subcommand("real", "Real time: UNIX datagram sockets, port<i>.sw for "
                                                "the switch and port<i>.vm for the VM");
    real->add_option("--dir", o.real_options.dir, "Directory of the sockets")->required();
    add_common(real, &o);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError &e) {
        return app.exit(e) ? 2 : 0;
    }
    etran::SwitchConfig config = etran::load_config(o.config, o.ports);
    etran::complete_sampling(&config, o.outputs);
    return virt->parsed() ? etran::run_virtual(o.virtual_options, config, o.outputs)
                          : etran::run_real(o.real_options, config, o.outputs);
}

} // namespace

int main(int argc, char **argv) {
    try {
        return run(argc, argv);
    } catch (const std::exception &e) {
        fmt::print(stderr, "torswitch: {}\n", e.what());
        return 2;
    }
}
