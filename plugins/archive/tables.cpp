// SPDX-License-Identifier: Apache-2.0
#include "plugins/archive/tables.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace tenon::archive {
namespace {

std::vector<HistoryTable> make_tables() {
    std::vector<HistoryTable> tables{
        // An order goes when it is done, was not touched since, and none of its trades is left.
        {"orders",
         "orders",
         {"order_id"},
         "created_real_ns",
         "status > 3 AND updated_real_ns < ? AND NOT EXISTS (SELECT 1 FROM trades t WHERE "
         "t.order_id = orders.order_id)",
         true},
        {"trades",
         "trades",
         {"time_real_ns", "instrument", "trade_id", "side"},
         "time_real_ns",
         ""},
        {"trade_logs", "trade_logs", {"exit_real_ns", "id"}, "exit_real_ns", ""},
        {"predictions",
         "predictions",
         {"made_real_ns", "id"},
         "made_real_ns",
         "resolved_real_ns IS NOT NULL"},
        {"news_items", "news_items", {"published_real_ns", "id"}, "published_real_ns", ""},
        {"alerts",
         "alerts",
         {"raised_real_ns", "id"},
         "raised_real_ns",
         "resolved_real_ns IS NOT NULL"}};
    constexpr std::array<std::pair<const char*, int>, 15> k_intervals{
        {{"1s", 1},
         {"1m", 60},
         {"3m", 180},
         {"5m", 300},
         {"15m", 900},
         {"30m", 1800},
         {"1h", 3600},
         {"2h", 7200},
         {"4h", 14400},
         {"6h", 21600},
         {"8h", 28800},
         {"12h", 43200},
         {"1d", 86400},
         {"3d", 259200},
         {"1w", 604800}}};
    for (const auto& [name, seconds] : k_intervals) {
        tables.push_back(
            {std::string{"candles_"} + name,
             "candles",
             {"open_real_ns", "instrument", "interval_s"},
             "open_real_ns",
             "interval_s = " + std::to_string(seconds)}
        );
    }
    return tables;
}

}  // namespace

std::string HistoryTable::key_list() const {
    std::string out;
    for (const std::string& key : keys) {
        out.append(out.empty() ? "" : ", ").append(key);
    }
    return out;
}

std::string HistoryTable::key_marks() const {
    std::string out;
    for (std::size_t i = 0; i < keys.size(); ++i) {
        out.append(out.empty() ? "?" : ", ?");
    }
    return out;
}

const std::vector<HistoryTable>& history_tables() {
    static const std::vector<HistoryTable> k_tables = make_tables();
    return k_tables;
}

const HistoryTable& history_table(std::string_view name) {
    const auto& tables = history_tables();
    const auto found = std::find_if(tables.begin(), tables.end(), [&](const HistoryTable& table) {
        return table.name == name;
    });
    if (found != tables.end()) {
        return *found;
    }
    std::string known;
    for (const HistoryTable& table : tables) {
        known.append(known.empty() ? "" : ", ").append(table.name);
    }
    throw Error{
        TENON_INVALID,
        "there is no history \"" + std::string{name} + "\" that can be archived; there are " +
            known};
}

std::vector<Column>
columns_of(Session& session, std::string_view dialect, const std::string& table) {
    const bool is_sqlite = dialect == "sqlite";
    Statement rows = session.prepare(
        is_sqlite ? "SELECT name, type FROM pragma_table_info(?) ORDER BY cid"
                  : "SELECT a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod) FROM "
                    "pg_catalog.pg_attribute a WHERE a.attrelid = "
                    "pg_catalog.to_regclass(?) AND a.attnum > 0 AND NOT a.attisdropped ORDER "
                    "BY a.attnum"
    );
    rows.bind(1, table);
    std::vector<Column> columns;
    while (rows.step()) {
        columns.push_back({std::string{rows.text(0)}, std::string{rows.text(1)}});
    }
    return columns;
}

std::int64_t schema_version(Session& session, std::string_view dialect) {
    Statement there = session.prepare(
        dialect == "sqlite" ? "SELECT count(*) FROM sqlite_schema WHERE name = 'schema_history'"
                            : "SELECT count(*) FROM pg_catalog.pg_class WHERE oid = "
                              "pg_catalog.to_regclass('schema_history')"
    );
    std::int64_t count = 0;
    while (there.step()) {
        count = there.integer(0);
    }
    if (count == 0) {
        return 0;
    }
    std::int64_t version = 0;
    Statement rows = session.prepare("SELECT max(version) FROM schema_history");
    while (rows.step()) {
        version = rows.is_null(0) ? 0 : rows.integer(0);
    }
    return version;
}

}  // namespace tenon::archive
