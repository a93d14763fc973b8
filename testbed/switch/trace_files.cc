/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 */
#include "trace_files.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <system_error>

namespace etran {

OutputFile::OutputFile(const std::string &path)
    : path_(path), file_(std::fopen(path.c_str(), "we")) {
    if (!file_)
        fail();
}

void OutputFile::write(const void *data, size_t bytes) {
    if (std::fwrite(data, 1, bytes, file_.get()) != bytes)
        fail();
}

void OutputFile::flush() {
    if (file_ && std::fflush(file_.get()))
        fail();
}

void OutputFile::close() {
    if (file_ && std::fclose(file_.release()))
        fail();
}

void OutputFile::fail() {
    throw std::system_error(errno, std::generic_category(), path_ + ": cannot write");
}

PcapFile::PcapFile(const std::string &path) : file_(path) {
    const struct {
        uint32_t magic = 0xa1b23c4d; // nanoseconds, byte order of the writer
        uint16_t major = 2, minor = 4;
        uint32_t zone = 0, accuracy = 0;
        uint32_t snap_length = 65535;
        uint32_t link_type = 1; // Ethernet
    } header;
    static_assert(sizeof(header) == 24);
    file_.write(&header, sizeof(header));
}

void PcapFile::frame(int64_t time_ns, const uint8_t *data, uint32_t len) {
    const std::array<uint32_t, 4> header = {static_cast<uint32_t>(time_ns / 1000000000),
                                            static_cast<uint32_t>(time_ns % 1000000000), len, len};
    file_.write(header.data(), sizeof(header));
    file_.write(data, len);
}

QueueTrace::QueueTrace(const std::string &path) : file_(path) {
    const std::string header = "epoch,time_ns,port,depth_bytes\n";
    file_.write(header.data(), header.size());
}

void QueueTrace::sample(uint64_t epoch, int64_t time_ns, uint32_t port, uint64_t depth_bytes) {
    std::array<char, 96> line;
    auto end = fmt::format_to_n(line.data(), line.size(), "{},{},{},{}\n", epoch, time_ns, port,
                                depth_bytes);
    file_.write(line.data(), end.size);
}

} // namespace etran
