// SPDX-License-Identifier: Apache-2.0
// Bytes of the internal venue's state, a blob in the engine's snapshot.
//
// Little-endian, no padding. Checksums are the snapshot file's. The state hash is the hash of these
// bytes.
//
//   u32 magic "TNVI"   u16 version (3)   u16 reserved (0)
//   u32 count of books, then each, by instrument id:
//     u32 instrument   u64 update_id   u64 trade_id
//     bids, then asks: u32 count of orders, then each, from the best price and the oldest on:
//       i64 price   u64 order_id   i64 quantity left
//       from version 3 on: u32 account   i64 hidden   i64 display (icebergs, else 0; their quantity
//       above is what they show)
//     from version 2 on, orders that wait for a price: u32 count, then each, falling ones first,
//     by the place in their array:
//       u64 order_id   i64 stop_price   u8 rising
//     from version 3 on, trailing stops: u32 count, then each, by order id:
//       u64 order_id   i64 stop_price   u8 begins_rising   u8 falls   u32 delta   i64 best
//
// Example: one book of instrument 2, nothing in it, after update 7 and trade 3:
//   54 4e 56 49 03 00 00 00 | 01 00 00 00 | 02 00 00 00 | 07 00 00 00 00 00 00 00 |
//   03 00 00 00 00 00 00 00 | 00 00 00 00 | 00 00 00 00 | 00 00 00 00 | 00 00 00 00
#pragma once

#include <cstdint>

namespace tenon::internal {

inline constexpr std::uint32_t k_snapshot_magic = 0x49564e54;  // "TNVI"
inline constexpr std::uint16_t k_snapshot_version = 3;

}  // namespace tenon::internal
