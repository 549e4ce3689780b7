// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/advisor/proof.hpp"

#include "plugins/storage/advisor/trial.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>

namespace tenon::advisor {
namespace {

using Kind = detail::SqlLexer::Kind;

constexpr std::size_t k_kept_rows = 120;  // of a table that is cut down
constexpr std::size_t k_added_rows = 40;  // to each table
constexpr std::size_t k_bytes_max = 64U << 20U;
constexpr std::size_t k_sampled = 64;  // values of a column that parameters are drawn from

struct Answer {
    bool failed = false;
    bool too_large = false;
    std::vector<std::string> rows;
    std::vector<std::string> keys;
};

void append_value(std::string& out, const tenon_value& value) {
    out.push_back(static_cast<char>('0' + value.kind));
    switch (value.kind) {
        case TENON_VALUE_INT64:
            out += std::to_string(value.i);
            break;
        case TENON_VALUE_REAL: {
            std::array<char, 40> text{};
            const int length = std::snprintf(text.data(), text.size(), "%a", value.r);
            out.append(text.data(), static_cast<std::size_t>(length));
            break;
        }
        case TENON_VALUE_TEXT:
        case TENON_VALUE_BLOB:
            out += std::to_string(view(value.b).size()) + ":";
            out += view(value.b);
            break;
        default:
            break;
    }
    out.push_back('|');
}

void read_rows(
    Session& session,
    const Printed& printed,
    const std::map<std::uint32_t, Kept>& values,
    const Rewritable& statement,
    Answer& out
) {
    std::size_t bytes = 0;
    auto rows = session.prepare(printed.sql);
    for (std::size_t i = 0; i < printed.marks.size(); ++i) {
        const auto found = values.find(printed.marks[i]);
        rows.bind(
            static_cast<std::uint32_t>(i + 1),
            found == values.end() ? tenon_value{} : found->second.raw()
        );
    }
    while (rows.step() && !out.too_large) {
        std::string row;
        const std::uint32_t count = rows.column_count();
        for (std::uint32_t i = 0; i < count; ++i) {
            append_value(row, rows.value(i));
        }
        bytes += row.size() + sizeof row;
        out.too_large = bytes > k_bytes_max || out.rows.size() >= Proof::k_rows_max;
        if (statement.ordered && statement.knows_keys) {
            std::string key;
            for (const std::size_t at : statement.keys) {
                append_value(key, rows.value(static_cast<std::uint32_t>(at)));
            }
            out.keys.push_back(std::move(key));
        }
        out.rows.push_back(std::move(row));
    }
}

Answer answer(
    Session& session,
    const Dialect& dialect,
    const Printed& printed,
    const std::map<std::uint32_t, Kept>& values,
    const Rewritable& statement
) {
    Answer out;
    if (!attempt(session, dialect, [&] { read_rows(session, printed, values, statement, out); })) {
        out = Answer{};
        out.failed = true;
    }
    if (!statement.ordered || statement.knows_keys) {
        std::sort(out.rows.begin(), out.rows.end());
    }
    return out;
}

std::string told(const Answer& answer) {
    return answer.failed ? std::string{"an error"} : std::to_string(answer.rows.size()) + " rows";
}

}  // namespace

Sources tables_of(const Words& text, const Catalog& catalog) {
    Sources out;
    for (std::size_t i = 0; i + 1 < text.size(); ++i) {
        const bool leads = text[i].is("from") || text[i].is("join") || text[i].kind == Kind::comma;
        const Table* table =
            leads && text[i + 1].is_name() ? catalog.find(text[i + 1].name()) : nullptr;
        if (table == nullptr) {
            continue;
        }
        std::size_t next = i + 2;
        next += next < text.size() && text[next].is("as") ? 1U : 0U;
        const bool has_alias = next < text.size() && text[next].is_name();
        out.emplace_back(has_alias ? text[next].name() : table->name, table);
    }
    return out;
}

MarkSource mark_source(const Words& text, std::size_t at, const Sources& sources) {
    const auto source_of = [&](const ColumnName& c) -> MarkSource {
        for (const auto& [alias, table] : sources) {
            if ((c.alias.empty() || same_name(c.alias, alias)) && table->has(c.name)) {
                return {table, table->spelling(c.name)};
            }
        }
        return {};
    };
    // Back over the sign, "IN (" and further values to the column that ends there.
    std::size_t end = at;
    while (end > 0 && (text[end - 1].kind == Kind::sign || text[end - 1].kind == Kind::comma ||
                       text[end - 1].kind == Kind::mark || text[end - 1].kind == Kind::open ||
                       text[end - 1].is("in") || text[end - 1].is("between") ||
                       text[end - 1].is("not") || text[end - 1].is("like") ||
                       (text[end - 1].is("and") && end > 2 && text[end - 3].is("between")))) {
        --end;
    }
    for (std::size_t begin = end >= 3 ? end - 3 : 0; end != at && begin < end; ++begin) {
        const auto column = column_at(text, begin);
        if (column && column->end == end) {
            if (const MarkSource found = source_of(*column); found.table != nullptr) {
                return found;
            }
        }
    }
    if (at + 2 < text.size() && text[at + 1].kind == Kind::sign) {
        if (const auto column = column_at(text, at + 2)) {
            return source_of(*column);
        }
    }
    return {};
}

bool Evidence::is_enough() const noexcept {
    return holds && data_sets >= 3 && non_empty >= 3 && added > 0;
}

std::vector<std::vector<Kept>>
Proof::values_for(Session& session, const Words& text, std::size_t count) const {
    std::mt19937_64 random{seed_};
    const Sources sources = tables_of(text, catalog_);
    std::vector<std::vector<Kept>> out(count);
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i].mark < 0) {
            continue;
        }
        std::vector<Kept> drawn;
        if (const MarkSource from = mark_source(text, i, sources); from.table != nullptr) {
            const std::string table = quoted(from.table->name);
            auto rows = session.prepare(
                "SELECT " + quoted(from.column) + " FROM " + table + " LIMIT " +
                std::to_string(k_sampled) + " OFFSET (SELECT count(*) / 2 FROM " + table + ")"
            );
            while (rows.step()) {
                drawn.emplace_back(rows.value(0));
            }
        }
        for (std::size_t k = 0; k < count; ++k) {
            out[k].push_back(
                drawn.empty() ? Kept{value_of(std::int64_t{100})} : drawn[random() % drawn.size()]
            );
        }
    }
    return out;
}

