// SPDX-License-Identifier: Apache-2.0
// The schema against what was asked of it: every table, every index, every business rule.
#include "tests/unit/migrations/records_rules.hpp"
#include "tests/unit/migrations/schema_shape.hpp"
#include "tests/unit/migrations/shipped_schema.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <regex>

using tenon::Session;
using tenon::test::SchemaBackend;
using tenon::test::SchemaShape;

namespace {

SchemaShape migrated_shape(SchemaBackend& backend) {
    tenon::test::shipped_schema(backend)->up();
    return tenon::test::shape_of(backend);
}

// What an index is asked for, in the schema's names; migrations/README.md maps them.
struct Asked {
    const char* table;
    std::vector<std::string> columns;
};

const std::vector<Asked> k_asked{
    {"trades", {"time_real_ns", "instrument"}},
    {"trades", {"account", "status"}},
    {"orders", {"instrument", "status", "created_real_ns"}},
    {"news_items", {"symbol", "sentiment_score"}},
    {"news_items", {"published_real_ns desc"}},
    {"positions", {"user_id", "instrument"}},
    {"portfolios", {"user_id", "is_active"}},
    {"trade_logs", {"user_id", "instrument"}},
    {"trade_logs", {"entry_real_ns desc"}},
    {"trade_logs", {"exit_real_ns desc"}},
    {"trade_logs", {"pnl desc"}},
    {"active_positions", {"instrument"}},
    {"active_positions", {"user_id", "account_type"}},
    {"active_positions", {"user_id", "strategy"}},
    {"active_positions", {"side", "instrument"}},
    {"pending_limit_orders", {"instrument"}},
    {"pending_limit_orders", {"user_id", "strategy"}},
    {"pending_limit_orders", {"user_id", "account_type"}},
    {"pending_limit_orders", {"instrument", "price"}},
    {"user_licenses", {"end_real_ns desc"}},
    {"user_licenses", {"user_id", "license_type"}},
    {"user_licenses", {"is_active", "user_id"}},
    {"promo_codes", {"is_active", "valid_until_real_ns"}},
    {"promo_codes", {"license_type", "is_active"}},
    {"signals", {"instrument", "side", "time_real_ns desc"}},
    {"signals", {"instrument", "price"}},
    {"payments", {"user_id", "created_real_ns desc"}}};

// "@N" stands for a text of N characters.
std::string literal(const std::string& value) {
    return value.front() == '@' ? "'" + std::string(std::stoul(value.substr(1)), 'x') + "'" : value;
}

std::string insert_of(const tenon::test::RuleRow& row, const tenon::test::RuleRow& changes) {
    std::string columns, values;
    for (const auto& [column, value] : row) {
        const auto changed = changes.find(column);
        columns.append(columns.empty() ? "" : ", ").append(column);
        values.append(values.empty() ? "" : ", ")
            .append(literal(changed == changes.end() ? value : changed->second));
    }
    return "(" + columns + ") VALUES (" + values + ")";
}

// TENON_OK and "", or what the storage said.
std::pair<tenon_status, std::string> try_sql(SchemaBackend& backend, const std::string& sql) {
    try {
        backend.storage().write(backend.deadline(), [&](Session& s) { s.execute(sql); });
    } catch (const tenon::Error& e) {
        return {e.code(), e.what()};
    }
    return {TENON_OK, ""};
}

}  // namespace

TEST_CASE("the schema has every table that is asked for", "[migrations][S8]") {
    SchemaBackend backend;
    const SchemaShape shape = migrated_shape(backend);
    for (const char* table :
         {"users",
          "model_registry",
          "user_settings",
          "user_licenses",
          "promo_codes",
          "payments",
          "api_credentials",
          "instruments",
          "orders",
          "trades",
          "pending_limit_orders",
          "trade_logs",
          "positions",
          "portfolios",
          "active_positions",
          "balances",
          "signals",
          "predictions",
          "news_items",
          "alerts",
          "jobs",
          "audit_log",
          "candles"}) {
        CAPTURE(table);
        CHECK(shape.tables.count(table) == 1);
    }
}

TEST_CASE("the schema has every index that is asked for, and each once", "[migrations][S8]") {
    SchemaBackend backend;
    const SchemaShape shape = migrated_shape(backend);
    CHECK(shape.indexes.size() >= 28);
    for (const Asked& asked : k_asked) {
        CAPTURE(asked.table, asked.columns);
        CHECK(std::any_of(shape.indexes.begin(), shape.indexes.end(), [&](const auto& entry) {
            const tenon::test::ShapeIndex& index = entry.second;
            return index.table == asked.table && !index.partial &&
                   index.columns.size() >= asked.columns.size() &&
                   std::equal(asked.columns.begin(), asked.columns.end(), index.columns.begin());
        }));
    }
    std::set<tenon::test::ShapeIndex> distinct;
    for (const auto& [name, index] : shape.indexes) {
        CAPTURE(name);
        CHECK(distinct.insert(index).second);
    }
}

TEST_CASE("every business rule of the records refuses what breaks it", "[migrations][S8]") {
    SchemaBackend backend;
    tenon::test::shipped_schema(backend)->up();
    for (const std::string& sql : tenon::test::k_rule_base) {
        CAPTURE(sql);
        REQUIRE(try_sql(backend, sql) == std::pair<tenon_status, std::string>{TENON_OK, ""});
    }
    std::set<std::string> tried;
    for (const tenon::test::RuleBreak& broken : tenon::test::k_rule_breaks) {
        const std::string sql =
            "INSERT INTO " + std::string{broken.table} + " " +
            insert_of(tenon::test::k_rule_rows.at(broken.table), broken.changes);
        const auto [status, message] = try_sql(backend, sql);
        CAPTURE(sql, message);
        CHECK(status == TENON_CONFLICT);
        const bool is_named = broken.message.empty() || backend.storage().dialect() != "sqlite";
        CHECK_THAT(message, Catch::Contains(is_named ? broken.rule : broken.message));
        tried.insert(broken.rule);
    }
    std::ifstream file{
        tenon::test::source_dir() + "/migrations/0002_records." +
        std::string{backend.storage().dialect()} + ".up.sql"};
    const std::string text{std::istreambuf_iterator<char>{file}, {}};
    const std::regex named{R"((?:CONSTRAINT|UNIQUE INDEX) (\w+))"};
    for (std::sregex_iterator it{text.begin(), text.end(), named}, end; it != end; ++it) {
        INFO("no row breaks this rule");
        CAPTURE((*it)[1].str());
        CHECK(tried.count((*it)[1].str()) == 1);
    }
}
