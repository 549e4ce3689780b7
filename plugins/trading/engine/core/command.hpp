// SPDX-License-Identifier: Apache-2.0
// Commands of the trading core, and their bytes in the journal.
//
// A command is everything that may change the state: what clients ask, what venues found outside,
// what operators do. Sequence and time come from the engine, which journals the command; applying
// the same commands to the same state gives the same state to the byte.
//
// Strings and bytes of a command are borrowed: from the caller, or from the buffer it was decoded
// from; the orders of a list from the caller, or from the thread that decoded them until it decodes
// the next list. So no command is larger than that of one order, and all are cheap to copy.
//
// Encoding, little-endian, no padding ("text" is a length of 32 bits and the bytes):
//   u8  version: the first that can say it (1 to 6), so that an older server reads the most
//   u8  kind (CommandKind)
//   u64 sequence
//   i64 time_real_ns
//   then by kind
//   submit             u32 instrument, u64 account, u8 side, u8 type, u8 time_in_force, i64 price,
//                      i64 quantity, i64 quote_quantity, text client_id, text evidence;
//                      in version 2 then i64 stop_price; in version 4 then stop_price and
//                      <extras>
//   cancel             u32 instrument, u64 account, u64 order_id, text client_id,
//                      text cancel_client_id; in version 2 then u32 restriction
//   cancel_all         u64 account, u32 instrument
//   venue_apply        text venue, text evidence
//   account_open       text name
//   transfer           u64 from, u64 to, u32 asset, i64 amount, text reference
//   key_add            text key, u64 account, u32 kind, u32 permissions, text material, text label
//   key_revoke         text key
//   instrument_status  u32 instrument, u32 status
//   account_status     u64 account, u8 enabled, u8 cancels
//   submit_list        (version 3) u32 contingency, text client_id, then twice what a submit has,
//                      with i64 stop_price; in version 4 then twice <extras>
//   cancel_list        (version 3) u32 instrument, u64 account, u64 list_id, text client_id,
//                      text cancel_client_id
//   amend              (version 4) u32 instrument, u64 account, u64 order_id, text client_id,
//                      i64 quantity, text new_client_id
//   <extras>           u32 stp_mode, u32 trailing_delta, i64 display_quantity, i64 expires_real_ns
//   expire             (version 4) nothing
//   risk_limits        (version 5) u64 account, u32 instrument, i64 times 7, by RiskLimit
//   key_addresses      (version 6) text key, text addresses
// Example: key_revoke of "ab", sequence 7, time 1:
//   01 08 | 07 00 00 00 00 00 00 00 | 01 00 00 00 00 00 00 00 | 02 00 00 00 61 62
#pragma once

#include "plugins/trading/engine/core/risk_limits.hpp"

#include <tenon/abi/instruments.h>
#include <tenon/abi/trading.h>
#include <tenon/structs.hpp>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace tenon::trading {

inline constexpr std::uint8_t k_command_version = 6;
inline constexpr std::size_t k_evidence_bytes_max = 1U << 20;
inline constexpr std::size_t k_name_bytes_max = 32;
inline constexpr std::size_t k_venue_name_bytes_max = 64;
inline constexpr std::size_t k_reference_bytes_max = 64;
inline constexpr std::size_t k_key_bytes_max = 64;
inline constexpr std::size_t k_label_bytes_max = 64;
inline constexpr std::size_t k_addresses_bytes_max = 1024;
inline constexpr std::size_t k_material_bytes_max = 256;

// `evidence` is what the venue found outside for this order; empty when it needs none.
struct SubmitCommand {
    tenon_order_request order{};
    tenon_bytes evidence{};
};

struct CancelCommand {
    tenon_cancel_request request{};
};

// Cancels all open orders of the account, of one instrument or of TENON_ANY_INSTRUMENT.
struct CancelAllCommand {
    std::uint64_t account = 0;
    std::uint32_t instrument = 0;
};

// Evidence that a venue sent by itself. By instance name, which stays valid when a deployment adds
// venues.
struct VenueApplyCommand {
    tenon_str venue{};
    tenon_bytes evidence{};
};

struct AccountOpenCommand {
    tenon_str name{};
};

