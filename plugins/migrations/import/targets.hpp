// SPDX-License-Identifier: Apache-2.0
// The tables that rows can be imported into: columns, what each holds, and the schema's rules.
//
// The rules are those of migrations/0001 and 0002, told before anything is written; the database
// still has the last word. What only the engine may write (balances, ledger, instruments) is not
// here.
#pragma once

#include "plugins/migrations/import/value.hpp"

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

namespace tenon::importer {

enum class Holds : std::uint8_t {
    count,       // an integer
    flag,        // 0 or 1
    word,        // an integer that stands for one of `words`
    choice,      // one of `words` as text
    text,        // text of length_min to length_max characters
    time,        // nanoseconds since 1970
    price,       // in units of the instrument's price
    quantity,    // in units of the instrument's quantity
    quote,       // in units of the instrument's quote asset
    fee,         // in units of the column fee_asset
    instrument,  // by symbol
    account,     // by name; of the import's own
    user,        // by name
    asset,       // by name
    row          // the id of another imported row
};

struct Word {
    std::string_view text;
    std::int64_t number = 0;
};

struct TargetColumn {
    std::string_view name;
    Holds holds = Holds::count;
    bool nullable = false;
    // What a column that the mapping leaves out gets, in the words of a mapping. No data: it has to
    // be mapped, or is NULL.
    std::string_view absent;
    std::int64_t min = INT64_MIN, max = INT64_MAX;
    std::size_t length_min = 0, length_max = 0;
    std::span<const Word> words;
    std::string_view refers_to;  // Holds::row: the target whose rows it names

    [[nodiscard]] bool must_be_mapped() const noexcept {
        return !nullable && absent.data() == nullptr;
    }
};

struct Target;

// Values of the columns of a target, by its order of columns.
class Fields {
public:
    Fields(const Target& target, std::span<const Value> values)
        : target_{&target}, values_{values} {}

    // Of a column that the target has. NULL and text give nothing.
    [[nodiscard]] std::optional<std::int64_t> number(std::string_view column) const noexcept;

    [[nodiscard]] std::int64_t at(std::string_view column) const noexcept {
        return number(column).value_or(0);
    }

    [[nodiscard]] bool is_null(std::string_view column) const noexcept;

private:
    const Target* target_;
    std::span<const Value> values_;
};

// A rule of the schema over several columns.
struct Rule {
    std::string_view name;
    bool (*holds)(const Fields& row);
};

// Where the id of a new row comes from.
enum class Ids : std::uint8_t {
    none,   // the key is made of other columns
    range,  // from k_ids_from on: the engine numbers its own from 1
    serial  // as the database counts
};

// Orders, trades and accounts of imports. Beyond every number that the engine will give (4.5e15),
// and still exact where JSON numbers are doubles (below 2^53).
inline constexpr std::int64_t k_ids_from = std::int64_t{1} << 52;
inline constexpr std::int64_t k_ids_end = std::int64_t{1} << 53;

struct Target {
    std::string_view name;
    Ids ids = Ids::none;
    std::string_view id;                    // the column, unless Ids::none
    std::span<const TargetColumn> columns;  // without `id`
    std::span<const std::string_view> key;  // primary key, `id` included
    std::span<const Rule> rules;
    // After which others it is filled.
    int rank = 0;
    // Columns that no two rows have alike, beside the key; and the rule's name.
    std::span<const std::string_view> unique = {};
    std::string_view unique_rule = {};

    [[nodiscard]] std::optional<std::size_t> column(std::string_view column_name) const noexcept;
};

[[nodiscard]] std::span<const Target> targets() noexcept;
[[nodiscard]] const Target* find_target(std::string_view name) noexcept;

}  // namespace tenon::importer
