// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
//
// Ending early: SIGTERM and SIGINT set a flag and wake every event loop; a second one kills.
#pragma once

namespace etran::wl {

// Installs the handlers and ignores SIGPIPE. Call once, before any thread starts.
void install_signal_handlers();

// Whether the program has been asked to end.
bool stop_requested();

// Asks for the end from inside (a thread that failed, tests).
void request_stop();

// For tests: forget an earlier request.
void reset_stop();

// An eventfd that becomes readable for ever when the program is asked to end. The caller closes
// nothing: it belongs to this module and is shared by all event loops. Throws UserError.
int stop_fd();

} // namespace etran::wl
