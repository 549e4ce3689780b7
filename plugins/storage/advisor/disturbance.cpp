// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/advisor/proof.hpp"
#include "plugins/storage/advisor/trial.hpp"

#include <algorithm>
#include <array>

namespace tenon::advisor {
namespace {

constexpr std::size_t k_base_rows = 64;  // that new ones are made like
constexpr std::int64_t k_fresh = 1'000'000'007;

Kept text_of(std::string text) {
    Kept out;
    out.value.kind = TENON_VALUE_TEXT;
    out.bytes = std::move(text);
    return out;
}

}  // namespace

Kept::Kept(const tenon_value& from) : value{from} {
    if (from.kind == TENON_VALUE_TEXT || from.kind == TENON_VALUE_BLOB) {
        bytes = std::string{view(from.b)};
    }
}

tenon_value Kept::raw() const noexcept {
    tenon_value out = value;
    out.b = tenon::bytes(bytes);
    return out;
}

bool attempt(Session& session, const Dialect& dialect, const std::function<void()>& body) {
    const bool guards = dialect.fails_whole();
    if (guards) {
        session.execute("SAVEPOINT tenon_try");
    }
    try {
        body();
    } catch (const Error& e) {
        if (ends_search(e)) {
            throw;
        }
        if (guards) {
            session.execute("ROLLBACK TO SAVEPOINT tenon_try");
            session.execute("RELEASE SAVEPOINT tenon_try");
        }
        return false;
    }
    if (guards) {
        session.execute("RELEASE SAVEPOINT tenon_try");
    }
    return true;
}

bool Disturbance::run(const std::string& sql, std::span<const Kept> values) {
    return attempt(session_, dialect_, [&] {
        auto statement = session_.prepare(sql);
        for (std::size_t i = 0; i < values.size(); ++i) {
            statement.bind(static_cast<std::uint32_t>(i + 1), values[i].raw());
        }
        statement.run();
    });
}

void Disturbance::empty(const Table& table) {
    (void)run("DELETE FROM " + quoted(table.name), {});
}

void Disturbance::shrink(const Table& table, std::size_t rows) {
    const std::string address = dialect_.row_address();
    (void)run(
        "DELETE FROM " + quoted(table.name) + " WHERE " + address + " NOT IN (SELECT " + address +
            " FROM " + quoted(table.name) + " LIMIT " + std::to_string(rows) + ")",
        {}
    );
}

bool Disturbance::is_unique(const Table& table, const std::string& column) const {
    return std::any_of(catalog_.indexes.begin(), catalog_.indexes.end(), [&](const Index& index) {
        return index.unique && same_name(index.table, table.name) &&
               std::any_of(index.columns.begin(), index.columns.end(), [&](const IndexColumn& c) {
                   return same_name(c.name, column);
               });
    });
}

Kept Disturbance::value_for(
    const std::vector<std::vector<Kept>>& rows,
    std::size_t base,
    std::size_t column,
    bool extremes
) {
    constexpr std::array<std::int64_t, 6> k_integers{INT64_MIN, INT64_MAX, 0, -1, 1, INT32_MIN};
    constexpr std::array<const char*, 5> k_texts{"", " ", "a", "\xC5\xBC\xE2\x82\xAC", "0"};
    const Kept& mine = rows[base][column];
    const Kept& other = rows[random_() % rows.size()][column];
    const std::uint64_t dice = random_() % 20;
    if (dice < 4) {
        return {};
    }
    if (!extremes || dice < 16) {
        return dice < 12 ? other : mine;
    }
    Kept out = other;
    switch (other.value.kind) {
        case TENON_VALUE_INT64:
            out.value.i = k_integers[random_() % k_integers.size()];
            return out;
        case TENON_VALUE_TEXT:
            return text_of(k_texts[random_() % k_texts.size()]);
        default:
            return out;
    }
}

std::size_t Disturbance::add(const Table& table, std::size_t rows, bool extremes) {
    std::vector<std::string> columns;
    for (const std::string& column : table.columns) {
        const bool is_filled =
            std::find(table.filled.begin(), table.filled.end(), column) != table.filled.end();
        if (!is_filled && !same_name(column, table.row_key)) {
            columns.push_back(column);
        }
    }
    std::string names;
    std::string marks;
    for (const std::string& column : columns) {
        names += (names.empty() ? "" : ", ") + quoted(column);
        marks += marks.empty() ? "?" : ", ?";
    }
    if (columns.empty()) {
        return 0;
    }
    std::vector<std::vector<Kept>> base;
    auto read = session_.prepare(
        "SELECT " + names + " FROM " + quoted(table.name) + " LIMIT " + std::to_string(k_base_rows)
    );
    while (read.step()) {
        base.emplace_back();
        for (std::uint32_t i = 0; i < columns.size(); ++i) {
            base.back().emplace_back(read.value(i));
        }
    }
    std::size_t taken = 0;
    for (std::size_t n = 0; n < rows && !base.empty(); ++n) {
        std::vector<Kept> row;
        const std::size_t like = random_() % base.size();
        for (std::size_t i = 0; i < columns.size(); ++i) {
            const Kept& mine = base[like][i];
            const bool is_key = is_unique(table, columns[i]);
            if (is_key && mine.value.kind == TENON_VALUE_INT64 && random_() % 8 != 0) {
                row.emplace_back(value_of(k_fresh + ++fresh_));
            } else if (is_key && mine.value.kind == TENON_VALUE_TEXT && random_() % 8 != 0) {
                row.push_back(text_of(mine.bytes + "~" + std::to_string(++fresh_)));
            } else if (table.is_required(columns[i]) && random_() % 16 != 0) {
                const Kept drawn = value_for(base, like, i, extremes);
                row.push_back(drawn.value.kind == TENON_VALUE_NULL ? mine : drawn);
            } else {
                row.push_back(value_for(base, like, i, extremes));
            }
        }
        taken +=
            run("INSERT INTO " + quoted(table.name) + "(" + names + ") VALUES (" + marks + ")", row)
                ? 1U
                : 0U;
    }
    return taken;
}

}  // namespace tenon::advisor
