// SPDX-License-Identifier: Apache-2.0
// What is copied: tables with their columns and keys, alike on both sides.
#pragma once

#include <tenon/storage.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::copy {

// What a column holds on both sides; of each there is one way to write a value down.
enum class Kind : std::uint8_t { integer, real, text, blob, decimal };

[[nodiscard]] std::string_view name_of(Kind kind) noexcept;

struct Column {
    std::string name;
    Kind kind = Kind::integer;
};

struct Table {
    std::string name;
    std::vector<Column> columns;       // by name
    std::vector<std::size_t> key;      // of columns, in the order of the primary key
    std::vector<std::string> parents;  // tables that its rows refer to

    [[nodiscard]] const Column& key_column(std::size_t i) const { return columns[key[i]]; }
};

// Values of the primary key as text, in the key's order.
using Key = std::vector<std::string>;

inline constexpr std::size_t k_key_columns_max = 8;

// One of the two databases.
struct Side {
    Storage storage;
    std::string name;  // of the instance, for messages

    [[nodiscard]] bool is_postgres() const { return storage.dialect() == "postgres"; }
};

[[nodiscard]] std::string quoted(std::string_view name);
// 'text', for what cannot be a parameter.
[[nodiscard]] std::string literal(std::string_view text);
// "orders (7, BTC)"
[[nodiscard]] std::string row_name(const Table& table, const Key& key);
// Below 0, 0, above 0: as the database orders them, integers by value and text by its bytes.
[[nodiscard]] int compare(const Table& table, const Key& a, const Key& b);

}  // namespace tenon::copy