// One comparison over all data sets.
class Proof::Run {
public:
    Run(const Proof& proof, const Rewritable& statement, const Words& after)
        : proof_{proof},
          statement_{statement},
          before_{print(statement.text)},
          after_{print(after)},
          random_{proof.seed_} {
        for (const auto& [alias, table] : tables_of(statement.text, proof.catalog_)) {
            if (std::find(tables_.begin(), tables_.end(), table) == tables_.end()) {
                tables_.push_back(table);
            }
        }
    }

    [[nodiscard]] Evidence run() {
        Lease lease = proof_.copy_.lease(TENON_INTENT_WRITE, proof_.deadline_ns_);
        for (std::size_t set = 0; set < k_data_sets && evidence_.holds; ++set) {
            lease->begin();
            prepare(*lease, set);
            for (std::size_t k = 0; k < k_parameters && evidence_.holds; ++k) {
                compare(*lease, set, k);
                if (before_.marks.empty()) {
                    break;
                }
            }
            lease->rollback();
            ++evidence_.data_sets;
        }
        return evidence_;
    }

private:
    // 0: as it is; 1: empty; then small ones with rows added, every other one with extremes.
    void prepare(Session& session, std::size_t set) {
        Disturbance disturbance{session, proof_.catalog_, proof_.dialect_, random_};
        for (const Table* table : tables_) {
            if (set == 1) {
                disturbance.empty(*table);
            } else if (set > 1) {
                disturbance.shrink(*table, k_kept_rows);
            }
        }
        for (const Table* table : tables_) {
            evidence_.added += set > 1 ? disturbance.add(*table, k_added_rows, set % 2 == 1) : 0;
        }
    }

