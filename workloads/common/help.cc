// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// --help in the manner of a manual page.
#include <algorithm>
#include <memory>
#include <string>

#include <fmt/format.h>

#include "common/options.h"

namespace etran::wl {
namespace {

constexpr size_t kColumns = 96;

// Breaks `text` at spaces and indents every line.
std::string wrapped(const std::string &text, size_t indent) {
    std::string result;
    std::string line;
    size_t at = 0;
    while (at < text.size()) {
        size_t end = std::min(text.find(' ', at), text.size());
        if (!line.empty() && indent + line.size() + 1 + end - at > kColumns) {
            result += std::string(indent, ' ') + line + "\n";
            line.clear();
        }
        line += (line.empty() ? "" : " ") + text.substr(at, end - at);
        at = end + 1;
    }
    return result + std::string(indent, ' ') + line + "\n";
}

class ManualPage : public CLI::Formatter {
  public:
    std::string make_option(const CLI::Option *option, bool) const override {
        std::string type = option->get_type_name();
        // "TEXT:{sleep,busy}" shows the choices, "UINT:INT in [1 - 256]" only the type.
        size_t colon = type.find(':');
        if (colon != std::string::npos && type.compare(colon, 2, ":{") == 0)
            type.erase(0, colon + 1);
        else if (colon != std::string::npos)
            type.erase(colon);
        std::string text = "  " + option->get_name(false, true);
        if (option->get_expected_max() != 0)
            text += " " + type;
        if (option->get_required())
            text += "  (required)";
        else if (option->get_expected_max() != 0 && !option->get_default_str().empty())
            text += fmt::format("  (default {})", option->get_default_str());
        return text + "\n" + wrapped(option->get_description(), 8);
    }
};

constexpr const char *kFooter = R"(
LATENCY
  Open loop: from the time at which the request was meant to be sent (its Poisson arrival) to the
  arrival of the last byte of the reply, however late it was really sent. Closed loop: from handing
  the request to the transport. Tail percentiles need at least 10 / (1 - q) samples.

EXIT STATUS
  0  measured (or served), everything verified
  1  payload mismatch, peer lost, or nothing could be measured
  2  bad arguments, port in use, server absent, file not writable
  3  interrupted by SIGTERM or SIGINT before the window ended (a server ends with 0)

EXAMPLES
{})";

} // namespace

void style_app(CLI::App &app, const std::string &examples) {
    app.formatter(std::make_shared<ManualPage>());
    app.footer(fmt::format(kFooter, examples));
    app.require_subcommand(1);
}

} // namespace etran::wl
