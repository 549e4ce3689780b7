// SPDX-License-Identifier: Apache-2.0
// Budgets by key that fill with time: the generic cell rate algorithm (ITU-T I.371), which keeps
// one number a key -- the time at which its budget is full again. Lock-free; time is passed in.
//
// Keys live in a table of fixed size, so that nothing allocates; the keys that come after it is
// full share one budget, which is stricter than a budget of their own and never more.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string_view>
#include <vector>

struct Rate {
    std::int64_t per_second = 1;  // 1 .. 1'000'000; 0: no limit
    std::int64_t burst = 1;

    // The time that one token takes; rounded up, so that no span gives more than the rate.
    [[nodiscard]] std::int64_t interval_ns() const noexcept {
        return per_second == 0 ? 0 : (1'000'000'000 + per_second - 1) / per_second;
    }
};

class TokenBuckets {
public:
    static constexpr std::size_t k_key_max = 128;
    static constexpr std::int64_t k_never = -1;

    struct Want {
        std::string_view key;  // at most k_key_max bytes
        std::int64_t cost;
    };

    struct Budget {
        std::int64_t available, full_after_ns;
    };

    explicit TokenBuckets(std::size_t keys_max) : slots_(keys_max + 1) {}

    // All of the wants, at most eight, or none. 0: taken; k_never: a cost above the burst; else the
    // time from now at which they would be taken if nobody else takes any.
    std::int64_t
    take(const Want* wants, std::size_t count, const Rate& rate, std::int64_t asked_ns) noexcept {
        const std::int64_t now_ns = advance(asked_ns);
        std::array<Part, 8> parts{};
        const std::size_t merged = merge(wants, count, parts);
        for (std::size_t i = 0; i < merged; ++i) {
            if (rate.per_second != 0 && parts[i].cost > rate.burst) {
                return k_never;
            }
        }
        std::int64_t wait_ns = 0;
        std::array<bool, 8> done{};
        for (std::size_t i = 0; i < merged; ++i) {
            const std::int64_t short_by = take_one(parts[i], rate, now_ns);
            done[i] = short_by == 0;
            wait_ns = std::max(wait_ns, short_by);
        }
        for (std::size_t i = 0; wait_ns != 0 && i < merged; ++i) {
            if (done[i]) {
                give(*parts[i].slot, parts[i].cost * rate.interval_ns());
            }
        }
        // Seen from the caller's time, which may be behind.
        return wait_ns == 0 ? 0 : wait_ns + (now_ns - asked_ns);
    }

    void refund(const Want& want, const Rate& rate, std::int64_t now_ns) noexcept {
        (void)advance(now_ns);
        if (Slot* const slot = find(want.key, false)) {
            give(*slot, want.cost * rate.interval_ns());
        }
    }

    [[nodiscard]] Budget
    budget(std::string_view key, const Rate& rate, std::int64_t now_ns) noexcept {
        now_ns = advance(now_ns);
        const Slot* const slot = find(key, false);
        const std::int64_t full = slot == nullptr ? now_ns : slot->full_ns.load();
        const std::int64_t owed_ns = std::max<std::int64_t>(full - now_ns, 0);
        const std::int64_t each = std::max<std::int64_t>(rate.interval_ns(), 1);
        const std::int64_t owed = (owed_ns + each - 1) / each;
        return {std::max<std::int64_t>(rate.burst - owed, 0), owed_ns};
    }

    // What was taken stays taken under the new rate.
    void rescale(const Rate& from, const Rate& to) noexcept {
        const std::int64_t now_ns = now_ns_.load();
        const auto old_each = static_cast<double>(std::max<std::int64_t>(from.interval_ns(), 1));
        const double factor = static_cast<double>(to.interval_ns()) / old_each;
        for (Slot& slot : slots_) {
            const std::int64_t owed = slot.full_ns.load() - now_ns;
            if (owed > 0) {
                slot.full_ns.store(
                    now_ns + static_cast<std::int64_t>(static_cast<double>(owed) * factor)
                );
            }
        }
    }

    [[nodiscard]] std::uint64_t keys() const noexcept { return keys_.load(); }

private:
    static constexpr std::int64_t k_past = std::numeric_limits<std::int64_t>::min() / 2;

    enum State : std::uint32_t { k_free, k_named, k_ready };

    struct Slot {
        std::atomic<std::uint32_t> state{k_free};
        std::uint32_t length = 0;
        std::array<char, k_key_max> key{};
        std::atomic<std::int64_t> full_ns{k_past};
    };

    struct Part {
        Slot* slot;
        std::int64_t cost;
    };

    // Time that runs backwards counts as standing still.
    std::int64_t advance(std::int64_t now_ns) noexcept {
        std::int64_t last = now_ns_.load();
        while (last < now_ns && !now_ns_.compare_exchange_weak(last, now_ns)) {}
        return std::max(last, now_ns);
    }

    std::size_t merge(const Want* wants, std::size_t count, std::array<Part, 8>& parts) noexcept {
        std::size_t merged = 0;
        for (std::size_t i = 0; i < count; ++i) {
            Slot* const slot = find(wants[i].key, true);
            std::size_t at = 0;
            while (at < merged && parts[at].slot != slot) {
                ++at;
            }
            merged = std::max(merged, at + 1);
            parts[at].slot = slot;
            parts[at].cost += wants[i].cost;
        }
        return merged;
    }

    // 0 when taken, else the time to wait.
    static std::int64_t take_one(const Part& part, const Rate& rate, std::int64_t now_ns) noexcept {
        const std::int64_t each = rate.interval_ns();
        std::int64_t full = part.slot->full_ns.load();
        while (true) {
            const std::int64_t next = std::max(full, now_ns) + part.cost * each;
            const std::int64_t latest = now_ns + rate.burst * each;
            if (next > latest) {
                return next - latest;
            }
            if (part.slot->full_ns.compare_exchange_weak(full, next)) {
                return 0;
            }
        }
    }

    // A time before now is a full budget, so this never gives more than the burst.
    static void give(Slot& slot, std::int64_t time_ns) noexcept { slot.full_ns.fetch_sub(time_ns); }

    // The key's slot; the last one is shared by all that found no place. Without `add` nothing for
    // a key that was never seen.
    Slot* find(std::string_view key, bool add) noexcept {
        const std::size_t count = slots_.size() - 1;
        std::uint64_t hash = 0xcbf29ce484222325U;  // FNV-1a (Fowler, Noll, Vo)
        for (const char c : key) {
            hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
        }
        for (std::size_t probe = 0; probe < count; ++probe) {
            Slot& slot = slots_[(hash + probe) % count];
            std::uint32_t state = slot.state.load(std::memory_order_acquire);
            if (state == k_free) {
                if (!add) {
                    return nullptr;
                }
                if (slot.state.compare_exchange_strong(state, k_named)) {
                    slot.length = static_cast<std::uint32_t>(key.size());
                    std::memcpy(slot.key.data(), key.data(), key.size());
                    slot.state.store(k_ready, std::memory_order_release);
                    keys_.fetch_add(1);
                    return &slot;
                }
            }
            while (slot.state.load(std::memory_order_acquire) != k_ready) {
                // another thread writes its key: some nanoseconds
            }
            if (std::string_view{slot.key.data(), slot.length} == key) {
                return &slot;
            }
        }
        return &slots_.back();
    }

    std::vector<Slot> slots_;
    std::atomic<std::int64_t> now_ns_{k_past};
    std::atomic<std::uint64_t> keys_{0};
};
