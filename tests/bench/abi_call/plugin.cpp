// SPDX-License-Identifier: Apache-2.0
// The called side: contracts whose bodies do next to nothing.
#include "tests/bench/abi_call/callee.hpp"

#include <tenon/cache_tier.hpp>
#include <tenon/throttle.hpp>

namespace {

using tenon::bench::GuardTable;

class Callee final : public tenon::Plugin, public tenon::Throttle, public tenon::CacheTier {
public:
    explicit Callee(const tenon_host* host) : Plugin{host} {
        static constexpr GuardTable k_guard{sizeof(GuardTable), 0, &bare, &guarded, &thrown};
        provide<tenon::Throttle>(this);
        provide<tenon::CacheTier>(this);
        provide(tenon::bench::k_guard_id, this, &k_guard);
    }

    void configure(std::string_view, bool) override {}

    std::optional<std::uint32_t> find(std::string_view) const override { return 0; }

    tenon_status take(Claims claims, std::int64_t now_ns, std::int64_t&) noexcept override {
        sum_ += claims[0].cost + static_cast<std::uint64_t>(now_ns);
        return TENON_OK;
    }

    void refund(Claims, std::int64_t) noexcept override {}

    bool state(std::uint32_t, std::string_view, std::int64_t, tenon_throttle_state&) noexcept
        override {
        return true;
    }

    std::string level(std::string_view) const override { return {}; }

    void set_level(std::string_view, std::string_view) override {}

    std::string stats() const override { return {}; }

    std::optional<std::int64_t> get(std::string_view, std::int64_t, Out) override {
        return std::nullopt;
    }

    void put(std::string_view, std::string_view, std::int64_t, std::int64_t) override {}

    bool erase(std::string_view key) override {
        sum_ += key.size();
        return true;
    }

    void clear(std::string_view) override {}

    void stats(tenon_cache_tier_stats& out) override { out.entries = sum_; }

private:
    static Callee& of(void* self) noexcept { return *static_cast<Callee*>(self); }

    static tenon_status bare(void* self, std::uint64_t add, tenon_err*) noexcept {
        of(self).sum_ += add;
        return TENON_OK;
    }

    static tenon_status guarded(void* self, std::uint64_t add, tenon_err* err) noexcept {
        return tenon::guard(err, [&] {
            if (add == 0) {
                throw tenon::Error{TENON_INVALID, "nothing to add"};
            }
            of(self).sum_ += add;
        });
    }

    static tenon_status thrown(void* self, std::uint64_t, tenon_err* err) noexcept {
        return guarded(self, 0, err);
    }

    std::uint64_t sum_ = 0;
};

}  // namespace

TENON_EXPORT_PLUGIN(Callee)
