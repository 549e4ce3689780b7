// SPDX-License-Identifier: Apache-2.0
// Named limits on how many requests are under way, each key with a Gradient of its own, over a
// throttle that may be there for rates.
//
// A granted request has to be ended by observe() or refund(). What a caller forgets holds its place
// until nothing has begun for answer_timeout_ns; then all that is under way counts as lost.
//
// A key that has no place of its own when all are taken gets that of the key that has been idle
// longest, and for answer_timeout_ns at least; as long as there is none it is in the place that all
// such keys share. What a key leaves that has nothing under way in its own place it had there.
//
// Thread-safe. take, refund, observe and state neither lock nor allocate. An answer that comes
// while another thread measures one is counted as ended, and not measured.
#pragma once

#include "plugins/throttle/adaptive/gradient.hpp"

#include <tenon/plugin.hpp>
#include <tenon/throttle_limits.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::adaptive {

struct AdaptiveSettings {
    std::string name;
    GradientOptions gradient;
    std::int64_t answer_timeout_ns = 60'000'000'000;
};

class AdaptiveLimits {
public:
    using Claims = std::span<const tenon_throttle_claim>;

    static constexpr std::size_t k_keys_max = 64;  // of a limit that have a place at a time
    static constexpr std::uint64_t k_count = (1U << 20U) - 1;  // of Place::holding; the rest: a key
    static constexpr double k_ceiling_max = 1'000'000;
    static_assert(k_ceiling_max < k_count);

    struct Place {
        explicit Place(const GradientOptions& options) : limit{0}, gradient{options} {
            limit = gradient.limit();
        }

        // Whose it is (k_free, k_moving, or what hash_of says) and how many are under way, in one
        // word: nobody is counted, for a moment even, in a place that has changed hands.
        std::atomic<std::uint64_t> holding{0};
        std::atomic<std::int64_t> limit;
        std::atomic<std::int64_t> begun_ns{0};     // the last one
        std::atomic<std::int64_t> unloaded_ns{0};  // what the gradient has learned
        std::atomic_flag busy;                     // of gradient
        Gradient gradient;

        [[nodiscard]] std::uint64_t key() const noexcept { return holding.load() & ~k_count; }

        [[nodiscard]] std::int64_t in_flight() const noexcept {
            return static_cast<std::int64_t>(holding.load() & k_count);
        }
    };

    class Limit {
    public:
        static constexpr std::uint64_t k_no_rate = UINT64_MAX;

        [[nodiscard]] Place& shared() const noexcept { return *places.back(); }

        explicit Limit(const AdaptiveSettings& settings);

        [[nodiscard]] const std::string& name() const noexcept { return name_; }

        // The id of the rate of the same name.
        [[nodiscard]] std::optional<std::uint32_t> rate() const noexcept {
            const std::uint64_t id = rate_id.load(std::memory_order_relaxed);
            return id == k_no_rate ? std::nullopt : std::optional{static_cast<std::uint32_t>(id)};
        }

        [[nodiscard]] std::uint64_t taken() const noexcept { return granted.load(); }

        [[nodiscard]] std::uint64_t limited() const noexcept { return refused.load(); }

        std::atomic<std::int64_t> answer_timeout_ns, floor, ceiling;
        std::atomic<std::uint64_t> rate_id{k_no_rate};
        std::vector<std::unique_ptr<Place>> places;  // the last one is the shared one
        std::atomic<std::uint64_t> granted{0}, refused{0};
        std::atomic_flag moving;  // a place changes hands
        GradientOptions fresh;    // what a place begins with; of who holds `moving`

    private:
        const std::string name_;
    };

    // [control] Adds limits that are new and changes the others. All or nothing: throws Error
    // TENON_INVALID.
    void apply(const std::vector<AdaptiveSettings>& limits);
    // [control] Not while others use this. Limits of the same name are taken of it too, and what is
    // no limit of ours is its.
    void set_rates(Service<tenon_throttle_1> rates);

    [[nodiscard]] std::optional<std::uint32_t> find(std::string_view name) const noexcept;

    // nullptr: there is none.
    [[nodiscard]] Limit* at(std::size_t i) const noexcept { return table_.at(i); }

