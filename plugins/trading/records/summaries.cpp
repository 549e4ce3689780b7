// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/records/summaries.hpp"

#include "plugins/trading/records/failure.hpp"
#include "plugins/trading/records/listing.hpp"

#include <tenon/decimal.hpp>

#include <algorithm>
#include <string_view>
#include <vector>

namespace tenon::records {
namespace {

constexpr std::int64_t k_ns_per_us = 1'000;
constexpr std::int64_t k_pnl_unit = 1'000'000'000;  // pnl = pnl_hi * this + pnl_lo
constexpr int k_average_scale = 6;

// How a summary is read. Columns: the day, the keys, then what `append` takes.
struct Query {
    std::string_view columns, from, count;
    std::vector<std::string_view> keys;  // expressions, in the order of the list within a day
    std::string_view group;              // besides day and keys
    void (*append)(std::string& out, const Statement& row);
};

// Any number of digits, unlike the 63 bits of decimal.hpp.
[[nodiscard]] std::string decimal_text(Int128 value, int scale) {
    std::string digits;
    const bool is_negative = value < 0;
    Uint128 rest = is_negative ? ~static_cast<Uint128>(value) + 1 : static_cast<Uint128>(value);
    for (int place = 0; rest != 0 || place <= scale; ++place) {
        if (place == scale && scale > 0) {
            digits.push_back('.');
        }
        digits.push_back(static_cast<char>('0' + static_cast<int>(rest % 10)));
        rest /= 10;
    }
    if (is_negative && digits.find_first_not_of("0.") != std::string::npos) {
        digits.push_back('-');
    }
    std::reverse(digits.begin(), digits.end());
    return digits;
}

void append_performance(std::string& out, const Statement& row) {
    const std::int64_t count = row.integer(5);
    const Int128 pnl = static_cast<Int128>(row.integer(6)) * k_pnl_unit + row.integer(7);
    const int scale = row.as<int>(4);
    out.append("{\"user_id\":").append(std::to_string(row.integer(3)));
    out.append(",\"day_us\":").append(std::to_string(row.integer(0) / k_ns_per_us));
    out.append(",\"account_type\":");
    append_json(out, row.text(1));
    out.append(",\"currency\":");
    append_json(out, row.text(2));
    out.append(",\"trade_count\":").append(std::to_string(count));
    out.append(",\"pnl\":\"").append(decimal_text(pnl, scale));
    out.append("\",\"average_pnl\":\"").append(decimal_text(pnl / count, scale));
    out.append("\",\"average_return\":\"");
    out.append(decimal_text(row.integer(8) / count, k_average_scale)).append("\"}");
}

void append_sentiment(std::string& out, const Statement& row) {
    const std::int64_t count = row.integer(2);
    const Int128 sum =
        static_cast<Int128>(row.integer(3)) * power_of_ten(k_average_scale - k_score_scale);
    out.append("{\"day_us\":").append(std::to_string(row.integer(0) / k_ns_per_us));
    out.append(",\"symbol\":");
    append_json(out, row.text(1));
    out.append(",\"news_count\":").append(std::to_string(count));
    out.append(",\"average_score\":\"").append(decimal_text(sum / count, k_average_scale));
    out.append("\"}");
}

[[nodiscard]] const Query& query_of(const Resource& resource) {
    static const Query k_of_performance{
        "r.user_id, coalesce(a.scale, 8), CAST(sum(r.trade_count) AS bigint), "
        "CAST(sum(r.pnl_hi) AS bigint), CAST(sum(r.pnl_lo) AS bigint), "
        "CAST(sum(r.return_sum) AS bigint)",
        "mv_portfolio_performance r JOIN instruments i ON i.id = r.instrument "
        "LEFT JOIN assets a ON a.id = i.quote",
        "r.trade_count",
        {"r.account_type", "coalesce(a.name, '')"},
        ", r.user_id, coalesce(a.scale, 8)",
        append_performance};
    static const Query k_of_sentiment{
        "CAST(sum(r.news_count) AS bigint), CAST(sum(r.score_sum) AS bigint)",
        "mv_news_sentiment r",
        "r.news_count",
        {"r.symbol"},
        "",
        append_sentiment};
    return &resource == &k_performance ? k_of_performance : k_of_sentiment;
}

[[nodiscard]] std::string keys_of(const Query& query) {
    std::string out;
    for (const std::string_view key : query.keys) {
        out.append(out.empty() ? "" : ", ").append(key);
    }
    return out;
}

// "DAY.KEY.KEY", of which the last may hold points.
void add_cursor(Condition& where, const Query& query, Parameters& parameters) {
    const std::string* const cursor = parameters.find("cursor");
    if (cursor == nullptr) {
        return;
    }
    std::vector<std::string> parts;
    std::string_view rest{*cursor};
    while (parts.size() < query.keys.size() && rest.find('.') != std::string_view::npos) {
        parts.emplace_back(rest.substr(0, rest.find('.')));
        rest.remove_prefix(parts.back().size() + 1);
    }
    const auto day = parts.empty() ? std::nullopt : whole_number(parts.front());
    if (parts.size() != query.keys.size() || !day) {
        throw invalid("?cursor", "expected the next_cursor of an earlier answer");
    }
    parts.emplace_back(rest);
    where.add("r.day_real_ns <= ?", {*day});
    std::string marks;
    std::vector<Bound> values{*day, *day};
    for (std::size_t i = 0; i < query.keys.size(); ++i) {
        marks.append(marks.empty() ? "?" : ", ?");
        values.emplace_back(std::move(parts[i + 1]));
    }
    where.add(
        "(r.day_real_ns < ? OR (r.day_real_ns = ? AND (" + keys_of(query) + ") > (" + marks + ")))",
        {}
    );
    where.values().insert(where.values().end(), values.begin(), values.end());
}

[[nodiscard]] std::string cursor_of(const Query& query, const Statement& row) {
    std::string out = std::to_string(row.integer(0));
    for (std::uint32_t i = 1; i <= query.keys.size(); ++i) {
        out.append(".").append(row.text(i));
    }
    return out;
}

}  // namespace

std::string
list_summary(Session& session, const Resource& resource, const User& user, Parameters& parameters) {
    const Query& query = query_of(resource);
    const std::int64_t limit = limit_of(parameters);
    Condition where;
    add_owner(where, resource, user, parameters);
    add_times(where, resource, parameters);
    for (const Field& field : resource.fields) {
        const std::string* const text =
            (field.use & k_filter) == 0 ? nullptr : parameters.find(field.name);
        if (text != nullptr) {
            where.add(
                std::string{field.column} + " = ?", {value_of_parameter(session, field, *text)}
            );
        }
    }
    add_cursor(where, query, parameters);
    parameters.finish();
    where.values().emplace_back(limit + 1);
    const std::string keys = keys_of(query);
    std::string sql = "SELECT r.day_real_ns, " + keys + ", " + std::string{query.columns};
    sql.append(" FROM ").append(query.from).append(where.sql());
    sql.append(" GROUP BY r.day_real_ns, ").append(keys).append(query.group);
    sql.append(" HAVING sum(").append(query.count).append(") > 0 ORDER BY r.day_real_ns DESC, ");
    auto rows = session.prepare(sql.append(keys).append(" LIMIT ?"));
    bind_values(rows, where.values());
    std::string out{"{\"data\":["}, last, cursor{"null"};
    std::int64_t count = 0;
    while (rows.step()) {
        if (++count > limit) {
            cursor.clear();
            append_json(cursor, last);
            continue;
        }
        out.append(count == 1 ? "" : ",");
        query.append(out, rows);
        last = cursor_of(query, rows);
    }
    return out.append("],\"next_cursor\":").append(cursor).append("}");
}

}  // namespace tenon::records
