// SPDX-License-Identifier: Apache-2.0
// Which of the SQL statements that the source of a plugin holds were really run.
//
// Recorded below the plugins, at the storage contract; expected from the string literals of the
// source files. A literal that is only the head of a statement (the rest is put together) counts as
// run when some statement begins with or contains it.
#pragma once

#include <tenon/storage.hpp>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <iterator>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::test {

class Recorder {
public:
    // Every statement that is prepared or asked through it is remembered. One for each `Tag`.
    template <class Tag>
    static Service<tenon_storage_1> around(Service<tenon_storage_1> inner) {
        static tenon_storage_1 table;
        inner_of<Tag>() = inner.table;
        table = *inner.table;
        table.prepare =
            [](tenon_session* session, tenon_str sql, tenon_statement** out, tenon_err* err
            ) noexcept {
                note(view(sql));
                return inner_of<Tag>()->prepare(session, sql, out, err);
            };
        table.execute = [](tenon_session* session, tenon_str sql, tenon_err* err) noexcept {
            note(view(sql));
            return inner_of<Tag>()->execute(session, sql, err);
        };
        if (table.query != nullptr) {
            table.query =
                [](void* self, const tenon_query* query, tenon_row_fn row, void* ctx, tenon_err* err
                ) noexcept {
                    note(view(query->sql));
                    return inner_of<Tag>()->query(self, query, row, ctx, err);
                };
        }
        return {inner.self, &table};
    }

    static std::set<std::string> statements() {
        const std::lock_guard lock{mutex()};
        return all();
    }

private:
    template <class Tag>
    static const tenon_storage_1*& inner_of() {
        static const tenon_storage_1* inner = nullptr;
        return inner;
    }

    static void note(std::string_view sql) {
        const std::lock_guard lock{mutex()};
        all().emplace(sql);
    }

    static std::mutex& mutex() {
        static std::mutex one;
        return one;
    }

    static std::set<std::string>& all() {
        static std::set<std::string> one;
        return one;
    }
};

// The literals of a C++ file, adjacent ones joined. Knows comments and escapes, no raw strings.
inline std::vector<std::string> literals_of(const std::string& text) {
    std::vector<std::string> out;
    bool joins = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text.compare(i, 2, "//") == 0) {
            i = std::min(text.find('\n', i), text.size());
        } else if (text[i] == '\'') {
            // A character, or the separator of a number's digits.
            const bool is_digit =
                i > 0 && std::isalnum(static_cast<unsigned char>(text[i - 1])) != 0;
            i += text.compare(i + 1, 1, "\\") == 0 ? 3U : is_digit ? 0U : 2U;
            joins = false;
        } else if (text[i] == '"') {
            std::string literal;
            for (++i; i < text.size() && text[i] != '"'; ++i) {
                i += text[i] == '\\' ? 1U : 0U;
                literal.push_back(text[i]);
            }
            if (joins) {
                out.back() += literal;
            } else {
                out.push_back(literal);
            }
            joins = true;
        } else if (std::isspace(static_cast<unsigned char>(text[i])) == 0) {
            joins = false;
        }
    }
    return out;
}

// Statements, and heads of statements that say more than the verb.
inline std::vector<std::string> sql_of(const std::string& file) {
    std::ifstream in{file};
    if (!in) {
        throw std::runtime_error{"cannot read " + file};
    }
    std::vector<std::string> out;
    for (std::string& literal : literals_of(std::string{std::istreambuf_iterator<char>{in}, {}})) {
        for (const std::string_view verb :
             {"SELECT ", "INSERT INTO ", "UPDATE ", "DELETE FROM ", "WITH "}) {
            if (literal.compare(0, verb.size(), verb) == 0 && literal.size() > verb.size() + 3) {
                out.push_back(std::move(literal));
                break;
            }
        }
    }
    return out;
}

}  // namespace tenon::test
