// SPDX-License-Identifier: Apache-2.0
// Whether two texts of a statement give the same rows: compared on a copy of the database as it
// is, on its tables emptied, and on small tables to which rows with NULL, duplicates and extremes
// are added as far as the schema takes them, each in a transaction that is rolled back.
//
// Rows are compared as bags, and what they are ordered by as a list: rows that are level may come
// in any order. LIMIT is left away, so what it would cut is compared as well. This finds
// counterexamples; it proves no theorem, and says how much it has seen.
#pragma once

#include "plugins/storage/advisor/catalog.hpp"
#include "plugins/storage/advisor/rewrite.hpp"

#include <functional>
#include <random>
#include <span>

namespace tenon::advisor {

// A value that owns its bytes.
struct Kept {
    tenon_value value{};
    std::string bytes;

    Kept() = default;

    explicit Kept(const tenon_value& from);

    [[nodiscard]] tenon_value raw() const noexcept;
};

struct Evidence {
    bool holds = true;
    std::string counterexample;  // counts and data sets, never values
    std::size_t data_sets = 0;
    std::size_t runs = 0;       // pairs that were compared
    std::size_t rows = 0;       // that were the same
    std::size_t non_empty = 0;  // runs with rows
    std::size_t added = 0;      // rows that the schema took

    // Enough to be told as advice.
    [[nodiscard]] bool is_enough() const noexcept;
};

// Where the '?' of a statement get their values from: the column that one is compared with.
struct MarkSource {
    const Table* table = nullptr;  // null: no column
    std::string column;
};

class Proof {
public:
    using Now = std::function<std::int64_t()>;

    static constexpr std::size_t k_data_sets = 7;
    static constexpr std::size_t k_parameters = 6;  // sets of values for each data set
    static constexpr std::size_t k_rows_max = 200'000;

    // The same seed gives the same data sets. Everything given must outlive this.
    Proof(
        const Storage& copy,
        const Catalog& catalog,
        const Dialect& dialect,
        std::uint64_t seed,
        std::int64_t deadline_ns
    )
        : copy_{copy},
          catalog_{catalog},
          dialect_{dialect},
          seed_{seed},
          deadline_ns_{deadline_ns} {}

    // Throws StorageError when the copy fails or the deadline comes.
    [[nodiscard]] Evidence compare(const Rewritable& statement, const Words& after) const;

    // Values for the '?' of a text, in its order, out of the copy's rows.
    [[nodiscard]] std::vector<std::vector<Kept>>
    values_for(Session& session, const Words& text, std::size_t count) const;

private:
    class Run;

    const Storage& copy_;
    const Catalog& catalog_;
    const Dialect& dialect_;
    std::uint64_t seed_;
    std::int64_t deadline_ns_;
};

// Runs body(); a failure that is the statement's own is undone, and the transaction goes on.
// False: it failed so. Throws what ends a search.
[[nodiscard]] bool
attempt(Session& session, const Dialect& dialect, const std::function<void()>& body);

// Every table that the text names, wherever it stands.
[[nodiscard]] Sources tables_of(const Words& text, const Catalog& catalog);
[[nodiscard]] MarkSource mark_source(const Words& text, std::size_t at, const Sources& sources);

// Changes the rows of a transaction: empties, cuts down, adds.
class Disturbance {
public:
    Disturbance(
        Session& session,
        const Catalog& catalog,
        const Dialect& dialect,
        std::mt19937_64& random
    )
        : session_{session}, catalog_{catalog}, dialect_{dialect}, random_{random} {}

    void empty(const Table& table);
    // To so many rows, when the schema allows it.
    void shrink(const Table& table, std::size_t rows);
    // Rows like those that are there. How many the schema took.
    std::size_t add(const Table& table, std::size_t rows, bool extremes);

private:
    // False: refused; nothing is changed then.
    bool run(const std::string& sql, std::span<const Kept> values);
    [[nodiscard]] Kept value_for(
        const std::vector<std::vector<Kept>>& rows,
        std::size_t base,
        std::size_t column,
        bool extremes
    );
    [[nodiscard]] bool is_unique(const Table& table, const std::string& column) const;

    Session& session_;
    const Catalog& catalog_;
    const Dialect& dialect_;
    std::mt19937_64& random_;
    std::int64_t fresh_ = 0;
};

}  // namespace tenon::advisor
