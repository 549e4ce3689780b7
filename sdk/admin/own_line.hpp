// SPDX-License-Identifier: Apache-2.0
// Steering by this server's own admin socket, for threads that may wait.
//
// ask() waits for the answer, at most as long as it is told; close() ends what waits with an error,
// so that a stop, which the server's answers may wait for, waits for nobody.
#pragma once

#include "sdk/admin/admin_line.hpp"

#include <tenon/plugin.hpp>

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <string>
#include <string_view>

namespace tenon {

class OwnLine {
public:
    OwnLine(Service<tenon_exec_1> exec, Service<tenon_clock_1> clock, std::string data_dir);
    ~OwnLine();
    OwnLine(const OwnLine&) = delete;
    OwnLine& operator=(const OwnLine&) = delete;

    // Not on a reactor. The command's answer. Throws Error: TENON_UNAVAILABLE when nobody answered,
    // TENON_CONFLICT and TENON_INVALID as the command refused.
    [[nodiscard]] boost::json::value
    ask(std::string_view command, boost::json::object args, std::int64_t patience_ms);
    // Not on a reactor. Nothing is asked any more.
    void close() noexcept;

private:
    Service<tenon_exec_1> exec_;
    Service<tenon_clock_1> clock_;
    AdminLine line_;  // reactor 0's
};

}  // namespace tenon
