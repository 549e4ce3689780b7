// SPDX-License-Identifier: Apache-2.0
#include "sdk/metrics/line.hpp"

#include <cstdio>

namespace tenon::metrics {

std::string head_of(std::string_view name, std::string_view labels) {
    std::string out{name};
    if (!labels.empty()) {
        out.append("{").append(labels).append("}");
    }
    return out.append(" ");
}

std::string seconds(std::int64_t ns) {
    std::array<char, 48> text{};
    const char* sign = ns < 0 ? "-" : "";
    const std::int64_t size = ns < 0 ? -ns : ns;
    (void)std::snprintf(
        text.data(),
        text.size(),
        "%s%lld.%09lld",
        sign,
        static_cast<long long>(size / 1'000'000'000),
        static_cast<long long>(size % 1'000'000'000)
    );
    std::string out{text.data()};
    out.erase(out.find_last_not_of('0') + 1);
    if (out.ends_with('.')) {
        out.pop_back();
    }
    return out;
}

}  // namespace tenon::metrics
