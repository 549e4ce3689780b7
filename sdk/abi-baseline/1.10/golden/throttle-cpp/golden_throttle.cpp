// SPDX-License-Identifier: Apache-2.0
// One limit ("golden"), one budget for all keys: burst 2, one a second, as in the one in C.
#include <tenon/throttle.hpp>

#include <algorithm>
#include <atomic>

class GoldenThrottle final : public tenon::Plugin, public tenon::Throttle {
public:
    explicit GoldenThrottle(const tenon_host* host) : Plugin{host} {
        provide<tenon::Throttle>(this);
    }

    void configure(std::string_view, bool) override {}

    std::optional<std::uint32_t> find(std::string_view limit) const override {
        return limit == "golden" ? std::optional{0U} : std::nullopt;
    }

    tenon_status take(Claims claims, std::int64_t now_ns, std::int64_t& retry_after_ns) noexcept
        override {
        const std::int64_t cost = cost_of(claims);
        if (cost == 0 || cost > k_burst) {
            return TENON_INVALID;
        }
        std::int64_t full = full_at_ns_;
        std::int64_t next = 0;
        do {
            next = std::max(full, now_ns) + cost * k_interval_ns;
            if (next - now_ns > k_burst * k_interval_ns) {
                retry_after_ns = next - now_ns - k_burst * k_interval_ns;
                return TENON_LIMITED;
            }
        } while (!full_at_ns_.compare_exchange_weak(full, next));
        return TENON_OK;
    }

    void refund(Claims claims, std::int64_t) noexcept override {
        full_at_ns_ -= cost_of(claims) * k_interval_ns;
    }

    bool state(
        std::uint32_t limit,
        std::string_view,
        std::int64_t now_ns,
        tenon_throttle_state& out
    ) noexcept override {
        out.burst = k_burst;
        out.rate_per_second = 1;
        out.full_after_ns = std::max<std::int64_t>(full_at_ns_ - now_ns, 0);
        out.available = k_burst - (out.full_after_ns + k_interval_ns - 1) / k_interval_ns;
        return limit == 0;
    }

    std::string level(std::string_view limit) const override {
        check_limit(limit);
        return aggressive_ ? "aggressive" : "conservative";
    }

    void set_level(std::string_view limit, std::string_view level) override {
        if (!limit.empty()) {
            check_limit(limit);
        }
        if (level != "conservative" && level != "aggressive") {
            throw tenon::Error{TENON_INVALID, "levels are conservative and aggressive"};
        }
        aggressive_ = level == "aggressive";
    }

    std::string stats() const override { return R"({"golden":{"burst":2}})"; }

private:
    static constexpr std::int64_t k_burst = 2;
    static constexpr std::int64_t k_interval_ns = 1'000'000'000;

    static std::int64_t cost_of(Claims claims) noexcept {
        std::int64_t cost = 0;
        for (const tenon_throttle_claim& claim : claims) {
            cost += claim.cost;
        }
        return cost;
    }

    static void check_limit(std::string_view limit) {
        if (limit != "golden") {
            throw tenon::Error{TENON_NOT_FOUND, "there is the limit golden only"};
        }
    }

    std::atomic<std::int64_t> full_at_ns_{0};
    std::atomic<bool> aggressive_{false};
};

TENON_EXPORT_PLUGIN(GoldenThrottle)
