// SPDX-License-Identifier: Apache-2.0
// SQL text as tokens and statements, as far as migrations need it: where a statement ends, which
// words it has, and whether two texts differ in more than layout.
//
// Right about quotes, comments (nested on PostgreSQL), dollar quotes, escape strings, the bodies of
// SQLite's triggers and of PostgreSQL's SQL-standard functions. It does not parse SQL. Sources:
// sqlite.org/lang.html, PostgreSQL 15 manual, 4.1 "Lexical Structure".
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::migrations {

enum class Dialect { sqlite, postgres };

// Throws Error TENON_UNSUPPORTED.
[[nodiscard]] Dialect dialect_of(std::string_view name);
[[nodiscard]] std::string_view name_of(Dialect dialect) noexcept;

enum class TokenKind { word, name, string, number, symbol };

struct Token {
    TokenKind kind = TokenKind::symbol;
    std::string text;  // a word in upper case, a quoted name without its quotes, else as it is
    std::size_t offset = 0;  // in the text
    std::size_t length = 0;
    std::size_t line = 1;

    [[nodiscard]] bool is(std::string_view word) const noexcept {
        return (kind == TokenKind::word || kind == TokenKind::symbol) && text == word;
    }
};

// Throws Error TENON_INVALID where a quote or comment does not end, with the line that it begins
// in.
[[nodiscard]] std::vector<Token> tokens_of(std::string_view sql, Dialect dialect);

struct SqlStatement {
    std::string text;  // from its first to its last token, without the semicolon
    std::size_t line = 1;
    std::vector<Token> tokens;
};

// Throws as tokens_of, and where a trigger's or function's body does not end.
[[nodiscard]] std::vector<SqlStatement> split_statements(std::string_view sql, Dialect dialect);

// The same for texts that differ in white space, line ends and comments only.
[[nodiscard]] std::string normalised(std::string_view sql, Dialect dialect);

}  // namespace tenon::migrations
