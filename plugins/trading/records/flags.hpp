// SPDX-License-Identifier: Apache-2.0
// /api/flags: the switches of optimisations, for keys with the permission admin. A flag is a live
// boolean setting that its plugin marks as such; its name is PLUGIN.SETTING. Asked and changed by
// the server's own commands settings.list, settings.set and settings.unset, which also write the
// audit log. Signatures are not checked here.
//
//   GET    /api/flags        {"data":[{"name","title","description","on","deployment","overridden",
//                            "by","reason"}],"generation":N}
//   PUT    /api/flags/NAME   {"on":true,"reason":"…"} -> {"name","on","before","generation"}
//   DELETE /api/flags/NAME   back to the deployment's; the same answer
//
// One reactor's. Questions at once are bounded by AdminLine; more are 503.
#pragma once

#include "plugins/trading/records/request.hpp"
#include "sdk/admin/admin_line.hpp"

#include <tenon/json.hpp>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace tenon::records {

// What a body wants. Throws ApiFailure 400.
struct FlagChange {
    std::optional<bool> on;  // empty: as the deployment says
    std::string reason;
};

[[nodiscard]] FlagChange read_flag_change(const Request& request);

// The answer of settings.list as this API tells it. Throws ApiFailure 500 for what is no answer.
[[nodiscard]] std::string flags_answer(std::string_view line);

class Flags {
public:
    using Done = std::function<void(Answer)>;

    // Who sent it, for the audit log: "key:…".
    Flags(AdminLine& line, Service<tenon_clock_1> clock) : line_{line}, clock_{clock} {}

    // `done` is called once, later, unless this throws ApiFailure.
    void answer(const Request& request, const std::string& actor, Done done);

private:
    void list(Done done);
    void change(const FlagChange& wanted, std::string name, std::string actor, Done done);
    [[nodiscard]] bool ask(const std::string& line, AdminLine::Done done);

    AdminLine& line_;
    Service<tenon_clock_1> clock_;
};

// Of the OpenAPI document: the operations of /api/flags and /api/flags/{name}.
[[nodiscard]] std::string_view flags_operations();
[[nodiscard]] std::string_view flag_operations();

}  // namespace tenon::records
