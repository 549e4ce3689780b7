// SPDX-License-Identifier: Apache-2.0
#include "sdk/forward/cell.hpp"

#include "sdk/forward/passage.hpp"

#include <tenon/abi/cache_tier.h>
#include <tenon/abi/probe.h>
#include <tenon/abi/throttle.h>

#include <algorithm>
#include <array>
#include <cstdint>

namespace tenon::forward {

namespace {

template <auto Member>
struct Pass;

template <class Table, class R, class... A, R (*Table::*Member)(void*, A...)>
struct Pass<Member> {
    static R call(void* self, A... arguments) noexcept {
        const Passage passage;
        const tenon_iface& to = static_cast<const Cell*>(self)->target();
        return (static_cast<const Table*>(to.vt)->*Member)(to.self, arguments...);
    }
};

template <auto Member>
constexpr auto pass = &Pass<Member>::call;

void observe(
    void* self,
    std::uint32_t limit,
    tenon_str key,
    const tenon_throttle_feedback* feedback,
    std::int64_t now_ns
) noexcept {
    const Passage passage;
    const tenon_iface& to = static_cast<const Cell*>(self)->target();
    const auto* table = static_cast<const tenon_throttle_1*>(to.vt);
    if (TENON_HAS(table, tenon_throttle_1, observe)) {
        table->observe(to.self, limit, key, feedback, now_ns);
    }
}

constexpr tenon_throttle_1 k_throttle{
    sizeof(tenon_throttle_1),
    0,
    pass<&tenon_throttle_1::find>,
    pass<&tenon_throttle_1::take>,
    pass<&tenon_throttle_1::refund>,
    &observe,
    pass<&tenon_throttle_1::state>,
    pass<&tenon_throttle_1::level>,
    pass<&tenon_throttle_1::set_level>,
    pass<&tenon_throttle_1::stats>};

constexpr tenon_probe_1 k_probe{sizeof(tenon_probe_1), 0, pass<&tenon_probe_1::check>};

constexpr tenon_cache_tier_1 cache_tier(std::uint32_t flags) {
    tenon_cache_tier_1 table{};
    table.size = offsetof(tenon_cache_tier_1, on_invalidate);
    table.flags = flags;
    table.get = pass<&tenon_cache_tier_1::get>;
    table.put = pass<&tenon_cache_tier_1::put>;
    table.erase = pass<&tenon_cache_tier_1::erase>;
    table.clear = pass<&tenon_cache_tier_1::clear>;
    table.stats = pass<&tenon_cache_tier_1::stats>;
    return table;
}

constexpr tenon_cache_tier_1 k_tier = cache_tier(0);
constexpr tenon_cache_tier_1 k_blocking_tier = cache_tier(TENON_CACHE_TIER_BLOCKING);

// The start of every table.
struct Head {
    std::uint32_t size, flags;
};

const Head& head_of(const void* table) {
    return *static_cast<const Head*>(table);
}

template <class Table>
const Table* as(const tenon_iface& iface) {
    return static_cast<const Table*>(iface.vt);
}

bool whole(const tenon_throttle_1* t) {
    return TENON_HAS(t, tenon_throttle_1, stats) && t->find != nullptr && t->take != nullptr &&
           t->refund != nullptr && t->state != nullptr && t->level != nullptr &&
           t->set_level != nullptr;
}

bool whole(const tenon_cache_tier_1* t) {
    return TENON_HAS(t, tenon_cache_tier_1, stats) && t->get != nullptr && t->put != nullptr &&
           t->erase != nullptr && t->clear != nullptr;
}

const void* table_for(std::string_view id, const tenon_iface& to) {
    if (id == "tenon.throttle/1") {
        return &k_throttle;
    }
    if (id == "tenon.probe/1") {
        return &k_probe;
    }
    return (head_of(to.vt).flags & TENON_CACHE_TIER_BLOCKING) != 0 ? &k_blocking_tier : &k_tier;
}

}  // namespace

std::string Cell::objection(const tenon_iface& to) const {
    bool good = to.vt != nullptr;
    if (good && id_ == "tenon.throttle/1") {
        good = whole(as<tenon_throttle_1>(to));
    } else if (good && id_ == "tenon.probe/1") {
        good = TENON_HAS(as<tenon_probe_1>(to), tenon_probe_1, check);
    } else if (good && id_ == "tenon.cache_tier/1") {
        const auto* tier = as<tenon_cache_tier_1>(to);
        good = whole(tier);
        if (good && (tier->flags & TENON_CACHE_TIER_SHARED) != 0) {
            return id_ + " of a shared tier cannot be replaced";
        }
        if (good && (TENON_HAS(tier, tenon_cache_tier_1, on_invalidate) ||
                     TENON_HAS(tier, tenon_cache_tier_1, watch))) {
            return id_ + " keeps callbacks for invalidations, which cannot be replaced";
        }
    } else {
        return id_ +
               " cannot be replaced: only tenon.cache_tier/1, tenon.probe/1 and "
               "tenon.throttle/1 can";
    }
    if (!good) {
        return id_ + " has gaps in its table";
    }
    const void* table = table_.load(std::memory_order_relaxed);
    return table != nullptr && table != table_for(id_, to)
               ? id_ + " has other flags than the one that runs"
               : std::string{};
}

void Cell::point(const tenon_iface& to) {
    targets_.push_back(std::make_unique<const tenon_iface>(to));
    target_.store(targets_.back().get(), std::memory_order_release);
    table_.store(table_for(id_, to), std::memory_order_release);
}

void Cell::settle() {
    if (targets_.size() > 1) {
        targets_.erase(targets_.begin(), targets_.end() - 1);
    }
}

void Cell::rejoin(const tenon_iface& to) const {
    if (id_ == "tenon.cache_tier/1") {
        (void)as<tenon_cache_tier_1>(to)->clear(to.self, tenon_bytes{nullptr, 0}, nullptr);
    }
}

tenon_iface Cell::iface() noexcept {
    return {this, table_.load(std::memory_order_acquire)};
}

}  // namespace tenon::forward
