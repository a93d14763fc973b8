/* SPDX-License-Identifier: MIT
 * Copyright (c) The eTran artifact authors
 *
 * Files that grow while the switch runs: packet capture and queue trace. Errors (a full disk) are
 * thrown as std::system_error that names the file, at the latest by close().
 */
#ifndef ETRAN_TRACE_FILES_H
#define ETRAN_TRACE_FILES_H

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

namespace etran {

/* A buffered output file. */
class OutputFile {
  public:
    explicit OutputFile(const std::string &path);
    void write(const void *data, size_t bytes);
    void flush();
    void close();

  private:
    struct Closer {
        void operator()(FILE *f) const { std::fclose(f); }
    };
    [[noreturn]] void fail();

    std::string path_;
    std::unique_ptr<FILE, Closer> file_;
};

/* pcap with nanoseconds, link type Ethernet; Wireshark and tcpdump read it. */
class PcapFile {
  public:
    explicit PcapFile(const std::string &path);
    void frame(int64_t time_ns, const uint8_t *data, uint32_t len);
    void flush() { file_.flush(); }
    void close() { file_.close(); }

  private:
    OutputFile file_;
};

/* CSV: epoch,time_ns,port,depth_bytes. See README.md for when there is a row. */
class QueueTrace {
  public:
    explicit QueueTrace(const std::string &path);
    void sample(uint64_t epoch, int64_t time_ns, uint32_t port, uint64_t depth_bytes);
    void flush() { file_.flush(); }
    void close() { file_.close(); }

  private:
    OutputFile file_;
};

} // namespace etran

#endif
