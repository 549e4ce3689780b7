// SPDX-License-Identifier: Apache-2.0
#include "plugins/migrations/import/targets.hpp"

#include <tenon/abi/trading.h>

#include <array>

namespace tenon::importer {
namespace {

constexpr std::array<Word, 2> k_sides{{{"buy", TENON_SIDE_BUY}, {"sell", TENON_SIDE_SELL}}};
constexpr std::array<Word, 7> k_types{
    {{"limit", TENON_ORDER_LIMIT},
     {"market", TENON_ORDER_MARKET},
     {"limit_maker", TENON_ORDER_LIMIT_MAKER},
     {"stop_loss", TENON_ORDER_STOP_LOSS},
     {"stop_loss_limit", TENON_ORDER_STOP_LOSS_LIMIT},
     {"take_profit", TENON_ORDER_TAKE_PROFIT},
     {"take_profit_limit", TENON_ORDER_TAKE_PROFIT_LIMIT}}};
constexpr std::array<Word, 4> k_in_force{
    {{"none", 0}, {"gtc", TENON_TIF_GTC}, {"ioc", TENON_TIF_IOC}, {"fok", TENON_TIF_FOK}}};
// The engine knows nothing of imported orders: only those whose life is over can be here.
constexpr std::array<Word, 4> k_closed{
    {{"filled", TENON_STATUS_FILLED},
     {"canceled", TENON_STATUS_CANCELED},
     {"expired", TENON_STATUS_EXPIRED},
     {"rejected", TENON_STATUS_REJECTED}}};
constexpr std::array<Word, 3> k_fill_status{{{"final", 1}, {"corrected", 2}, {"busted", 3}}};
constexpr std::array<Word, 2> k_account_types{{{"demo", 0}, {"real", 1}}};
constexpr std::array<Word, 6> k_exit_reasons{
    {{"take_profit", 0},
     {"stop_loss", 1},
     {"trailing_stop", 2},
     {"signal", 3},
     {"manual", 4},
     {"liquidation", 5}}};

constexpr TargetColumn needed(std::string_view name, Holds holds, std::int64_t min = INT64_MIN) {
    TargetColumn column;
    column.name = name;
    column.holds = holds;
    column.min = min;
    return column;
}

constexpr TargetColumn
with(std::string_view name, Holds holds, std::string_view absent, std::int64_t min = INT64_MIN) {
    TargetColumn column = needed(name, holds, min);
    column.absent = absent;
    return column;
}

constexpr TargetColumn maybe(std::string_view name, Holds holds, std::int64_t min = INT64_MIN) {
    TargetColumn column = needed(name, holds, min);
    column.nullable = true;
    return column;
}

constexpr TargetColumn one_of(
    std::string_view name,
    Holds holds,
    std::span<const Word> words,
    std::string_view absent = {}
) {
    TargetColumn column = needed(name, holds);
    column.words = words;
    column.absent = absent;
    return column;
}

constexpr TargetColumn
text(std::string_view name, std::size_t min, std::size_t max, std::string_view absent = {}) {
    TargetColumn column = needed(name, Holds::text);
    column.length_min = min;
    column.length_max = max;
    column.absent = absent;
    return column;
}

constexpr TargetColumn between(TargetColumn column, std::int64_t min, std::int64_t max) {
    column.min = min;
    column.max = max;
    return column;
}

constexpr TargetColumn
row_of(std::string_view name, std::string_view target, bool nullable = false) {
    TargetColumn column = needed(name, Holds::row);
    column.refers_to = target;
    column.nullable = nullable;
    return column;
}

constexpr TargetColumn
maybe_one_of(std::string_view name, Holds holds, std::span<const Word> words) {
    TargetColumn column = one_of(name, holds, words);
    column.nullable = true;
    return column;
}

constexpr std::array k_orders{
    needed("account", Holds::account),
    needed("instrument", Holds::instrument),
    one_of("side", Holds::word, k_sides),
    one_of("type", Holds::word, k_types),
    one_of("time_in_force", Holds::word, k_in_force, "gtc"),
    one_of("status", Holds::word, k_closed),
    with("price", Holds::price, "0", 0),
    with("quantity", Holds::quantity, "0", 0),
    with("quote_quantity", Holds::quote, "0", 0),
    with("filled_quantity", Holds::quantity, "0", 0),
    with("filled_quote", Holds::quote, "0", 0),
    needed("created_real_ns", Holds::time, 0),
    needed("updated_real_ns", Holds::time, 0),
    with("update_sequence", Holds::count, "1", 1),
    between(with("reject", Holds::count, "0"), 0, UINT32_MAX),
    text("client_id", 0, TENON_CLIENT_ID_MAX, ""),
    text("cancel_client_id", 0, TENON_CLIENT_ID_MAX, "")};

constexpr std::array k_trades{
    needed("instrument", Holds::instrument),
    one_of("side", Holds::word, k_sides),
    row_of("order_id", "orders"),
    needed("account", Holds::account),
    with("is_maker", Holds::flag, "0"),
    needed("price", Holds::price, 1),
    needed("quantity", Holds::quantity, 1),
    needed("quote_amount", Holds::quote, 0),
    with("fee", Holds::fee, "0", 0),
    needed("fee_asset", Holds::asset),
    needed("time_real_ns", Holds::time, 0),
    with("sequence", Holds::count, "1", 1),
    one_of("status", Holds::word, k_fill_status, "final")};

constexpr std::array k_signals{
    needed("instrument", Holds::instrument),
    one_of("side", Holds::word, k_sides),
    text("strategy", 1, 64),
    text("source", 1, 64),
    needed("price", Holds::price, 1),
    between(with("confidence_bp", Holds::count, "0"), 0, 10'000),
    needed("time_real_ns", Holds::time, 0),
    maybe("expires_real_ns", Holds::time, 0)};

constexpr std::array k_trade_logs{
    needed("user_id", Holds::user),
    text("exchange", 1, 32),
    one_of("account_type", Holds::choice, k_account_types),
    needed("instrument", Holds::instrument),
    text("strategy", 0, 64, ""),
    row_of("signal_id", "signals", true),
    one_of("side", Holds::word, k_sides),
    needed("quantity", Holds::quantity, 1),
    needed("entry_price", Holds::price, 1),
    maybe("exit_price", Holds::price, 1),
    needed("entry_real_ns", Holds::time, 0),
    maybe("exit_real_ns", Holds::time, 0),
    with("fees", Holds::quote, "0"),
    maybe("pnl", Holds::quote),
    maybe_one_of("exit_reason", Holds::choice, k_exit_reasons)};

constexpr std::array k_active_positions{
    needed("user_id", Holds::user),
    text("exchange", 1, 32),
    one_of("account_type", Holds::choice, k_account_types),
    needed("instrument", Holds::instrument),
    text("strategy", 0, 64, ""),
    one_of("side", Holds::word, k_sides),
    needed("quantity", Holds::quantity, 1),
    needed("entry_price", Holds::price, 1),
    maybe("take_profit", Holds::price, 1),
    maybe("stop_loss", Holds::price, 1),
    between(maybe("trailing_bp", Holds::count), 1, 10'000),
    needed("opened_real_ns", Holds::time, 0),
    needed("updated_real_ns", Holds::time, 0)};

constexpr std::array k_positions{
    needed("user_id", Holds::user),
    text("exchange", 1, 32),
    one_of("account_type", Holds::choice, k_account_types),
    needed("instrument", Holds::instrument),
    needed("quantity", Holds::quantity),
    needed("entry_price", Holds::price, 0),
    with("realised_pnl", Holds::quote, "0"),
    with("fees", Holds::quote, "0"),
    needed("updated_real_ns", Holds::time, 0)};

constexpr std::array k_pending{
    needed("user_id", Holds::user),
    text("exchange", 1, 32),
    one_of("account_type", Holds::choice, k_account_types),
    needed("instrument", Holds::instrument),
    text("strategy", 0, 64, ""),
    one_of("side", Holds::word, k_sides),
    needed("price", Holds::price, 1),
    needed("quantity", Holds::quantity, 1),
    text("client_id", 1, 64),
    needed("created_real_ns", Holds::time, 0),
    maybe("expires_real_ns", Holds::time, 0)};

constexpr std::array<Rule, 3> k_order_rules{
    {{"has_a_quantity",
      [](const Fields& f) { return f.at("quantity") > 0 || f.at("quote_quantity") > 0; }},
     {"not_filled_beyond_quantity",
      [](const Fields& f) {
          return f.at("quote_quantity") > 0 || f.at("filled_quantity") <= f.at("quantity");
      }},
     {"order_is_updated_later",
      [](const Fields& f) { return f.at("updated_real_ns") >= f.at("created_real_ns"); }}}};

bool expires_later(const Fields& f, std::string_view begins) {
    return f.is_null("expires_real_ns") || f.at("expires_real_ns") > f.at(begins);
}

constexpr std::array<Rule, 1> k_signal_rules{
    {{"signal_expires_later", [](const Fields& f) { return expires_later(f, "time_real_ns"); }}}};
constexpr std::array<Rule, 1> k_pending_rules{{{"pending_order_expires_later", [](const Fields& f) {
                                                    return expires_later(f, "created_real_ns");
                                                }}}};
constexpr std::array<Rule, 2> k_trade_log_rules{
    {{"trade_log_exit_is_whole",
      [](const Fields& f) {
          const bool open = f.is_null("exit_real_ns");
          return open == f.is_null("exit_price") && open == f.is_null("pnl") &&
                 open == f.is_null("exit_reason");
      }},
     {"trade_log_exits_after_entry", [](const Fields& f) {
          return f.is_null("exit_real_ns") || f.at("exit_real_ns") >= f.at("entry_real_ns");
      }}}};
constexpr std::array<Rule, 2> k_active_rules{
    {{"active_position_profit_is_beyond_loss",
      [](const Fields& f) {
          if (f.is_null("take_profit") || f.is_null("stop_loss")) {
              return true;
          }
          return f.at("side") == TENON_SIDE_BUY ? f.at("take_profit") > f.at("stop_loss")
                                                : f.at("take_profit") < f.at("stop_loss");
      }},
     {"active_position_is_updated_later",
      [](const Fields& f) { return f.at("updated_real_ns") >= f.at("opened_real_ns"); }}}};
constexpr std::array<Rule, 1> k_position_rules{
    {{"position_has_a_price_when_open",
      [](const Fields& f) { return (f.at("quantity") == 0) == (f.at("entry_price") == 0); }}}};

constexpr std::array<std::string_view, 1> k_order_key{"order_id"};
constexpr std::array<std::string_view, 3> k_trade_key{"instrument", "trade_id", "side"};
constexpr std::array<std::string_view, 1> k_id_key{"id"};
constexpr std::array<std::string_view, 4> k_position_key{
    "user_id",
    "exchange",
    "account_type",
    "instrument"};

constexpr std::array<std::string_view, 6>
    k_one_position{"user_id", "exchange", "account_type", "instrument", "strategy", "side"};
constexpr std::array<std::string_view, 2> k_one_client_id{"user_id", "client_id"};

constexpr std::array<Target, 7> k_targets{
    {{"orders", Ids::range, "order_id", k_orders, k_order_key, k_order_rules, 0},
     {"trades", Ids::range, "trade_id", k_trades, k_trade_key, {}, 1},
     {"signals", Ids::serial, "id", k_signals, k_id_key, k_signal_rules, 0},
     {"trade_logs", Ids::serial, "id", k_trade_logs, k_id_key, k_trade_log_rules, 1},
     {"active_positions",
      Ids::serial,
      "id",
      k_active_positions,
      k_id_key,
      k_active_rules,
      0,
      k_one_position,
      "active_position_is_one"},
     {"positions",
      Ids::none,
      {},
      k_positions,
      k_position_key,
      k_position_rules,
      0,
      k_position_key,
      "position_is_one"},
     {"pending_limit_orders",
      Ids::serial,
      "id",
      k_pending,
      k_id_key,
      k_pending_rules,
      0,
      k_one_client_id,
      "pending_order_client_id_is_unique"}}};

}  // namespace

std::optional<std::size_t> Target::column(std::string_view column_name) const noexcept {
    for (std::size_t i = 0; i < columns.size(); ++i) {
        if (columns[i].name == column_name) {
            return i;
        }
    }
    return std::nullopt;
}

std::optional<std::int64_t> Fields::number(std::string_view column) const noexcept {
    const auto at = target_->column(column);
    const auto* value = at ? std::get_if<std::int64_t>(&values_[*at]) : nullptr;
    return value == nullptr ? std::nullopt : std::optional{*value};
}

bool Fields::is_null(std::string_view column) const noexcept {
    const auto at = target_->column(column);
    return at && std::holds_alternative<std::monostate>(values_[*at]);
}

std::span<const Target> targets() noexcept {
    return k_targets;
}

const Target* find_target(std::string_view name) noexcept {
    for (const Target& target : k_targets) {
        if (target.name == name) {
            return &target;
        }
    }
    return nullptr;
}

}  // namespace tenon::importer
