// SPDX-License-Identifier: Apache-2.0
// Which tables a statement reads or writes, from its text or its plan and the schema's catalogue.
//
// What is written is found in the text: the names after INSERT INTO, UPDATE, DELETE FROM, MERGE
// INTO, TRUNCATE and REFRESH, and what triggers, foreign keys, views and partitions reach from
// there. What is not sure (DDL, DO, CALL, a function of somebody's own, dynamic SQL in a trigger, a
// name that is not known) counts as everything. What is read is found in the verbose plan, where
// views and SQL functions are resolved already: its relations, and every function by its name.
//
// Unchanging once built; then from any thread. Names count without their schema: tables of one name
// in two schemas are one.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace tenon::postgres {

// What a text writes.
struct WriteUse {
    std::set<std::string> tables;
    bool everything = false;
    bool schema = false;  // and what is known of tables may be wrong afterwards

    [[nodiscard]] bool empty() const noexcept { return tables.empty() && !everything; }

    void add(const WriteUse& other);
};

// What a query reads.
struct ReadUse {
    std::vector<std::string> tables;
    bool repeatable = false;  // its rows depend on these tables and the values alone
    bool unknown = false;     // a table of it is not in the map
};

// Of a text when nothing is known of the schema.
[[nodiscard]] WriteUse writes_blindly(std::string_view sql);

class TableMap {
public:
    // Rows of the catalogue's queries, in this order.
    void add_relation(std::int64_t id, std::string name, char kind);
    void add_reach(std::int64_t from, std::int64_t to);  // a write to the one writes the other
    void add_anything(std::int64_t from);                // a write to it may write anything
    void add_function(std::string name, bool is_pure, bool is_own);
    void add_trigger(std::int64_t on, std::string_view body, std::string_view language);

    [[nodiscard]] WriteUse writes_of(std::string_view sql) const;
    // `plan`: of EXPLAIN (VERBOSE, FORMAT JSON).
    [[nodiscard]] ReadUse reads_of(std::string_view plan) const;
    // Tables whose names stand in the text.
    [[nodiscard]] std::vector<std::string> named_in(std::string_view sql) const;

private:
    class Writes;
    class Reads;

    struct Node {
        char kind = 'r';
        bool anything = false;
        std::set<std::string> reaches;
    };

    struct Function {
        bool is_pure = true;
        bool is_own = false;
    };

    void reach(const std::string& table, WriteUse& use) const;

    std::unordered_map<std::int64_t, std::string> names_;
    std::unordered_map<std::string, Node> nodes_;
    std::unordered_map<std::string, Function> functions_;
};

// Of the catalogue: id, name and kind; from and to; id; name, pure and own; id, body and language.
[[nodiscard]] const char* relations_sql() noexcept;
[[nodiscard]] const char* reaches_sql() noexcept;
[[nodiscard]] const char* anything_sql() noexcept;
[[nodiscard]] const char* functions_sql() noexcept;
[[nodiscard]] const char* triggers_sql() noexcept;

}  // namespace tenon::postgres
