// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/upkeep/views.hpp"

#include <algorithm>
#include <array>

namespace tenon::upkeep {
namespace {

constexpr std::array<std::string_view, 3> k_performance_keys{
    "user_id",
    "account_type",
    "instrument"};
constexpr std::array<std::string_view, 4> k_performance_sums{
    "trade_count",
    "pnl_hi",
    "pnl_lo",
    "return_sum"};
constexpr std::array<std::string_view, 1> k_sentiment_keys{"symbol"};
constexpr std::array<std::string_view, 2> k_sentiment_sums{"news_count", "score_sum"};

constexpr std::array k_views{
    View{
        "mv_portfolio_performance",
        "mv_portfolio_performance_rows",
        "trade_logs",
        "exit_real_ns",
        k_performance_keys,
        k_performance_sums},
    View{
        "mv_news_sentiment",
        "mv_news_sentiment_rows",
        "news_items",
        "published_real_ns",
        k_sentiment_keys,
        k_sentiment_sums}};

// The last nanosecond of the day; the last day that 64 bits hold is a short one.
std::int64_t end_of(std::int64_t day_ns) noexcept {
    return day_ns > INT64_MAX - (k_day_ns - 1) ? INT64_MAX : day_ns + (k_day_ns - 1);
}

std::string list_of(std::span<const std::string_view> names) {
    std::string out;
    for (const std::string_view name : names) {
        out.append(out.empty() ? "" : ", ").append(name);
    }
    return out;
}

// Keys, then the sums that are kept, then those of the rows; '?' are the day, its begin and its
// end.
std::string compare_sql(const View& view) {
    std::string totals, kept, rows;
    for (const std::string_view sum : view.sums) {
        kept.append(", ").append(sum).append(" AS kept_").append(sum);
        rows.append(", 0");
        totals.append(", CAST(sum(kept_").append(sum).append(") AS bigint)");
    }
    for (const std::string_view sum : view.sums) {
        kept.append(", 0 AS rows_").append(sum);
        rows.append(", ").append(sum);
        totals.append(", CAST(sum(rows_").append(sum).append(") AS bigint)");
    }
    const std::string keys = list_of(view.keys);
    std::string sql = "SELECT " + keys + totals + " FROM (SELECT " + keys + kept + " FROM ";
    sql.append(view.table).append(" WHERE day_real_ns = ? UNION ALL SELECT ").append(keys);
    sql.append(rows).append(" FROM ").append(view.rows).append(" WHERE ").append(view.time_column);
    return sql.append(" BETWEEN ? AND ?) AS both_sides GROUP BY ").append(keys);
}

std::string text_of(const tenon_value& value) {
    return value.kind == TENON_VALUE_TEXT ? std::string{view(value.b)} : std::to_string(value.i);
}

std::string
pairs_of(const Statement& row, std::span<const std::string_view> names, std::uint32_t from) {
    std::string out;
    for (const std::string_view name : names) {
        out.append(out.empty() ? "" : " ").append(name).append("=");
        out.append(text_of(row.value(from++)));
    }
    return out;
}

void look_at(const Statement& row, const View& view, std::int64_t day_ns, Findings& findings) {
    const auto keys = static_cast<std::uint32_t>(view.keys.size());
    const auto sums = static_cast<std::uint32_t>(view.sums.size());
    bool is_same = true, is_empty = true;
    for (std::uint32_t i = 0; i < sums; ++i) {
        const std::int64_t kept = row.integer(keys + i), rows = row.integer(keys + sums + i);
        is_same = is_same && kept == rows;
        is_empty = is_empty && kept == 0 && rows == 0;
    }
    if (is_empty) {
        return;  // its rows are gone
    }
    ++findings.keys;
    if (is_same) {
        return;
    }
    ++findings.different;
    if (findings.told.size() < Findings::k_told_max) {
        findings.told.push_back(
            {std::string{view.table},
             "day=" + std::to_string(day_ns / k_day_ns) + " " + pairs_of(row, view.keys, 0),
             pairs_of(row, view.sums, keys),
             pairs_of(row, view.sums, keys + sums)}
        );
    }
}

}  // namespace

std::span<const View> views() {
    return k_views;
}

std::optional<std::int64_t> next_day(Session& session, const View& view, std::int64_t from_ns) {
    // Two statements, since each is one look into an index; only the union of them would not be.
    std::optional<std::int64_t> first;
    const auto look = [&](std::string_view table, std::string_view column) {
        std::string sql{"SELECT min("};
        sql.append(column).append(") FROM ").append(table).append(" WHERE ").append(column);
        auto row = session.prepare(sql.append(" >= ?"));
        row.bind(1, from_ns);
        while (row.step()) {
            if (!row.is_null(0)) {
                const std::int64_t found = row.integer(0);
                first = std::min(found, first.value_or(found));
            }
        }
    };
    look(view.table, "day_real_ns");
    look(view.source, view.time_column);
    return first ? std::optional{*first - *first % k_day_ns} : std::nullopt;
}

void compare_day(Session& session, const View& view, std::int64_t day_ns, Findings& findings) {
    auto rows = session.prepare(compare_sql(view));
    rows.bind_all(day_ns, day_ns, end_of(day_ns));
    while (rows.step()) {
        look_at(rows, view, day_ns, findings);
    }
    ++findings.days;
}

void rebuild_day(
    Session& session,
    std::string_view dialect,
    const View& view,
    std::int64_t day_ns
) {
    const std::string table{view.table};
    if (dialect == "postgres") {
        // Before the snapshot: whoever has counted a row by then has committed it, and whoever
        // counts one later adds to what is put here.
        session.execute("LOCK TABLE " + table + " IN SHARE ROW EXCLUSIVE MODE");
    }
    session.prepare("DELETE FROM " + table + " WHERE day_real_ns = ?").bind_all(day_ns).run();
    const std::string keys = list_of(view.keys);
    std::string totals;
    for (const std::string_view sum : view.sums) {
        totals.append(", CAST(sum(").append(sum).append(") AS bigint)");
    }
    session
        .prepare(
            "INSERT INTO " + table + " (" + keys + ", day_real_ns, " + list_of(view.sums) +
            ") SELECT " + keys + ", day_real_ns" + totals + " FROM " + std::string{view.rows} +
            " WHERE " + std::string{view.time_column} + " BETWEEN ? AND ? GROUP BY " + keys +
            ", day_real_ns"
        )
        .bind_all(day_ns, end_of(day_ns))
        .run();
}

bool Walk::find(Session& session) {
    for (; view_ < views().size(); ++view_, from_ns_ = 0) {
        if (from_ns_ < 0) {
            continue;  // the last day was that of the end of time
        }
        if (const auto day = next_day(session, view(), from_ns_)) {
            day_ns_ = *day;
            return true;
        }
    }
    return false;
}

void Walk::pass() noexcept {
    const std::int64_t end = end_of(day_ns_);
    from_ns_ = end == INT64_MAX ? -1 : end + 1;
}

}  // namespace tenon::upkeep
