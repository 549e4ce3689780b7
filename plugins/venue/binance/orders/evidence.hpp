// SPDX-License-Identifier: Apache-2.0
// What the exchange told about an order, and its bytes in the engine's journal.
//
// One OrderNews holds what one message said (an answer, an event, a query): whatever the order and
// however often messages come, applying all of them gives the same fills.
//
// Encoding, version 1, little-endian, no padding ("text" is a length of 32 bits and the bytes):
//   u8 version (1), u8 kind, then by kind
//   1 reference  i64 price                travels with an order: what the market is, 0: unknown
//   2 news       u64 order_id, u64 exchange_id, u8 accepted (1) and working (2), u8 end (End),
//                i64 executed, u32 reject, text reason, u32 count, then count times
//                u64 trade_id, i64 price, i64 quantity, u32 fee_asset, i64 fee, u8 maker
//   3 closed                              travels with an order: nothing can be sent
// Example: a reference price of 2:
//   01 01 | 02 00 00 00 00 00 00 00
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace tenon::binance_venue {

inline constexpr std::uint8_t k_evidence_version = 1;
// More fills than that travel in several news; the engine takes 1 MiB of evidence at a time.
inline constexpr std::size_t k_fills_max = 1'000;
inline constexpr std::size_t k_reason_bytes_max = 256;
inline constexpr std::uint32_t k_no_asset = 0xffffffffU;

struct Fill {
    std::uint64_t trade_id = 0;  // the exchange's, per symbol
    std::int64_t price = 0, quantity = 0;
    std::uint32_t fee_asset = k_no_asset;  // k_no_asset: not listed here, `fee` is 0
    std::int64_t fee = 0;                  // in units of the asset
    bool maker = false;
};

// How an order ended. The first three are the exchange's word about an order that it had; then
// `executed` is the quantity that was filled in all.
enum class End : std::uint8_t {
    none,
    filled,
    canceled,
    expired,
    refused,    // the exchange did not take it; `reject` says why
    absent,     // it certainly never arrived
    not_sent,   // it certainly never left
    withdrawn,  // cancelled before it left
};

struct OrderNews {
    std::uint64_t order_id = 0;     // ours
    std::uint64_t exchange_id = 0;  // theirs; 0: not told
    bool accepted = false;          // they have it or had it
    bool working = false;           // it may trade: a conditional one was triggered
    End end = End::none;
    std::int64_t executed = 0;
    std::uint32_t reject = 0;  // TENON_REJECT_*, with refused
    std::string reason;        // with refused: their words, cut to k_reason_bytes_max
    std::vector<Fill> fills;   // the ones that this message told of
};

struct Reference {
    std::int64_t price = 0;
};

// There is no credential to send an order with.
struct Closed {};

using Evidence = std::variant<Reference, OrderNews, Closed>;

[[nodiscard]] std::string encode(const Evidence& evidence);
// Empty: not such bytes, or values that no exchange can mean.
[[nodiscard]] std::optional<Evidence> decode(std::string_view bytes);

}  // namespace tenon::binance_venue
