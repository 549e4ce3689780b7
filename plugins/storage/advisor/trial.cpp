// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/advisor/trial.hpp"

#include <tenon/json.hpp>
#include <tenon/sql_fingerprint.hpp>

#include <algorithm>
#include <set>

namespace tenon::advisor {
namespace {

constexpr std::int64_t k_limit = 100;

// Thrown to leave a transaction without its writes.
struct RolledBack {};

// Puts the constants into `sql`, whose first '?' is number `first`. `left` gets the others.
std::string fill(
    std::string_view sql,
    std::uint32_t first,
    const std::map<std::uint32_t, std::string>& constants,
    std::vector<std::uint32_t>& left
) {
    std::string out;
    char quote = '\0';
    std::uint32_t mark = first;
    for (const char c : sql) {
        if (quote != '\0' || c != '?') {
            quote = quote == c ? '\0' : quote == '\0' && (c == '"' || c == '`') ? c : quote;
            out.push_back(c);
            continue;
        }
        const auto constant = constants.find(mark);
        if (constant == constants.end()) {
            out.push_back(c);
            left.push_back(mark);
        } else {
            out.append(constant->second);
        }
        ++mark;
    }
    return out;
}

std::uint32_t marks_in(std::string_view sql) {
    return static_cast<std::uint32_t>(std::count(sql.begin(), sql.end(), '?'));
}

std::size_t find_where(std::string_view sql) {
    for (std::size_t i = 0; i + 7 <= sql.size(); ++i) {
        if (detail::is_word_equal(sql.substr(i, 7), " where ")) {
            return i;
        }
    }
    return std::string_view::npos;
}

std::string list_of(const std::vector<std::string>& names) {
    std::string out;
    for (const std::string& name : names) {
        out += (out.empty() ? "" : ", ") + quoted(name);
    }
    return out;
}

std::string insert_sql(const Table& table, const std::vector<std::string>& names) {
    std::string marks;
    for (std::size_t i = 0; i < names.size(); ++i) {
        marks += i == 0 ? "?" : ", ?";
    }
    return "INSERT INTO " + quoted(table.name) + "(" + list_of(names) + ") VALUES (" + marks + ")";
}

}  // namespace

std::optional<Trial::Replay> Trial::prepare(const Captured& captured, const Shape& shape) const {
    if (!shape.analysed || shape.verb == "insert" || captured.sql.size() >= NormalSql::k_text_max) {
        return std::nullopt;
    }
    Replay replay;
    replay.captured = &captured;
    replay.shape = shape;
    std::string text = captured.sql;
    std::uint32_t first = 0;
    if (shape.verb != "select") {
        const std::size_t where = find_where(text);
        if (where == std::string::npos) {
            return std::nullopt;
        }
        first = marks_in(std::string_view{text}.substr(0, where));
        text = "SELECT count(*) FROM " + quoted(shape.target) + text.substr(where);
    }
    std::vector<std::uint32_t> left;
    replay.sql = fill(text, first, captured.constants, left);
    replay.fingerprint = normalise_sql(replay.sql).fingerprint;
    try {
        copy_.read(deadline_ns_, [&](Session& session) {
            for (const std::uint32_t mark : left) {
                replay.texts.emplace_back();
                sample(session, replay, mark);
            }
            (void)session.prepare(replay.sql);
            // What does not run must not end the search.
            (void)measure(replay, dialect_, session);
        });
    } catch (const Error& e) {
        if (ends_search(e)) {
            throw;
        }
        return std::nullopt;
    }
    return replay;
}

// The values of one '?' for all runs, to the end of each row of values.
void Trial::sample(Session& session, Replay& replay, std::uint32_t mark) const {
    replay.values.resize(k_runs);
    const auto& conditions = replay.shape.conditions;
    const auto found = std::find_if(conditions.begin(), conditions.end(), [&](const Condition& c) {
        return c.mark == mark;
    });
    std::vector<std::string>& texts = replay.texts.back();
    texts.resize(k_runs);
    for (std::size_t run = 0; run < k_runs; ++run) {
        tenon_value value = value_of(k_limit);
        if (found != conditions.end()) {
            // Rows that the constant conditions allow, the same for all marks of a table.
            std::string where;
            for (const Condition& other : conditions) {
                const auto constant = other.mark ? replay.captured->constants.find(*other.mark)
                                                 : replay.captured->constants.end();
                const bool is_constant = constant != replay.captured->constants.end();
                if (other.table == found->table && other.test == Test::equal && is_constant) {
                    where += (where.empty() ? " WHERE " : " AND ") + quoted(other.column) + " = " +
                             constant->second;
                } else if (other.table == found->table && other.test == Test::is_null) {
                    where +=
                        (where.empty() ? " WHERE " : " AND ") + quoted(other.column) + " IS NULL";
                }
            }
            const std::string from = " FROM " + quoted(found->table) + where;
            auto row = session.prepare(
                "SELECT " + quoted(found->column) + from +
                " LIMIT 1 OFFSET (SELECT count(*) * ? / " + std::to_string(2 * k_runs) + from + ")"
            );
            row.bind(1, static_cast<std::int64_t>(2 * run + 1));
            if (row.step()) {
                value = row.value(0);
                if (value.kind == TENON_VALUE_TEXT || value.kind == TENON_VALUE_BLOB) {
                    texts[run] = std::string{view(value.b)};
                    value.b = bytes(texts[run]);
                }
            }
        }
        replay.values[run].push_back(value);
    }
}

std::map<std::string, double> Trial::work() const {
    std::map<std::string, double> out;
    const Json all = Json::parse(copy_.statements());
    for (const Json& one : all.find("statements")->items()) {
        const Json* work = one.find("work");
        if (work == nullptr) {
            throw Error{TENON_UNSUPPORTED, "this storage does not tell the work of its statements"};
        }
        out.emplace(
            one.find("fingerprint")->text(), static_cast<double>(work->integer<std::uint64_t>())
        );
    }
    return out;
}

std::optional<double>
Trial::measure(const Replay& replay, const Dialect& dialect, Session& session) {
    double all = 0;
    for (std::size_t run = 0; run < k_runs; ++run) {
        const std::span<const tenon_value> values =
            replay.values.empty() ? std::span<const tenon_value>{} : replay.values[run];
        const std::optional<double> work = dialect.work_of(session, replay.sql, values);
        if (!work) {
            return std::nullopt;
        }
        all += *work;
    }
    return all / k_runs;
}

std::vector<double> Trial::measure(const std::vector<const Replay*>& replays) const {
    std::vector<double> out;
    std::set<std::uint64_t> seen;
    copy_.read(deadline_ns_, [&](Session& session) {
        out.clear();
        for (const Replay* replay : replays) {
            const std::optional<double> one = measure(*replay, dialect_, session);
            if (!one) {
                break;
            }
            out.push_back(*one);
        }
    });
    if (out.size() == replays.size()) {
        return out;
    }
    const auto before = work();
    copy_.read(deadline_ns_, [&](Session& session) {
        for (const Replay* replay : replays) {
            if (!seen.insert(replay->fingerprint).second) {
                continue;  // its work would be counted twice
            }
            for (int run = 0; run < k_runs; ++run) {
                auto statement = session.prepare(replay->sql);
                if (!replay->values.empty()) {
                    std::uint32_t at = 0;
                    for (const tenon_value& value : replay->values[static_cast<std::size_t>(run)]) {
                        statement.bind(++at, value);
                    }
                }
                statement.run();
            }
        }
    });
    const auto after = work();
    for (const Replay* replay : replays) {
        const std::string key = hex_of(replay->fingerprint);
        const auto then = before.find(key);
        const auto now = after.find(key);
        const double spent =
            (now == after.end() ? 0 : now->second) - (then == before.end() ? 0 : then->second);
        out.push_back(spent / k_runs);
    }
    return out;
}

std::optional<double> Trial::insert_rows(
    Session& session,
    const Table& table,
    const std::vector<std::string>& names,
    int& inserted
) const {
    const std::string insert = insert_sql(table, names);
    auto row = session.prepare(
        "SELECT " + list_of(names) + " FROM " + quoted(table.name) + " LIMIT " +
        std::to_string(k_runs)
    );
    std::optional<double> all;
    // Rows that were added would come too.
    for (inserted = 0; inserted < k_runs && row.step(); ++inserted) {
        std::vector<tenon_value> values;
        for (std::uint32_t i = 0; i < names.size(); ++i) {
            values.push_back(row.value(i));
        }
        const std::optional<double> one = dialect_.work_of(session, insert, values);
        if (one) {
            all = all.value_or(0) + *one;
            continue;
        }
        auto add = session.prepare(insert);
        for (std::uint32_t i = 0; i < names.size(); ++i) {
            add.bind(i + 1, values[i]);
        }
        add.run();
    }
    return all;
}

std::optional<double> Trial::measure_insert(const Table& table) const {
    std::vector<std::string> names;
    for (const std::string& column : table.columns) {
        const bool is_filled =
            std::find(table.filled.begin(), table.filled.end(), column) != table.filled.end();
        if (!same_name(column, table.row_key) && !is_filled) {
            names.push_back(column);
        }
    }
    if (names.empty()) {
        return std::nullopt;
    }
    const std::string key = hex_of(normalise_sql(insert_sql(table, names)).fingerprint);
    const auto before = dialect_.builds_beside() ? std::map<std::string, double>{} : work();
    int inserted = 0;
    std::optional<double> told;
    try {
        copy_.write(deadline_ns_, [&](Session& session) {
            told = insert_rows(session, table, names, inserted);
            throw RolledBack{};
        });
    } catch (const RolledBack&) {
        if (inserted == 0) {
            return std::nullopt;
        }
        if (told) {
            return *told / inserted;
        }
        const auto after = work();
        const auto now = after.find(key);
        const auto then = before.find(key);
        if (now != after.end()) {
            return (now->second - (then == before.end() ? 0 : then->second)) / inserted;
        }
    } catch (const StorageError& e) {
        if (e.failure() == Failure::timeout) {
            throw;
        }
    }
    return std::nullopt;
}

void Trial::execute(const std::string& sql) const {
    Lease lease = copy_.lease(TENON_INTENT_WRITE, deadline_ns_);
    if (const std::string patience = dialect_.patience_sql(); !patience.empty()) {
        lease->execute(patience);
    }
    lease->execute(sql);
}

}  // namespace tenon::advisor
