// SPDX-License-Identifier: Apache-2.0
// EXPLAIN QUERY PLAN of SQLite in the one shape of tenon.storage/1.
//
// SQLite tells neither rows nor costs: both are null. It names a table by its alias where it has
// one; the plan names the table, found in the statement's text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::sqlite {

struct PlanLine {
    std::int64_t id = 0;
    std::int64_t parent = 0;
    std::string detail;
};

struct PlanNode {
    std::uint32_t depth = 0;
    std::string_view operation = "other";
    std::string table;
    std::string index;
    std::string condition;
    std::string detail;
    bool covering = false;
};

class Plan {
public:
    // `tables`: what the statement touches; `operation` and `target`: what it changes, or empty.
    Plan(
        const std::vector<PlanLine>& lines,
        std::string_view sql,
        const std::vector<std::string>& tables,
        std::string_view operation,
        std::string_view target
    );

    // Of everything but the details.
    [[nodiscard]] std::uint64_t hash() const noexcept { return hash_; }

    [[nodiscard]] std::string json() const;

    // The details alone, "; " between.
    [[nodiscard]] std::string brief() const;

private:
    std::vector<PlanNode> nodes_;
    std::uint64_t hash_ = 0;
};

}  // namespace tenon::sqlite
