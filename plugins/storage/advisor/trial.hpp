// SPDX-License-Identifier: Apache-2.0
// What captured statements cost on a copy of the database, in the backend's own unit of work.
//
// Captured SQL has no values: a '?' that a column is compared with gets that column's value of some
// row of the copy, spread evenly over the table; others get 100 (a LIMIT). So a range is half open
// on the average, and what is measured is work of real rows, equal from run to run.
#pragma once

#include "plugins/storage/advisor/shape.hpp"

#include <map>

namespace tenon::advisor {

// No time is left or no database: not of one statement or index, which a search can do without.
[[nodiscard]] inline bool ends_search(const Error& e) noexcept {
    return e.code() == TENON_TIMEOUT || e.code() == TENON_UNAVAILABLE;
}

class Trial {
public:
    struct Replay {
        const Captured* captured = nullptr;
        Shape shape;
        std::string sql;  // constants filled in; an UPDATE or DELETE as the search for its rows
        std::uint64_t fingerprint = 0;
        std::vector<std::vector<std::string>> texts;
        std::vector<std::vector<tenon_value>> values;  // of each run; texts above
    };

    static constexpr int k_runs = 5;

    Trial(Storage copy, const Catalog& catalog, const Dialect& dialect, std::int64_t deadline_ns)
        : copy_{copy}, catalog_{catalog}, dialect_{dialect}, deadline_ns_{deadline_ns} {}

    // Null shape or a statement that the copy cannot run: nothing.
    [[nodiscard]] std::optional<Replay> prepare(const Captured& captured, const Shape& shape) const;

    // Work of one run of each, on the average.
    [[nodiscard]] std::vector<double> measure(const std::vector<const Replay*>& replays) const;

    // Of one, in a session of whatever database; nothing where the dialect cannot tell.
    [[nodiscard]] static std::optional<double>
    measure(const Replay& replay, const Dialect& dialect, Session& session);

    // Work of inserting one row, rolled back; nothing when the table's rules refuse copies of rows.
    [[nodiscard]] std::optional<double> measure_insert(const Table& table) const;

    // Without a transaction, for as long as it takes.
    void execute(const std::string& sql) const;

private:
    [[nodiscard]] std::map<std::string, double> work() const;
    // Inserts rows of the table again, as the dialect measures it; nothing: by the statistics.
    [[nodiscard]] std::optional<double> insert_rows(
        Session& session,
        const Table& table,
        const std::vector<std::string>& names,
        int& inserted
    ) const;
    void sample(Session& session, Replay& replay, std::uint32_t first_mark) const;

    Storage copy_;
    const Catalog& catalog_;
    const Dialect& dialect_;
    std::int64_t deadline_ns_;
};

}  // namespace tenon::advisor