    [[nodiscard]] Kept
    value_at(Session& session, const MarkSource& from, std::uint64_t place, bool ordered) const {
        const std::string table = quoted(from.table->name);
        auto row = session.prepare(
            "SELECT " + quoted(from.column) + " FROM " + table +
            (ordered ? " ORDER BY " + proof_.dialect_.row_address() : std::string{}) +
            " LIMIT 1 OFFSET (SELECT CASE WHEN count(*) = 0 THEN 0 ELSE CAST(? AS BIGINT) % "
            "count(*) END FROM " +
            table + ")"
        );
        row.bind(1, static_cast<std::int64_t>(place % 1'000'000'007U));
        return row.step() ? Kept{row.value(0)} : Kept{};
    }

    // Out of the rows that are there now; the last set is NULL, others may have one.
    [[nodiscard]] std::map<std::uint32_t, Kept> draw(Session& session, std::size_t k) {
        std::map<std::uint32_t, Kept> out;
        const Words& text = statement_.text;
        const Sources sources = tables_of(text, proof_.catalog_);
        const std::uint64_t row = random_();
        for (std::size_t i = 0; i < text.size(); ++i) {
            if (text[i].mark < 0) {
                continue;
            }
            const auto mark = static_cast<std::uint32_t>(text[i].mark);
            const MarkSource from = mark_source(text, i, sources);
            out[mark] = Kept{};
            if (k + 1 == k_parameters || (k > 2 && random_() % 6 == 0)) {
                continue;
            }
            out[mark] = Kept{value_of(static_cast<std::int64_t>(100 * (k % 2)))};
            if (from.table == nullptr) {
                continue;
            }
            // Half of the time the values of one row, which meets every condition at once.
            const std::uint64_t place = k % 2 == 0 ? row : random_();
            // Some tables of SQLite have no row's number to be ordered by.
            for (const bool ordered : {true, false}) {
                if (attempt(session, proof_.dialect_, [&] {
                        out[mark] = value_at(session, from, place, ordered);
                    })) {
                    break;
                }
            }
        }
        return out;
    }

    void compare(Session& session, std::size_t set, std::size_t k) {
        const auto values = draw(session, k);
        const Answer before = answer(session, proof_.dialect_, before_, values, statement_);
        const Answer after = answer(session, proof_.dialect_, after_, values, statement_);
        if (before.failed && after.failed) {
            return;  // neither tells anything
        }
        if (before.too_large || after.too_large) {
            evidence_.holds = false;
            evidence_.counterexample = "more rows than can be compared";
            return;
        }
        ++evidence_.runs;
        const bool is_same =
            before.failed == after.failed && before.rows == after.rows && before.keys == after.keys;
        if (is_same) {
            evidence_.rows += before.rows.size();
            evidence_.non_empty += before.rows.empty() ? 0U : 1U;
            return;
        }
        evidence_.holds = false;
        evidence_.counterexample =
            told(before) + " before, " + told(after) +
            (before.rows.size() == after.rows.size() ? " that differ" : "") + " after, " +
            (set == 0   ? "on the data as it is"
             : set == 1 ? "on empty tables"
                        : "with NULL, duplicates" + std::string{set % 2 == 1 ? ", extremes" : ""} +
                              " among the rows") +
            (k + 1 == k_parameters && !values.empty() ? ", parameters NULL" : "");
    }

    const Proof& proof_;
    const Rewritable& statement_;
    Printed before_;
    Printed after_;
    std::mt19937_64 random_;
    std::vector<const Table*> tables_;
    Evidence evidence_;
};

Evidence Proof::compare(const Rewritable& statement, const Words& after) const {
    return Run{*this, statement, after}.run();
}

}  // namespace tenon::advisor
