// SPDX-License-Identifier: Apache-2.0
// Binance's own limits on its clients: request weight, raw requests and new connections by address,
// unfilled orders by account. Windows are fixed and aligned to the clock (a minute starts at :00, a
// day at 00:00 UTC). No locks: everything is used on one reactor. Nothing here reads a clock.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace tenon::binance {

struct LimitSettings {
    std::uint32_t weight_per_minute = 6'000;
    std::uint32_t requests_per_5_minutes = 300'000;
    std::uint32_t orders_per_10_seconds = 100;
    std::uint32_t orders_per_day = 200'000;
    std::uint32_t connections_per_5_minutes = 300;
    std::uint32_t refusals_before_ban = 100;  // answers 429 within one minute
    std::uint32_t addresses_max = 65'536;     // more share one budget
    std::uint32_t order_wait_ms = 15'000;     // for a venue that answers later
};

struct Admission {
    enum class Verdict : std::uint8_t { admitted, too_much_weight, too_many_requests, banned };

    Verdict verdict = Verdict::admitted;
    std::uint32_t used_weight = 0;
    std::int64_t retry_after_s = 0;
    std::int64_t until_real_ns = 0;  // banned: the end of it
};

// By remote address. Idle addresses are forgotten when the table is full; a ban is not.
class AddressLimits {
public:
    explicit AddressLimits(const LimitSettings& settings) : settings_{settings} {}

    // Counts go on: what is used up stays used up.
    void set(const LimitSettings& settings) noexcept { settings_ = settings; }

    // Counts one request and takes `weight`, if there is room for it. With take false the weight is
    // only required to be there: what succeeds for nothing is charged when it fails.
    [[nodiscard]] Admission
    admit(std::string_view address, std::uint32_t weight, bool take, std::int64_t now_real_ns);
    // Takes weight that was not taken by admit; returns what is used up.
    std::uint32_t charge(std::string_view address, std::uint32_t weight, std::int64_t now_real_ns);
    [[nodiscard]] std::uint32_t used(std::string_view address, std::int64_t now_real_ns);
    [[nodiscard]] bool banned(std::string_view address, std::int64_t now_real_ns) const;
    // A new WebSocket connection.
    [[nodiscard]] bool admit_connection(std::string_view address, std::int64_t now_real_ns);
    // Why it was not admitted: a reason to close with, of at most 123 bytes (RFC 6455, 5.5).
    [[nodiscard]] std::string connection_refusal(std::string_view address, std::int64_t now_real_ns)
        const;

    [[nodiscard]] std::size_t addresses() const noexcept { return entries_.size(); }

private:
    struct Entry {
        std::int64_t minute = -1, five_minutes = -1;
        std::uint32_t weight = 0, refusals = 0, requests = 0, connections = 0, bans = 0;
        std::int64_t banned_until_ns = 0;
    };

    struct Hash {
        using is_transparent = void;

        std::size_t operator()(std::string_view text) const noexcept {
            return std::hash<std::string_view>{}(text);
        }
    };

    [[nodiscard]] Entry& entry(std::string_view address, std::int64_t now_real_ns);
    void sweep(std::int64_t now_real_ns);
    [[nodiscard]] Admission refuse(Entry& entry, Admission::Verdict why, std::int64_t now_real_ns);

    LimitSettings settings_;
    std::unordered_map<std::string, Entry, Hash, std::equal_to<>> entries_;
    Entry shared_;  // of those that found the table full
    std::int64_t swept_ns_ = 0;
};

// Orders that were placed and have not been filled, by account (faqs/order_count_decrement.md): an
// order counts when it is placed and no longer when it gets its first fill.
class OrderLimits {
public:
    explicit OrderLimits(const LimitSettings& settings) : settings_{settings} {}

    void set(const LimitSettings& settings) noexcept { settings_ = settings; }

    struct Counts {
        std::uint32_t ten_seconds = 0, day = 0;
    };

    struct Refusal {
        std::uint32_t limit;
        std::string_view interval;  // "10 SECOND", "1 DAY"
        std::int64_t retry_after_s;
    };

    // Counts so many orders, or none and says which limit is in the way.
    [[nodiscard]] std::optional<Refusal>
    admit(std::uint64_t account, std::int64_t now_real_ns, std::uint32_t orders = 1);
    // They were filled for the first time, or never came to be.
    void release(std::uint64_t account, std::int64_t now_real_ns, std::uint32_t orders = 1);
    [[nodiscard]] Counts counts(std::uint64_t account, std::int64_t now_real_ns) const;

private:
    struct Entry {
        std::int64_t ten_seconds = -1, day = -1;
        Counts counts;
    };

    static void roll(Entry& entry, std::int64_t now_real_ns) noexcept;

    LimitSettings settings_;
    std::unordered_map<std::uint64_t, Entry> entries_;
};

}  // namespace tenon::binance
