// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tenon::monitor {

struct HealthAnswer {
    std::uint32_t status = 200;
    std::string body;
};

// From the report of tenon.health/1. Throws when it is not one.
// /healthz: the whole report; 503 when the state is critical.
[[nodiscard]] HealthAnswer healthz(std::string_view report);
// /readyz: {"ready":bool,"reasons":[…]}; 503 with what is not started or critical while not ready.
[[nodiscard]] HealthAnswer readyz(std::string_view report);

}  // namespace tenon::monitor
