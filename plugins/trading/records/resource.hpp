// SPDX-License-Identifier: Apache-2.0
// The resources of the native API as data: which table, which fields, who may write them. Rows,
// checks, statements and the OpenAPI document all follow from these descriptions, so that they
// cannot say different things.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace tenon::records {

enum class Kind : std::uint8_t {
    integer,       // JSON integer in [min, max]
    text,          // JSON string of min .. max characters (bytes of UTF-8)
    code,          // the same, in upper case letters, digits, '-', '_' and '.'
    choice,        // one of `choices`
    flag,          // true or false; 0 or 1 in SQL
    side,          // "buy" or "sell"; 0 or 1 in SQL
    time,          // microseconds since 1970; nanoseconds in SQL
    symbol,        // an instrument's symbol; its id in SQL
    price,         // exact decimals as strings, at the instrument's price scale,
    quantity,      // its quantity scale,
    quote_amount,  // the scale of its quote asset,
    amount,        // or k_amount_scale
    score,         // an exact decimal between -1 and 1 with four digits
    object         // a JSON object, kept as text
};

inline constexpr int k_amount_scale = 8;
inline constexpr int k_score_scale = 4;
inline constexpr std::int64_t k_forever_ns = INT64_MAX;

// What may be done with a field, beside reading it.
inline constexpr unsigned k_create = 1, k_required = 2, k_change = 4, k_filter = 8, k_nullable = 16;

struct Field {
    std::string_view name, column;
    Kind kind;
    unsigned use = 0;
    std::int64_t min = 0, max = INT64_MAX;
    std::string_view choices = {};  // separated by '|'
    std::string_view help = {};
};

enum class Right : std::uint8_t { none, read, trade, admin };

struct Resource {
    std::string_view name;  // in the path: /api/NAME
    std::string_view one;   // what a row is called
    std::string_view table;
    std::string_view time_column;   // rows are listed newest first by this and the id
    std::span<const Field> fields;  // without id and user_id
    bool is_owned = false;          // rows belong to users, who see their own ones only
    bool by_instrument = false;
    Right read = Right::read, create = Right::none, change = Right::none;
    std::string_view stamp_column = {};      // set to the time of creation
    std::string_view change_condition = {};  // SQL that a row must fulfil to be changed
    bool is_summary = false;                 // sums of a day: no id, and no row by itself
};

extern const Resource k_licenses, k_promo_codes, k_payments, k_models, k_signals, k_predictions,
    k_news, k_trade_logs, k_credentials;
// One row for each user; not listed.
extern const Resource k_settings;
// Daily sums. A field's column is what its filter compares.
extern const Resource k_performance, k_news_sentiment;

}  // namespace tenon::records
