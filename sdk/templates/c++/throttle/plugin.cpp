// SPDX-License-Identifier: Apache-2.0
#include "token_buckets.hpp"

#include <tenon/json.hpp>
#include <tenon/settings.hpp>
#include <tenon/throttle.hpp>

#include <optional>

namespace {

// The levels, as parts of the rate in the settings.
struct Level {
    std::string_view name;
    std::int64_t times, over;
};

constexpr std::array k_levels{
    Level{"custom", 1, 1},
    Level{"conservative", 1, 2},
    Level{"moderate", 1, 1},
    Level{"aggressive", 2, 1},
    Level{"unlimited", 0, 1}};

class Throttle final : public tenon::Plugin, public tenon::Throttle {
public:
    explicit Throttle(const tenon_host* host) : Plugin{host} { provide<tenon::Throttle>(this); }

    // Also called by `tenon reload`, for settings marked "x-reload": "live".
    void configure(std::string_view json, bool dry_run) override {
        const tenon::Settings settings{json};
        const Rate rate{
            settings.get<std::int64_t>("rate_per_second"), settings.get<std::int64_t>("burst")};
        if (dry_run) {
            return;
        }
        if (!buckets_) {
            limit_ = settings.get<std::string>("limit");
            buckets_.emplace(settings.get<std::size_t>("keys_max"));
        }
        configured_ = rate;
        change_to(level_.load());
    }

    [[nodiscard]] std::optional<std::uint32_t> find(std::string_view limit) const override {
        return limit == limit_ ? std::optional<std::uint32_t>{0} : std::nullopt;
    }

    [[nodiscard]] tenon_status
    take(Claims claims, std::int64_t now_ns, std::int64_t& retry_after_ns) noexcept override {
        std::array<TokenBuckets::Want, TENON_THROTTLE_CLAIMS_MAX> wants{};
        std::size_t count = 0;
        for (const tenon_throttle_claim& claim : claims) {
            if (claim.limit != 0 || claim.cost == 0 || claim.key.n > TokenBuckets::k_key_max) {
                return TENON_INVALID;
            }
            wants[count++] = {tenon::view(claim.key), claim.cost};
        }
        const std::int64_t wait_ns = buckets_->take(wants.data(), count, rate(), now_ns);
        if (wait_ns == TokenBuckets::k_never) {
            return TENON_INVALID;
        }
        (wait_ns == 0 ? taken_ : limited_).fetch_add(1, std::memory_order_relaxed);
        retry_after_ns = wait_ns;
        return wait_ns == 0 ? TENON_OK : TENON_LIMITED;
    }

    void refund(Claims claims, std::int64_t now_ns) noexcept override {
        for (const tenon_throttle_claim& claim : claims) {
            if (claim.limit == 0 && claim.key.n <= TokenBuckets::k_key_max) {
                buckets_->refund({tenon::view(claim.key), claim.cost}, rate(), now_ns);
            }
        }
    }

    [[nodiscard]] bool state(
        std::uint32_t limit,
        std::string_view key,
        std::int64_t now_ns,
        tenon_throttle_state& out
    ) noexcept override {
        if (limit != 0) {
            return false;
        }
        const Rate now = rate();
        const TokenBuckets::Budget budget = buckets_->budget(key, now, now_ns);
        out.burst = now.burst;
        out.available = budget.available;
        out.full_after_ns = budget.full_after_ns;
        out.rate_per_second = now.per_second;
        return true;
    }

    [[nodiscard]] std::string level(std::string_view limit) const override {
        expect(limit);
        return std::string{k_levels[level_.load()].name};
    }

    void set_level(std::string_view limit, std::string_view level) override {
        if (!limit.empty()) {
            expect(limit);
        }
        for (std::size_t i = 0; i < k_levels.size(); ++i) {
            if (k_levels[i].name == level) {
                change_to(i);
                return;
            }
        }
        throw tenon::Error{TENON_INVALID, "there is no level " + std::string{level}};
    }

    [[nodiscard]] std::string stats() const override {
        const Rate now = rate();
        std::string out = "{";
        tenon::append_json(out, limit_);
        out += R"(:{"level":")" + std::string{k_levels[level_.load()].name} +
               R"(","rate_per_second":)" + std::to_string(now.per_second) + R"(,"burst":)" +
               std::to_string(now.burst) + R"(,"keys":)" + std::to_string(buckets_->keys()) +
               R"(,"taken":)" + std::to_string(taken_.load()) + R"(,"limited":)" +
               std::to_string(limited_.load()) + "}}";
        return out;
    }

private:
    void expect(std::string_view limit) const {
        if (limit != limit_) {
            throw tenon::Error{TENON_NOT_FOUND, "there is no limit " + std::string{limit}};
        }
    }

    [[nodiscard]] Rate rate() const noexcept { return {per_second_.load(), burst_.load()}; }

    void change_to(std::size_t index) {
        const Level& level = k_levels[index];
        const auto part = [&](std::int64_t full) {
            return std::max<std::int64_t>(full * level.times / level.over, 1);
        };
        const Rate before = rate();
        const Rate next = level.times == 0
                              ? Rate{0, std::numeric_limits<std::int32_t>::max()}
                              : Rate{part(configured_.per_second), part(configured_.burst)};
        per_second_.store(next.per_second);
        burst_.store(next.burst);
        level_.store(index);
        buckets_->rescale(before, next);
    }

    std::string limit_;
    std::optional<TokenBuckets> buckets_;
    Rate configured_;
    std::atomic<std::size_t> level_{0};
    std::atomic<std::int64_t> per_second_{1}, burst_{1};
    std::atomic<std::uint64_t> taken_{0}, limited_{0};
};

}  // namespace

TENON_EXPORT_PLUGIN(Throttle)
