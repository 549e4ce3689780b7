// SPDX-License-Identifier: Apache-2.0
#include "plugins/migrations/sql/sql_text.hpp"

#include <tenon/plugin.hpp>

#include <algorithm>
#include <optional>

namespace tenon::migrations {
namespace {

bool is_space(char c) noexcept {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

bool is_digit(char c) noexcept {
    return c >= '0' && c <= '9';
}

bool is_word_start(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           static_cast<unsigned char>(c) >= 0x80;
}

bool is_word_part(char c) noexcept {
    return is_word_start(c) || is_digit(c) || c == '$';
}

std::string upper(std::string_view text) {
    std::string out{text};
    std::transform(out.begin(), out.end(), out.begin(), [](char c) {
        return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    });
    return out;
}

class Lexer {
public:
    Lexer(std::string_view sql, Dialect dialect)
        : sql_{sql}, postgres_{dialect == Dialect::postgres} {}

    std::optional<Token> next() {
        skip_space();
        if (at_ >= sql_.size()) {
            return std::nullopt;
        }
        Token token;
        token.offset = at_;
        token.line = line_;
        read(token);
        token.length = at_ - token.offset;
        if (token.kind == TokenKind::string || token.kind == TokenKind::symbol ||
            token.kind == TokenKind::number) {
            token.text = sql_.substr(token.offset, token.length);
        }
        return token;
    }

private:
    [[nodiscard]] char peek(std::size_t ahead = 0) const noexcept {
        return at_ + ahead < sql_.size() ? sql_[at_ + ahead] : '\0';
    }

    void advance(std::size_t count = 1) {
        for (; count > 0 && at_ < sql_.size(); --count, ++at_) {
            line_ += sql_[at_] == '\n' ? 1U : 0U;
        }
    }

    [[noreturn]] static void unfinished(std::size_t line, std::string_view what) {
        throw Error{
            TENON_INVALID,
            "line " + std::to_string(line) + ": " + std::string{what} + " does not end"};
    }

    void skip_space() {
        for (;;) {
            if (is_space(peek()) && at_ < sql_.size()) {
                advance();
            } else if (peek() == '-' && peek(1) == '-') {
                while (at_ < sql_.size() && peek() != '\n') {
                    advance();
                }
            } else if (peek() == '/' && peek(1) == '*') {
                skip_comment();
            } else {
                return;
            }
        }
    }

    void skip_comment() {
        const std::size_t line = line_;
        std::size_t depth = 0;
        do {
            if (at_ >= sql_.size()) {
                unfinished(line, "a comment");
            }
            if (peek() == '/' && peek(1) == '*' && (depth == 0 || postgres_)) {
                ++depth;
                advance(2);
            } else if (peek() == '*' && peek(1) == '/') {
                --depth;
                advance(2);
            } else {
                advance();
            }
        } while (depth > 0);
    }

    void read(Token& token) {
        const char c = peek();
        const bool escapes = postgres_ && (c == 'e' || c == 'E') && peek(1) == '\'';
        if (c == '\'' || escapes) {
            advance(escapes ? 1 : 0);
            token.kind = TokenKind::string;
            (void)quoted('\'', "a string", escapes);
        } else if (c == '"' || (!postgres_ && (c == '`' || c == '['))) {
            token.kind = TokenKind::name;
            token.text = quoted(c == '[' ? ']' : c, "a quoted name", false);
        } else if (postgres_ && c == '$' && dollar_tag() > 0) {
            token.kind = TokenKind::string;
            dollar_string(dollar_tag());
        } else if (is_word_start(c)) {
            const std::size_t from = at_;
            while (is_word_part(peek()) && at_ < sql_.size()) {
                advance();
            }
            token.kind = TokenKind::word;
            token.text = upper(sql_.substr(from, at_ - from));
        } else if (is_digit(c)) {
            token.kind = TokenKind::number;
            while (is_word_part(peek()) || peek() == '.') {
                advance();
            }
        } else {
            advance();
        }
    }

    // What is between the quotes; a doubled one stands for itself.
    std::string quoted(char end, std::string_view what, bool escapes) {
        const std::size_t line = line_;
        std::string text;
        advance();
        for (;;) {
            if (at_ >= sql_.size()) {
                unfinished(line, what);
            }
            if (escapes && peek() == '\\') {
                advance();
            } else if (peek() == end) {
                advance();
                if (peek() != end || end == ']') {
                    return text;
                }
            }
            text.push_back(peek());
            advance();
        }
    }

    // Length of `$tag$` here, or 0.
    [[nodiscard]] std::size_t dollar_tag() const noexcept {
        std::size_t length = 1;
        if (is_digit(peek(length))) {
            return 0;
        }
        while (peek(length) != '$' && is_word_part(peek(length))) {
            ++length;
        }
        return peek(length) == '$' ? length + 1 : 0;
    }

    void dollar_string(std::size_t tag_length) {
        const std::string_view tag = sql_.substr(at_, tag_length);
        const std::size_t end = sql_.find(tag, at_ + tag_length);
        if (end == std::string_view::npos) {
            unfinished(line_, "a dollar-quoted string");
        }
        advance(end + tag_length - at_);
    }

    std::string_view sql_;
    bool postgres_;
    std::size_t at_ = 0;
    std::size_t line_ = 1;
};

// Follows the tokens of one statement; open(): a semicolon does not end it here.
class Nesting {
public:
    explicit Nesting(Dialect dialect) : postgres_{dialect == Dialect::postgres} {}

    void feed(const Token& token) {
        if (token.is("(")) {
            ++parentheses_;
        } else if (token.is(")") && parentheses_ > 0) {
            --parentheses_;
        }
        if (token.kind == TokenKind::word) {
            feed_word(token.text);
        }
        last_ = token.kind == TokenKind::word ? token.text : std::string{};
        ++count_;
    }

    [[nodiscard]] bool open() const noexcept { return parentheses_ > 0 || depth_ > 0; }

private:
    void feed_word(const std::string& word) {
        if (depth_ > 0) {
            depth_ += word == "CASE" ? 1 : word == "END" ? -1 : 0;
        } else if (count_ == 0) {
            creates_ = word == "CREATE";
        } else if (creates_ && !has_body_ && count_ < 4) {
            has_body_ = postgres_ ? word == "FUNCTION" || word == "PROCEDURE" : word == "TRIGGER";
        } else if (has_body_ && postgres_ && word == "ATOMIC" && last_ == "BEGIN") {
            depth_ = 1;
        } else if (has_body_ && !postgres_ && word == "BEGIN") {
            depth_ = 1;
        }
    }

    bool postgres_;
    bool creates_ = false;
    bool has_body_ = false;
    int parentheses_ = 0;
    int depth_ = 0;
    std::size_t count_ = 0;
    std::string last_;
};

}  // namespace

Dialect dialect_of(std::string_view name) {
    if (name == "sqlite") {
        return Dialect::sqlite;
    }
    if (name == "postgres") {
        return Dialect::postgres;
    }
    throw Error{
        TENON_UNSUPPORTED,
        "migrations know the dialects sqlite and postgres, not " + std::string{name}};
}

std::string_view name_of(Dialect dialect) noexcept {
    return dialect == Dialect::sqlite ? "sqlite" : "postgres";
}

std::vector<Token> tokens_of(std::string_view sql, Dialect dialect) {
    std::vector<Token> tokens;
    Lexer lexer{sql, dialect};
    while (auto token = lexer.next()) {
        tokens.push_back(std::move(*token));
    }
    return tokens;
}

std::vector<SqlStatement> split_statements(std::string_view sql, Dialect dialect) {
    std::vector<SqlStatement> statements;
    SqlStatement now;
    Nesting nesting{dialect};
    const auto finish = [&] {
        if (!now.tokens.empty()) {
            const Token& first = now.tokens.front();
            const Token& last = now.tokens.back();
            now.line = first.line;
            now.text = sql.substr(first.offset, last.offset + last.length - first.offset);
            statements.push_back(std::move(now));
        }
        now = {};
        nesting = Nesting{dialect};
    };
    Lexer lexer{sql, dialect};
    while (auto token = lexer.next()) {
        if (token->is(";") && !nesting.open()) {
            finish();
        } else {
            nesting.feed(*token);
            now.tokens.push_back(std::move(*token));
        }
    }
    if (nesting.open()) {
        throw Error{
            TENON_INVALID,
            "line " + std::to_string(now.tokens.front().line) +
                ": a parenthesis or a body (BEGIN … END) of this statement does not end"};
    }
    finish();
    return statements;
}

std::string normalised(std::string_view sql, Dialect dialect) {
    std::string text;
    Lexer lexer{sql, dialect};
    while (const auto token = lexer.next()) {
        text.append(text.empty() ? "" : " ").append(sql.substr(token->offset, token->length));
    }
    return text;
}

}  // namespace tenon::migrations