    // As tenon_throttle_1 has them.
    [[nodiscard]] tenon_status
    take(Claims claims, std::int64_t now_ns, std::int64_t& retry_after_ns) noexcept;
    void refund(Claims claims, std::int64_t now_ns) noexcept;
    void observe(
        std::uint32_t limit,
        std::string_view key,
        const tenon_throttle_feedback& feedback,
        std::int64_t now_ns
    ) noexcept;
    [[nodiscard]] bool state(
        std::uint32_t limit,
        std::string_view key,
        std::int64_t now_ns,
        tenon_throttle_state& out
    ) noexcept;

    // Throw Error TENON_NOT_FOUND (limit), TENON_INVALID (level). A limit of ours has the level of
    // the rate of its name, or is "custom" and has no other.
    [[nodiscard]] std::string level(std::string_view limit) const;
    void set_level(std::string_view limit, std::string_view level);

    // [any] So much of each limit is in force, per mille, but never less than its floor.
    void squeeze(std::int64_t share) noexcept { share_.store(share); }

    // [any] Off: each limit is its ceiling, and nothing is learned.
    void adapt(bool on) noexcept { adapts_.store(on); }

    [[nodiscard]] std::int64_t share() const noexcept { return share_.load(); }

    struct Totals {
        std::string name;
        std::int64_t limit = 0, in_flight = 0;  // of the key that has most, of all keys
        std::uint64_t keys = 0, taken = 0, limited = 0;
        double unloaded_seconds = 0;  // of the key that has most
    };

    [[nodiscard]] std::vector<Totals> totals() const;
    // As tenon_throttle_1, with "in_flight" and "unloaded_us".
    [[nodiscard]] std::string stats() const;

private:
    static constexpr std::uint32_t k_ours = 0x8000'0000U;
    static constexpr std::uint64_t k_free = 0, k_moving = k_count + 1;

    struct Sorted {
        std::array<std::uint64_t, TENON_THROTTLE_CLAIMS_MAX> keys{};
        std::array<Limit*, TENON_THROTTLE_CLAIMS_MAX> limits{};
        std::size_t ours = 0;
        std::array<tenon_throttle_claim, TENON_THROTTLE_CLAIMS_MAX> rates{};
        std::uint32_t rate_count = 0;
    };

    [[nodiscard]] std::optional<Sorted> sort(Claims claims) const noexcept;
    [[nodiscard]] Limit* ours(std::uint32_t id) const noexcept;
    [[nodiscard]] static std::uint64_t hash_of(std::string_view key) noexcept;
    // Where the search for its place begins, modulo k_keys_max.
    [[nodiscard]] static std::size_t first_of(std::uint64_t key) noexcept;
    // The key's own place; nullptr: it has none.
    [[nodiscard]] static Place* find_place(const Limit& limit, std::uint64_t key) noexcept;
    [[nodiscard]] static Place&
    find_or_make(Limit& limit, std::uint64_t key, std::int64_t now_ns) noexcept;
    [[nodiscard]] static Place*
    take_idle(Limit& limit, std::uint64_t key, std::int64_t now_ns) noexcept;
    [[nodiscard]] static bool
    hand_over(const Limit& limit, Place& place, std::uint64_t key, std::int64_t now_ns) noexcept;
    // Where that request was counted; nullptr: as many are under way as may be, in `last`.
    [[nodiscard]] Place*
    enter_for(Limit& limit, std::uint64_t key, std::int64_t now_ns, Place*& last) const noexcept;
    // no: the place is another key's by now.
    enum class Entry : std::uint8_t { yes, full, no };
    [[nodiscard]] Entry enter(Limit& limit, Place& place, std::uint64_t key, std::int64_t now_ns)
        const noexcept;
    [[nodiscard]] std::int64_t allowed(const Limit& limit, const Place& place) const noexcept;

    // A request of the key has ended: how many were under way until then, and where.
    struct Left {
        Place& place;
        std::int64_t under_way;
    };

    static Left leave(const Limit& limit, std::uint64_t key) noexcept;
    // 0: there was none.
    static std::int64_t leave(Place& place, std::uint64_t key) noexcept;
    void link(Limit& limit) const;

    ThrottleTable<Limit, 64> table_;
    std::atomic<bool> adapts_{true};
    std::atomic<std::int64_t> share_{1'000};  // per mille of each limit
    mutable std::mutex mutex_;                // of changes
    Service<tenon_throttle_1> rates_;
};

}  // namespace tenon::adaptive
