// SPDX-License-Identifier: Apache-2.0
// Rows on their way: read by key, kept in bounded batches, written down in one way for both
// dialects.
#pragma once

#include "plugins/migrations/copy/model.hpp"

#include <deque>
#include <span>

namespace tenon::copy {

struct BatchLimits {
    std::size_t rows = 2'000;
    std::size_t bytes = std::size_t{4} << 20U;
};

// Rows of one table, values owned.
class RowBatch {
public:
    explicit RowBatch(const Table& table) : table_{&table} {}

    // Throws Error TENON_CORRUPT that names row and column when a value is not of the column's
    // kind.
    void add(const Statement& row);
    void clear();

    [[nodiscard]] std::size_t size() const { return values_.size() / table_->columns.size(); }

    [[nodiscard]] bool empty() const { return values_.empty(); }

    [[nodiscard]] bool full(const BatchLimits& limits) const {
        return size() >= limits.rows || bytes_ >= limits.bytes;
    }

    [[nodiscard]] std::span<const tenon_value> values() const { return values_; }

    [[nodiscard]] std::span<const tenon_value> row(std::size_t i) const {
        return values().subspan(i * table_->columns.size(), table_->columns.size());
    }

    [[nodiscard]] Key key(std::size_t i) const;
    // Writes all rows; a failure names the table and the first and last key.
    void insert(Session& into) const;

private:
    const Table* table_;
    std::vector<tenon_value> values_;
    std::deque<std::string> bytes_of_;
    std::size_t bytes_ = 0;
};

// One value for a kind, a length and its bytes: equal rows give equal bytes on every dialect.
// Integers are 8 bytes, the highest first; decimals have no needless zeros; -0.0 is 0.0.
void append_canonical(std::string& out, Kind kind, const tenon_value& value);
[[nodiscard]] std::string canonical(const Table& table, std::span<const tenon_value> row);

// SQL over a table of one side. Columns are those of the table, in its order.
class TableSql {
public:
    TableSql(const Table& table, bool is_postgres) : table_{table}, is_postgres_{is_postgres} {}

    // Rows after a key, or from the first, at most `limit`.
    [[nodiscard]] Statement read_after(Session& session, const Key* after, std::size_t limit) const;
    [[nodiscard]] Statement read_keys(Session& session, std::span<const Key> keys) const;
    void erase_keys(Session& session, std::span<const Key> keys) const;

private:
    [[nodiscard]] std::string select() const;
    [[nodiscard]] std::string where_keys(std::size_t count) const;
    [[nodiscard]] std::string key_list(std::string_view separator) const;
    void bind_key(Statement& statement, std::uint32_t& index, const Key& key) const;

    const Table& table_;
    bool is_postgres_;
};

// How many keys a statement of read_keys and erase_keys takes at most.
inline constexpr std::size_t k_keys_max = 32;

}  // namespace tenon::copy
