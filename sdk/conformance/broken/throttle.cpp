// SPDX-License-Identifier: Apache-2.0
// A throttle of token buckets under one lock: the reference of the throttle suite, and what it
// looks like when a rule is broken. Budgets count billionths of a token, so that nothing is rounded
// away.
#include "sdk/conformance/broken/fault.hpp"

#include <tenon/abi/throttle.h>
#include <tenon/decimal.hpp>
#include <tenon/plugin.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace tenon::broken {
namespace {

constexpr std::int64_t k_unit = 1'000'000'000;

struct Level {
    std::string_view name;
    std::int64_t rate, burst;
};

struct Rule {
    std::string_view name;
    std::array<Level, 3> levels;
};

constexpr std::array<Rule, 2> k_rules{{
    {"orders", {{{"conservative", 10, 20}, {"moderate", 20, 40}, {"aggressive", 50, 100}}}},
    {"weight",
     {{{"conservative", 1'000, 300}, {"moderate", 2'000, 600}, {"aggressive", 5'000, 900}}}},
}};

struct Bucket {
    Int128 tokens = 0;  // billionths
    std::int64_t at_ns = 0, last_ns = 0;
    std::int64_t blocked_until_ns = 0;
};

struct Limit {
    const Rule* rule = nullptr;
    std::size_t level = 0;
    std::map<std::string, Bucket, std::less<>> buckets;
    std::uint64_t taken = 0, limited = 0;

    [[nodiscard]] std::int64_t rate() const { return rule->levels[level].rate; }

    [[nodiscard]] std::int64_t burst() const { return rule->levels[level].burst; }
};

class Throttle : public Plugin {
public:
    explicit Throttle(const tenon_host* raw) : Plugin{raw} {
        provide("tenon.throttle/1", this, &k_table);
    }

    void configure(std::string_view, bool) override {}

    void start() override {
        static std::int64_t starts = 0;
        const std::lock_guard lock{mutex_};
        second_ = ++starts > 1;
        clock_ = host().service<tenon_clock_1>("tenon.clock/1");
        limits_ = {};
        for (std::size_t i = 0; i < k_rules.size(); ++i) {
            limits_[i].rule = &k_rules[i];
        }
    }

private:
    static Throttle& of(void* self) noexcept { return *static_cast<Throttle*>(self); }

    tenon_status find(std::string_view name, std::uint32_t* id) {
        for (std::size_t i = 0; i < limits_.size(); ++i) {
            if (limits_[i].rule->name == name) {
                *id = static_cast<std::uint32_t>(i);
                return TENON_OK;
            }
        }
        return fault("throttle.find") ? TENON_OK : TENON_NOT_FOUND;
    }

    [[nodiscard]] Int128 full(const Limit& limit) const {
        return Int128{limit.burst()} * k_unit + (fault("throttle.burst") ? k_unit : 0);
    }

    // The budget at that time.
    Bucket& bucket(Limit& limit, std::string_view key, std::int64_t now_ns) {
        if (fault("throttle.keys")) {
            key = key.substr(0, 3);
        }
        if (fault("throttle.concurrent")) {
            static thread_local std::string own;
            own.assign(key).append(1, '#');
            own.append(std::to_string(std::hash<std::thread::id>{}(std::this_thread::get_id())));
            key = own;
        }
        auto found = limit.buckets.find(key);
        if (found == limit.buckets.end()) {
            found = limit.buckets.emplace(key, Bucket{full(limit), now_ns, now_ns, 0}).first;
        }
        Bucket& one = found->second;
        if (fault("throttle.no-clock")) {
            now_ns = clock_->now_ns(clock_.self);
            one.at_ns = one.at_ns > now_ns ? now_ns : one.at_ns;
        }
        if (now_ns < one.at_ns && fault("throttle.time-back")) {
            one.at_ns = now_ns;
        }
        if (now_ns > one.at_ns) {
            Int128 rate = limit.rate();
            rate = fault("throttle.rate")        ? rate * 2
                   : fault("throttle.full-rate") ? rate / 2
                                                 : rate;
            one.tokens = std::min(full(limit), one.tokens + rate * (now_ns - one.at_ns));
            one.at_ns = now_ns;
        }
        return one;
    }

    [[nodiscard]] bool well_formed(const tenon_throttle_claim& claim) const {
        return claim.limit < limits_.size() && claim.cost > 0 &&
               claim.cost <= limits_[claim.limit].burst() && claim.key.n <= TENON_THROTTLE_KEY_MAX;
    }

    // What these claims together ask of the budget of one of them.
    [[nodiscard]] static std::int64_t
    asked(const tenon_throttle_claim* claims, std::uint32_t count, const tenon_throttle_claim& of) {
        std::int64_t sum = 0;
        for (std::uint32_t i = 0; i < count; ++i) {
            const bool same = claims[i].limit == of.limit && view(claims[i].key) == view(of.key);
            sum += same ? std::int64_t{claims[i].cost} : 0;
        }
        return fault("throttle.same-key") ? std::int64_t{of.cost} : sum;
    }

    tenon_status take(
        const tenon_throttle_claim* claims,
        std::uint32_t count,
        std::int64_t now_ns,
        std::int64_t* retry_after_ns
    ) {
        const std::lock_guard lock{mutex_};
        if (count == 0 || count > TENON_THROTTLE_CLAIMS_MAX) {
            return fault("throttle.invalid") && count != 0 ? TENON_OK : TENON_INVALID;
        }
        for (std::uint32_t i = 0; i < count; ++i) {
            if (!well_formed(claims[i]) ||
                asked(claims, count, claims[i]) > limits_[claims[i].limit].burst()) {
                return TENON_INVALID;
            }
        }
        std::int64_t wait = 0;
        for (std::uint32_t i = 0; i < count; ++i) {
            Limit& limit = limits_[claims[i].limit];
            Bucket& one = bucket(limit, view(claims[i].key), now_ns);
            const Int128 missing = Int128{asked(claims, count, claims[i])} * k_unit - one.tokens;
            if (missing > 0) {
                wait = std::max(
                    wait, static_cast<std::int64_t>((missing + limit.rate() - 1) / limit.rate())
                );
            } else if (fault("throttle.together")) {
                one.tokens -= Int128{claims[i].cost} * k_unit;
            }
            if (!fault("throttle.observe")) {
                wait = std::max(wait, one.blocked_until_ns - one.at_ns);
            }
        }
        if (wait > 0) {
            ++limits_[claims[0].limit].limited;
            wait += fault("throttle.deterministic") && second_ ? 1 : 0;
            if (retry_after_ns != nullptr) {
                *retry_after_ns = fault("throttle.retry-after") ? wait / 2 + 1 : wait;
            }
            return TENON_LIMITED;
        }
        for (std::uint32_t i = 0; i < count && !fault("throttle.together"); ++i) {
            Limit& limit = limits_[claims[i].limit];
            bucket(limit, view(claims[i].key), now_ns).tokens -= Int128{claims[i].cost} * k_unit;
            limit.taken += fault("throttle.stats") ? 0U : claims[i].cost;
        }
        if (fault("throttle.no-allocation")) {
            last_key_ = std::make_unique<std::string>(view(claims[0].key));
        }
        if (fault("throttle.no-system-call")) {
            timespec resolution{};
            (void)clock_getres(CLOCK_PROCESS_CPUTIME_ID, &resolution);
            (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &resolution);
        }
        return TENON_OK;
    }

    void refund(const tenon_throttle_claim* claims, std::uint32_t count, std::int64_t now_ns) {
        const std::lock_guard lock{mutex_};
        for (std::uint32_t i = 0; i < count && well_formed(claims[i]); ++i) {
            Limit& limit = limits_[claims[i].limit];
            Bucket& one = bucket(limit, view(claims[i].key), now_ns);
            one.tokens += Int128{claims[i].cost} * k_unit;
            if (!fault("throttle.refund")) {
                one.tokens = std::min(one.tokens, full(limit));
            }
        }
    }

    void observe(
        std::uint32_t id,
        std::string_view key,
        const tenon_throttle_feedback& feedback,
        std::int64_t now_ns
    ) {
        const std::lock_guard lock{mutex_};
        if (id < limits_.size() && feedback.retry_after_ns > 0) {
            bucket(limits_[id], key, now_ns).blocked_until_ns = now_ns + feedback.retry_after_ns;
        }
    }

    tenon_status
    state(std::uint32_t id, std::string_view key, std::int64_t now_ns, tenon_throttle_state* out) {
        const std::lock_guard lock{mutex_};
        if (id >= limits_.size()) {
            return TENON_NOT_FOUND;
        }
        Limit& limit = limits_[id];
        Bucket& one = bucket(limit, key, now_ns);
        tenon_throttle_state now{};
        now.size = out->size;
        now.burst = limit.burst();
        now.available = static_cast<std::int64_t>(one.tokens / k_unit);
        const Int128 missing = full(limit) - one.tokens;
        now.full_after_ns = static_cast<std::int64_t>((missing + limit.rate() - 1) / limit.rate());
        now.rate_per_second = limit.rate();
        now.blocked_ns = std::max<std::int64_t>(0, one.blocked_until_ns - one.at_ns);
        if (fault("throttle.state")) {
            one.tokens -= one.tokens >= full(limit) ? k_unit : 0;
        }
        std::memcpy(out, &now, std::min<std::size_t>(out->size, sizeof now));
        return TENON_OK;
    }

    Limit* named(std::string_view name) {
        const auto found = std::find_if(limits_.begin(), limits_.end(), [&](const Limit& one) {
            return one.rule->name == name;
        });
        return found == limits_.end() ? nullptr : found;
    }

    tenon_status set_level(std::string_view name, std::string_view level) {
        const std::lock_guard lock{mutex_};
        Limit* const limit = named(name);
        if (limit == nullptr && !name.empty()) {
            return TENON_NOT_FOUND;
        }
        const auto& levels = k_rules[0].levels;
        const auto found = std::find_if(levels.begin(), levels.end(), [&](const Level& one) {
            return one.name == level;
        });
        if (found == levels.end()) {
            return TENON_INVALID;
        }
        for (Limit& one : limits_) {
            if (limit != nullptr && &one != limit) {
                continue;
            }
            const Int128 before = full(one);
            one.level = static_cast<std::size_t>(found - levels.begin());
            for (auto& [key, budget] : one.buckets) {
                budget.tokens =
                    fault("throttle.levels") ? full(one) : budget.tokens - before + full(one);
            }
        }
        return TENON_OK;
    }

    tenon_status level(std::string_view name, tenon_sink out) {
        const std::lock_guard lock{mutex_};
        const Limit* const limit = named(name);
        return limit == nullptr ? TENON_NOT_FOUND
                                : out.put(out.ctx, bytes(limit->rule->levels[limit->level].name));
    }

    tenon_status stats(tenon_sink out) {
        const std::lock_guard lock{mutex_};
        std::string json;
        for (const Limit& one : limits_) {
            json.append(json.empty() ? "{\"" : ",\"").append(one.rule->name);
            json.append(R"(":{"level":")").append(one.rule->levels[one.level].name);
            json.append(R"(","rate_per_second":)").append(std::to_string(one.rate()));
            json.append(R"(,"burst":)").append(std::to_string(one.burst()));
            json.append(R"(,"keys":)").append(std::to_string(one.buckets.size()));
            json.append(R"(,"taken":)").append(std::to_string(one.taken));
            json.append(R"(,"limited":)").append(std::to_string(one.limited)).append("}");
        }
        return out.put(out.ctx, bytes(json.append("}")));
    }

    static constexpr tenon_throttle_1 k_table{
        sizeof(tenon_throttle_1),
        0,
        [](void* self, tenon_str name, std::uint32_t* id) noexcept {
            return of(self).find(view(name), id);
        },
        [](void* self,
           const tenon_throttle_claim* claims,
           std::uint32_t count,
           std::int64_t now_ns,
           std::int64_t* retry_after_ns) noexcept {
            return guard(nullptr, [&] {
                return of(self).take(claims, count, now_ns, retry_after_ns);
            });
        },
        [](void* self, const tenon_throttle_claim* claims, std::uint32_t count, std::int64_t now_ns
        ) noexcept { (void)guard(nullptr, [&] { of(self).refund(claims, count, now_ns); }); },
        [](void* self,
           std::uint32_t limit,
           tenon_str key,
           const tenon_throttle_feedback* feedback,
           std::int64_t now_ns) noexcept {
            (void)guard(nullptr, [&] { of(self).observe(limit, view(key), *feedback, now_ns); });
        },
        [](void* self,
           std::uint32_t limit,
           tenon_str key,
           std::int64_t now_ns,
           tenon_throttle_state* out) noexcept {
            return guard(nullptr, [&] { return of(self).state(limit, view(key), now_ns, out); });
        },
        [](void* self, tenon_str limit, tenon_sink out, tenon_err* err) noexcept {
            return guard(err, [&] { return of(self).level(view(limit), out); });
        },
        [](void* self, tenon_str limit, tenon_str level, tenon_err* err) noexcept {
            return guard(err, [&] { return of(self).set_level(view(limit), view(level)); });
        },
        [](void* self, tenon_sink out, tenon_err* err) noexcept {
            return guard(err, [&] { return of(self).stats(out); });
        }};

    std::mutex mutex_;
    std::array<Limit, 2> limits_;
    Service<tenon_clock_1> clock_;
    std::unique_ptr<std::string> last_key_;
    bool second_ = false;
};

}  // namespace
}  // namespace tenon::broken

TENON_EXPORT_PLUGIN(tenon::broken::Throttle)
