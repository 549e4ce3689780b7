// SPDX-License-Identifier: Apache-2.0
// Bytes of the core's state, as Core::snapshot_write makes them.
//
// Framing, checksum and file name are the snapshot file's; here is only the state. Little-endian,
// no padding; "text" is a length of 32 bits and the bytes; every list is a count of 32 bits and its
// rows. The order of rows is fixed, so equal states have equal bytes; the state hash is the hash of
// the part from `counters` on, with each venue's blob replaced by its own hash.
//
//   u32 magic "TNCS"     u16 version (7)     u16 reserved (0)
//   u64 sequence         i64 time_real_ns    of the last command applied
//   counters      u64 next_order_id, u64 anomalies, u8 halted (from version 2 on)
//   assets        text name                                     by id
//   instruments   text symbol, u32 status, i64 last_price, u64 next_trade_id,
//                 u64 next_prevented_id (from version 5 on)   by id
//   accounts      text name, u8 enabled, i64 created_real_ns, i64 updated_real_ns   users, by id
//   balances      u64 account, u32 asset, i64 free, i64 locked  used ones, by account and asset
//   orders        u64 order_id, u64 account, u32 instrument, u8 side, u8 type, u8 time_in_force,
//                 u8 status, i64 price, i64 quantity, i64 quote_quantity, i64 filled_quantity,
//                 i64 filled_quote, i64 created_real_ns, i64 updated_real_ns, u64 update_sequence,
//                 i64 locked, text client_id, text cancel_client_id, i64 stop_price,
//                 i64 working_real_ns (these two from version 3 on), u64 list_id (from version 4
//                 on), i64 display_quantity, i64 prevented_quantity, u64 prevented_match_id,
//                 u32 trailing_delta, u32 stp_mode, i64 expires_real_ns (these from version 5 on)
//                                                             open ones, by id
//   closed ids    u64 account, text client_id                   oldest first
//   lists         u64 list_id, u64 account, u32 instrument, u32 contingency, i64 created_real_ns,
//                 i64 updated_real_ns, u64 update_sequence, i64 locked, u64 chosen,
//                 text client_id, then of both orders u64 order_id, text client_id
//                                                             from version 4 on; by id
//   references    text reference, u64 from, u64 to, u32 asset, i64 amount           oldest first
//   keys          text key, u64 account, u32 kind, u32 permissions, text material, text label,
//                 i64 created_real_ns, u8 revoked, text addresses (from version 7 on)
//                                                             in the order of their adding
//   risk          u64 account, u32 instrument, i64 times 7 by RiskLimit, then a count and rows
//                 u64 account, i64 full_at_ns                   from version 6 on; ascending
//   venues        text name, text blob                          in the order of the deployment
//
// A reader takes a snapshot with fewer assets, instruments or venues than it has (they were
// appended since), and refuses one with more or others. Example: the bytes of an empty state with
// no assets, instruments and venues after command 5 at time 1, in hexadecimal:
//   54 4e 43 53 07 00 00 00 | 05 00 00 00 00 00 00 00 | 01 00 00 00 00 00 00 00 |
//   01 00 00 00 00 00 00 00 | 00 00 00 00 00 00 00 00 | 00 | eleven counts of 00 00 00 00
#pragma once

#include <cstdint>

namespace tenon::trading {

inline constexpr std::uint32_t k_snapshot_magic = 0x53434e54;  // "TNCS"
inline constexpr std::uint16_t k_snapshot_version = 7;
// Most bytes of one venue's state.
inline constexpr std::uint32_t k_venue_blob_bytes_max = 1U << 30;

}  // namespace tenon::trading