struct TransferCommand {
    tenon_ledger_entry entry = sized<tenon_ledger_entry>();
};

// created_real_ns, revoked and addresses of the key are ignored: the core sets them.
struct KeyAddCommand {
    tenon_api_key key = sized<tenon_api_key>();
};

struct KeyRevokeCommand {
    tenon_str key{};
};

struct InstrumentStatusCommand {
    std::uint32_t instrument = 0;
    std::uint32_t status = 0;
};

// Account 0: all trading. While it is not enabled no order is taken; `cancels`, for one that
// becomes so: its open orders are cancelled in the same step.
struct AccountStatusCommand {
    std::uint64_t account = 0;
    std::uint8_t enabled = 0;
    std::uint8_t cancels = 0;
};

using ListOrders = std::array<SubmitCommand, TENON_LIST_ORDERS_MAX>;

// The orders of a list, never nullptr. Their accounts' and instruments' rules are checked as if
// each were alone.
struct SubmitListCommand {
    std::uint32_t contingency = 0;
    tenon_client_id client_id{};
    const ListOrders* orders = nullptr;
};

struct CancelListCommand {
    tenon_list_cancel request = sized<tenon_list_cancel>();
};

struct AmendCommand {
    tenon_amend_request request = sized<tenon_amend_request>();
};

// Ends the open orders whose time is over at the command's. The engine sends it before any other
// command of that time.
struct ExpireCommand {};

// Limits of an account, or 0: of each; for an instrument, or TENON_ANY_INSTRUMENT. By RiskLimit:
// k_keep_limit leaves what there is, 0 takes it away.
struct RiskLimitsCommand {
    std::uint64_t account = 0;
    std::uint32_t instrument = 0;
    RiskLimits limits{};
};

// Where a key may be used from, as tenon_api_key.addresses; the core does not read it.
struct KeyAddressesCommand {
    tenon_str key{};
    tenon_str addresses{};
};

// Order of the alternatives = order of CommandKind, from 1. Append only.
using CommandBody = std::variant<
    SubmitCommand,
    CancelCommand,
    CancelAllCommand,
    VenueApplyCommand,
    AccountOpenCommand,
    TransferCommand,
    KeyAddCommand,
    KeyRevokeCommand,
    InstrumentStatusCommand,
    AccountStatusCommand,
    SubmitListCommand,
    CancelListCommand,
    AmendCommand,
    ExpireCommand,
    RiskLimitsCommand,
    KeyAddressesCommand>;

enum class CommandKind : std::uint8_t {
    submit = 1,
    cancel = 2,
    cancel_all = 3,
    venue_apply = 4,
    account_open = 5,
    transfer = 6,
    key_add = 7,
    key_revoke = 8,
    instrument_status = 9,
    account_status = 10,
    submit_list = 11,
    cancel_list = 12,
    amend = 13,
    expire = 14,
    risk_limits = 15,
    key_addresses = 16
};

struct Command {
    std::uint64_t sequence = 0;
    std::int64_t time_real_ns = 0;
    CommandBody body;

    [[nodiscard]] CommandKind kind() const noexcept {
        return static_cast<CommandKind>(body.index() + 1);
    }
};

// Appends the command's bytes. Texts longer than their bounds are the caller's mistake: check with
// Core::apply first, which refuses them, or with well_formed().
void encode(const Command& command, std::string& out);

// True when every text is within its bound, that is, when decode accepts what encode writes.
[[nodiscard]] bool well_formed(const Command& command) noexcept;

enum class DecodeStatus : std::uint8_t {
    ok,
    truncated,    // ends too early, or a text is longer than its bound
    trailing,     // bytes are left over
    bad_version,  // written by a later version
    unknown_kind
};

// Reads one command that fills `in` exactly. Any input is safe. On failure `out` is unspecified.
// Values are not judged here: the core refuses what makes no sense.
[[nodiscard]] DecodeStatus decode(std::string_view in, Command& out) noexcept;

// A word for messages.
[[nodiscard]] std::string_view name(CommandKind kind) noexcept;
[[nodiscard]] std::string_view name(DecodeStatus status) noexcept;

}  // namespace tenon::trading
