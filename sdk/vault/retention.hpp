// SPDX-License-Identifier: Apache-2.0
// Which backups stay. A pure function of what there is.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tenon::vault {

struct Retention {
    std::size_t last = 28;  // the newest
    // The newest one of each of the last N hours, days, weeks (from Monday) and months (all UTC)
    // that have any.
    std::size_t hourly = 0;
    std::size_t daily = 0;
    std::size_t weekly = 0;
    std::size_t monthly = 0;
};

struct Generation {
    std::string id;
    std::int64_t real_ns = 0;  // Unix time that it reaches
    bool is_proven = false;    // a restore of it was tried and was whole
};

// The ids that are given up, oldest first, of generations in any order. Whatever the policy says:
// the newest stays, the newest proven one stays, and so does everything behind it, because no newer
// proof covers that; without a proven one nothing goes.
[[nodiscard]] std::vector<std::string>
given_up(std::vector<Generation> generations, const Retention& policy);

}  // namespace tenon::vault
