// SPDX-License-Identifier: Apache-2.0
// The bounds repeat those of the schema's constraints, so that a client learns the field.
#include "plugins/trading/records/resource.hpp"

#include <array>

namespace tenon::records {
namespace {

constexpr unsigned k_must = k_create | k_required;
constexpr std::string_view k_license_types = "trial|basic|professional|enterprise";
constexpr std::string_view k_account_types = "demo|real";
constexpr std::string_view k_exit_reasons =
    "take_profit|stop_loss|trailing_stop|signal|manual|liquidation";
constexpr std::int64_t k_share_bp = 10'000;

constexpr std::array k_settings_fields{
    Field{"exchange", "exchange", Kind::text, k_change, 1, 32},
    Field{"account_type", "account_type", Kind::choice, k_change, 0, 0, k_account_types},
    Field{"strategy", "strategy", Kind::text, k_change, 0, 64},
    Field{"trading_enabled", "trading_enabled", Kind::flag, k_change},
    Field{"leverage", "leverage", Kind::integer, k_change, 1, 125},
    Field{"positions_max", "positions_max", Kind::integer, k_change, 1, 1000},
    Field{"risk_per_trade_bp", "risk_per_trade_bp", Kind::integer, k_change, 1, k_share_bp},
    Field{"daily_loss_max_bp", "daily_loss_max_bp", Kind::integer, k_change, 1, k_share_bp},
    Field{"take_profit_bp", "take_profit_bp", Kind::integer, k_change, 0, 1'000'000},
    Field{"stop_loss_bp", "stop_loss_bp", Kind::integer, k_change, 0, k_share_bp},
    Field{"notify", "notify", Kind::choice, k_change, 0, 0, "none|critical|warning|all"},
    Field{"extra", "extra", Kind::object, k_change, 2, 16'384},
    Field{
        "version",
        "version",
        Kind::integer,
        0,
        1,
        INT64_MAX,
        {},
        "counts changes; sent along, a change is refused when another one came first"},
    Field{"updated_us", "updated_real_ns", Kind::time}};

constexpr std::array k_license_fields{
    Field{"license_type", "license_type", Kind::choice, k_must | k_filter, 0, 0, k_license_types},
    Field{"is_active", "is_active", Kind::flag, k_filter},
    Field{"source", "source", Kind::choice, 0, 0, 0, "grant|promo|payment"},
    Field{"start_us", "start_real_ns", Kind::time},
    Field{
        "end_us",
        "end_real_ns",
        Kind::time,
        k_nullable,
        0,
        INT64_MAX,
        {},
        "null: it does not end"},
    Field{"created_us", "created_real_ns", Kind::time}};

constexpr std::array k_promo_fields{
    Field{"code", "code", Kind::code, k_must | k_filter, 4, 64},
    Field{"license_type", "license_type", Kind::choice, k_must | k_filter, 0, 0, k_license_types},
    Field{"duration_days", "duration_days", Kind::integer, k_must, 1, 3660},
    Field{"uses_max", "uses_max", Kind::integer, k_must | k_change, 1, 1'000'000},
    Field{"uses", "uses", Kind::integer},
    Field{"is_active", "is_active", Kind::flag, k_create | k_change | k_filter},
    Field{"valid_from_us", "valid_from_real_ns", Kind::time, k_must | k_change},
    Field{"valid_until_us", "valid_until_real_ns", Kind::time, k_must | k_change},
    Field{"created_us", "created_real_ns", Kind::time}};

constexpr std::array k_payment_fields{
    Field{"idempotency_key", "idempotency_key", Kind::text, k_must | k_filter, 1, 64},
    Field{"kind", "kind", Kind::choice, k_must | k_filter, 0, 0, "license|deposit|fee|refund"},
    Field{"provider", "provider", Kind::text, k_must | k_filter, 1, 32},
    Field{"provider_reference", "provider_reference", Kind::text, k_create, 0, 128},
    Field{"currency", "currency", Kind::code, k_must | k_filter, 3, 12},
    Field{"amount", "amount", Kind::amount, k_must, 1},
    Field{"status", "status", Kind::choice, k_filter, 0, 0, "pending|booked|failed|refunded"},
    Field{"license_id", "license_id", Kind::integer, k_nullable},
    Field{"created_us", "created_real_ns", Kind::time},
    Field{"booked_us", "booked_real_ns", Kind::time, k_nullable}};

constexpr std::array k_model_fields{
    Field{"name", "name", Kind::text, k_must | k_filter, 1, 64},
    Field{"version", "version", Kind::integer, k_must, 1},
    Field{"provider", "provider", Kind::text, k_must | k_filter, 1, 64},
    Field{
        "status",
        "status",
        Kind::choice,
        k_create | k_change | k_filter,
        0,
        0,
        "draft|active|retired"},
    Field{"artifact_sha256", "artifact_sha256", Kind::text, k_create | k_nullable, 64, 64},
    Field{"parameters", "parameters", Kind::object, k_create, 2, 16'384},
    Field{"created_us", "created_real_ns", Kind::time}};

constexpr std::array k_signal_fields{
    Field{"symbol", "instrument", Kind::symbol, k_must | k_filter},
    Field{"side", "side", Kind::side, k_must | k_filter},
    Field{"strategy", "strategy", Kind::text, k_must | k_filter, 1, 64},
    Field{"source", "source", Kind::text, k_must | k_filter, 1, 64},
    Field{"model_id", "model_id", Kind::integer, k_create | k_nullable | k_filter, 1},
    Field{"price", "price", Kind::price, k_must, 1},
    Field{"confidence_bp", "confidence_bp", Kind::integer, k_must, 0, k_share_bp},
    Field{"time_us", "time_real_ns", Kind::time, k_must},
    Field{"expires_us", "expires_real_ns", Kind::time, k_create | k_nullable}};

constexpr std::array k_prediction_fields{
    Field{"model_id", "model_id", Kind::integer, k_must | k_filter, 1},
    Field{"symbol", "instrument", Kind::symbol, k_must | k_filter},
    Field{"side", "side", Kind::side, k_must | k_filter},
    Field{"price", "price", Kind::price, k_must, 1},
    Field{"confidence_bp", "confidence_bp", Kind::integer, k_must, 0, k_share_bp},
    Field{"made_us", "made_real_ns", Kind::time, k_must},
    Field{"due_us", "due_real_ns", Kind::time, k_must},
    Field{"outcome_price", "outcome_price", Kind::price, k_change | k_nullable, 1},
    Field{"resolved_us", "resolved_real_ns", Kind::time, k_change | k_nullable}};

constexpr std::array k_news_fields{
    Field{"source", "source", Kind::text, k_must | k_filter, 1, 64},
    Field{"external_id", "external_id", Kind::text, k_must | k_filter, 1, 256},
    Field{"symbol", "symbol", Kind::text, k_create | k_filter, 0, 32},
    Field{"title", "title", Kind::text, k_must, 1, 512},
    Field{"summary", "summary", Kind::text, k_create, 0, 16'384},
    Field{"url", "url", Kind::text, k_create, 0, 2048},
    Field{
        "sentiment_score",
        "sentiment_score",
        Kind::score,
        k_create | k_change,
        -k_share_bp,
        k_share_bp},
    Field{"published_us", "published_real_ns", Kind::time, k_must},
    Field{"fetched_us", "fetched_real_ns", Kind::time}};

constexpr std::array k_trade_log_fields{
    Field{"exchange", "exchange", Kind::text, k_must | k_filter, 1, 32},
    Field{"account_type", "account_type", Kind::choice, k_must | k_filter, 0, 0, k_account_types},
    Field{"symbol", "instrument", Kind::symbol, k_must | k_filter},
    Field{"strategy", "strategy", Kind::text, k_create | k_filter, 0, 64},
    Field{"signal_id", "signal_id", Kind::integer, k_create | k_nullable, 1},
    Field{"side", "side", Kind::side, k_must | k_filter},
    Field{"quantity", "quantity", Kind::quantity, k_must, 1},
    Field{"entry_price", "entry_price", Kind::price, k_must, 1},
    Field{"exit_price", "exit_price", Kind::price, k_create | k_change | k_nullable, 1},
    Field{"entry_us", "entry_real_ns", Kind::time, k_must},
    Field{"exit_us", "exit_real_ns", Kind::time, k_create | k_change | k_nullable},
    Field{"fees", "fees", Kind::quote_amount, k_create | k_change, INT64_MIN},
    Field{"pnl", "pnl", Kind::quote_amount, k_create | k_change | k_nullable, INT64_MIN},
    Field{
        "exit_reason",
        "exit_reason",
        Kind::choice,
        k_create | k_change | k_nullable | k_filter,
        0,
        0,
        k_exit_reasons}};

constexpr std::array k_credential_fields{
    Field{"exchange", "exchange", Kind::text, k_must | k_filter, 1, 32},
    Field{"label", "label", Kind::text, k_must | k_filter, 1, 64},
    Field{
        "key_hint",
        "key_hint",
        Kind::text,
        0,
        0,
        4,
        {},
        "the end of the API key; nothing else of it is ever shown"},
    Field{"created_us", "created_real_ns", Kind::time},
    Field{"updated_us", "updated_real_ns", Kind::time}};

constexpr std::array k_performance_fields{
    Field{"day_us", "", Kind::time, 0, 0, INT64_MAX, {}, "the day's beginning, midnight UTC"},
    Field{"account_type", "r.account_type", Kind::choice, k_filter, 0, 0, k_account_types},
    Field{
        "currency",
        "coalesce(a.name, '')",
        Kind::text,
        k_filter,
        0,
        32,
        {},
        "the quote asset that pnl is counted in"},
    Field{"trade_count", "", Kind::integer, 0, 1, INT64_MAX, {}, "trades that were closed"},
    Field{"pnl", "", Kind::quote_amount},
    Field{"average_pnl", "", Kind::quote_amount, 0, 0, 0, {}, "pnl / trade_count, cut off"},
    Field{
        "average_return",
        "",
        Kind::amount,
        0,
        0,
        0,
        {},
        "mean change of price from entry to exit, towards profit, before fees; six decimals, cut "
        "off"}};

constexpr std::array k_news_sentiment_fields{
    Field{"day_us", "", Kind::time, 0, 0, INT64_MAX, {}, "the day's beginning, midnight UTC"},
    Field{"symbol", "r.symbol", Kind::text, k_filter, 0, 32},
    Field{"news_count", "", Kind::integer, 0, 1},
    Field{
        "average_score",
        "",
        Kind::amount,
        0,
        0,
        0,
        {},
        "mean of sentiment_score; six decimals, cut off"}};

}  // namespace

const Resource k_settings{
    "settings",
    "settings",
    "user_settings",
    "updated_real_ns",
    k_settings_fields,
    true,
    false,
    Right::read,
    Right::none,
    Right::trade};
const Resource
    k_licenses{"licenses", "licence", "user_licenses", "created_real_ns", k_license_fields, true};
const Resource k_promo_codes{
    "promo-codes",
    "promotion code",
    "promo_codes",
    "created_real_ns",
    k_promo_fields,
    false,
    false,
    Right::admin,
    Right::admin,
    Right::admin,
    "created_real_ns"};
const Resource
    k_payments{"payments", "payment", "payments", "created_real_ns", k_payment_fields, true};
const Resource k_models{
    "models",
    "model",
    "model_registry",
    "created_real_ns",
    k_model_fields,
    false,
    false,
    Right::read,
    Right::admin,
    Right::admin,
    "created_real_ns"};
const Resource k_signals{
    "signals",
    "signal",
    "signals",
    "time_real_ns",
    k_signal_fields,
    false,
    true,
    Right::read,
    Right::admin};
const Resource k_predictions{
    "predictions",
    "prediction",
    "predictions",
    "made_real_ns",
    k_prediction_fields,
    false,
    true,
    Right::read,
    Right::admin,
    Right::admin,
    {},
    "resolved_real_ns IS NULL"};
const Resource k_news{
    "news",
    "news item",
    "news_items",
    "published_real_ns",
    k_news_fields,
    false,
    false,
    Right::read,
    Right::admin,
    Right::admin,
    "fetched_real_ns"};
const Resource k_trade_logs{
    "trade-logs",
    "trade log",
    "trade_logs",
    "entry_real_ns",
    k_trade_log_fields,
    true,
    true,
    Right::read,
    Right::trade,
    Right::trade,
    {},
    "exit_real_ns IS NULL"};
const Resource k_credentials{
    "exchange-credentials",
    "credential",
    "exchange_credentials",
    "created_real_ns",
    k_credential_fields,
    true};
const Resource k_performance{
    "performance",
    "day's result",
    "mv_portfolio_performance",
    "day_real_ns",
    k_performance_fields,
    true,
    false,
    Right::read,
    Right::none,
    Right::none,
    {},
    {},
    true};
const Resource k_news_sentiment{
    "news-sentiment",
    "day's sentiment",
    "mv_news_sentiment",
    "day_real_ns",
    k_news_sentiment_fields,
    false,
    false,
    Right::read,
    Right::none,
    Right::none,
    {},
    {},
    true};

}  // namespace tenon::records
