// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/host/account.hpp"

#include <initializer_list>
#include <string_view>
#include <utility>

namespace tenon::conformance {
namespace {

using Counts = std::initializer_list<std::pair<const std::atomic<std::int64_t>*, std::string_view>>;

std::string listed(Counts counts) {
    std::string text;
    for (const auto& [count, what] : counts) {
        const std::int64_t held = count->load();
        if (held != 0) {
            text.append(text.empty() ? "" : ", ").append(std::to_string(held));
            text.append(" ").append(what);
        }
    }
    return text;
}

}  // namespace

std::string Account::runtime_text() const {
    return listed(
        {{&timers, "timers"},
         {&watches, "watched fds"},
         {&hooks, "turn hooks"},
         {&posts, "posts"},
         {&blocking, "pool jobs"}}
    );
}

std::string Account::lifetime_text() const {
    const std::string runtime = runtime_text();
    const std::string rest = listed(
        {{&collectors, "metrics callbacks"},
         {&commands, "admin commands"},
         {&subscriptions, "subscriptions"}}
    );
    return runtime + (runtime.empty() || rest.empty() ? "" : ", ") + rest;
}

}  // namespace tenon::conformance
