// SPDX-License-Identifier: Apache-2.0
// A throttle under test, with the limits that its stats name and that are in force.
#pragma once

#include "sdk/conformance/suites/suites.hpp"

#include <tenon/abi/throttle.h>
#include <tenon/decimal.hpp>

#include <boost/json/parse.hpp>

#include <string>
#include <vector>

namespace tenon::suites {

inline constexpr std::int64_t k_second = 1'000'000'000;
inline constexpr std::int64_t k_start = 1'000'000 * k_second;

struct Limit {
    std::string name;
    std::uint32_t id;
    std::int64_t burst, rate;
};

struct Taken {
    tenon_status status;
    std::int64_t retry_after_ns;
};

class Throttle {
public:
    explicit Throttle(Bench& bench) : instance_{bench.open()} {
        table_ = instance_->service<tenon_throttle_1>("tenon.throttle/1");
        const boost::json::value stats = parsed_stats();
        for (const auto& [name, one] : stats.as_object()) {
            Limit limit{std::string{name}, 0, 0, 0};
            expect_status(
                table_->find(table_.self, str(limit.name), &limit.id),
                TENON_OK,
                text("find of ", limit.name, ", which stats name")
            );
            const tenon_throttle_state now = state(limit, "", k_start);
            limit.burst = now.burst;
            limit.rate = now.rate_per_second;
            const bool limited = level(limit.name) != "unlimited";
            if (limited && limit.burst > 0 && limit.burst < (std::int64_t{1} << 31U)) {
                limits_.push_back(limit);
            }
        }
    }

    // At least one; those that are in force.
    [[nodiscard]] const std::vector<Limit>& limits() const {
        if (limits_.empty()) {
            throw NotApplicable{"the settings have no limit in force; give some with --settings"};
        }
        return limits_;
    }

    [[nodiscard]] boost::json::value parsed_stats() const {
        StringSink out;
        ErrorBuffer err;
        expect_status(table_->stats(table_.self, out.sink(), &err), TENON_OK, "stats", &err);
        boost::json::error_code wrong;
        boost::json::value stats = boost::json::parse(out.text(), wrong);
        expect(!wrong && stats.is_object(), "stats are no JSON object: ", out.text());
        return stats;
    }

    [[nodiscard]] Taken take(const std::vector<tenon_throttle_claim>& claims, std::int64_t now_ns)
        const {
        Taken taken{TENON_OK, -1};
        taken.status = table_->take(
            table_.self,
            claims.data(),
            static_cast<std::uint32_t>(claims.size()),
            now_ns,
            &taken.retry_after_ns
        );
        return taken;
    }

    [[nodiscard]] Taken
    take(const Limit& limit, std::string_view key, std::int64_t cost, std::int64_t now_ns) const {
        return take({{limit.id, static_cast<std::uint32_t>(cost), str(key)}}, now_ns);
    }

    void refund(const Limit& limit, std::string_view key, std::int64_t cost, std::int64_t now_ns)
        const {
        const tenon_throttle_claim claim{limit.id, static_cast<std::uint32_t>(cost), str(key)};
        table_->refund(table_.self, &claim, 1, now_ns);
    }

    [[nodiscard]] tenon_throttle_state
    state(const Limit& limit, std::string_view key, std::int64_t now_ns) const {
        tenon_throttle_state out{};
        out.size = sizeof out;
        expect_status(
            table_->state(table_.self, limit.id, str(key), now_ns, &out),
            TENON_OK,
            text("state of ", limit.name)
        );
        return out;
    }

    [[nodiscard]] std::string level(const std::string& limit) const {
        StringSink out;
        ErrorBuffer err;
        expect_status(
            table_->level(table_.self, str(limit), out.sink(), &err), TENON_OK, "level", &err
        );
        return out.text();
    }

    [[nodiscard]] const Service<tenon_throttle_1>& table() const noexcept { return table_; }

private:
    std::unique_ptr<Instance> instance_;
    Service<tenon_throttle_1> table_;
    std::vector<Limit> limits_;
};

inline void expect_taken(const Taken& taken, tenon_status wanted, const std::string& what) {
    expect_status(taken.status, wanted, what);
}

}  // namespace tenon::suites
