// SPDX-License-Identifier: Apache-2.0
// What two texts of one SQL statement have in common, whatever their values.
//
//   normalise_sql("select a from t where id=7 -- x").text == "select a from t where id = ?"
//
// Literals and parameters (?, ?1, $1, :a, @a) become '?', comments go, white space is put where the
// tokens ask for it, a list of '?' after IN becomes one, and rows of '?' that repeat the one before
// go. The text keeps the case of its words; the fingerprint does not see it outside quotes. Names
// with bytes from 0x80 on get '_' for each: what comes out is ASCII. Understands the lexical rules
// of SQLite and PostgreSQL (dollar quotes, E'', casts); it does not parse, so text that is no SQL
// gives some text as well, and never an error.
//
// A literal that looks like a word of the program and not like data (up to 32 letters, digits, '_',
// '-' that begin with a letter, or an integer of up to three digits) is kept aside, see Constant.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tenon {

struct NormalSql {
    // A literal of the text: the `at`-th '?' (from 0) of `text` was `value`, written as SQL.
    struct Constant {
        std::uint32_t at = 0;
        std::string value;

        bool operator==(const Constant&) const = default;
    };

    static constexpr std::size_t k_constants_max = 64;  // further ones are not kept
    static constexpr std::size_t k_text_max = 8192;     // longer text ends with " ..."

    std::string text;
    std::uint64_t fingerprint = 0;  // FNV-1a of 64 bits over all of the text, letters folded
    std::vector<Constant> constants;
};

// FNV-1a, 64 bits (Fowler, Noll, Vo; draft-eastlake-fnv). Not for hostile keys.
class Fnv1a {
public:
    void add(char c) noexcept {
        state_ = (state_ ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
    }

    void add(std::string_view text) noexcept {
        for (const char c : text) {
            add(c);
        }
    }

    [[nodiscard]] std::uint64_t value() const noexcept { return state_; }

    [[nodiscard]] static std::uint64_t of(std::string_view text) noexcept {
        Fnv1a hash;
        hash.add(text);
        return hash.value();
    }

private:
    std::uint64_t state_ = 0xcbf29ce484222325ULL;
};

// 16 lower-case digits.
[[nodiscard]] inline std::string hex_of(std::uint64_t value) {
    std::string out(16, '0');
    for (std::size_t i = out.size(); i-- > 0; value >>= 4U) {
        out[i] = "0123456789abcdef"[value & 0xfU];
    }
    return out;
}

namespace detail {

[[nodiscard]] constexpr char fold_ascii(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

[[nodiscard]] constexpr bool is_sql_digit(char c) noexcept {
    return c >= '0' && c <= '9';
}

[[nodiscard]] constexpr bool is_sql_letter(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           static_cast<unsigned char>(c) >= 0x80;
}

[[nodiscard]] inline bool is_word_equal(std::string_view word, std::string_view lower) noexcept {
    return word.size() == lower.size() &&
           std::equal(word.begin(), word.end(), lower.begin(), [](char a, char b) {
               return fold_ascii(a) == b;
           });
}

// Words after which a bracket is no call and a sign is no operator.
[[nodiscard]] inline bool is_sql_keyword(std::string_view word) noexcept {
    constexpr std::array<std::string_view, 36> k_words{
        "in",        "values",   "and",     "or",       "not",    "on",     "where", "as",
        "from",      "join",     "exists",  "using",    "then",   "when",   "case",  "else",
        "select",    "by",       "set",     "over",     "limit",  "offset", "with",  "is",
        "like",      "between",  "union",   "all",      "except", "having", "any",   "filter",
        "returning", "distinct", "default", "intersect"};
    return std::any_of(k_words.begin(), k_words.end(), [&](std::string_view k) {
        return is_word_equal(word, k);
    });
}

// The tokens of a statement, literals and parameters as '?'.
class SqlLexer {
public:
    enum class Kind { word, quoted, mark, sign, open, close, comma, dot, other };

    struct Token {
        Kind kind;
        std::string text;  // of a mark: what stood there, empty when it is not kept
    };

    explicit SqlLexer(std::string_view sql) : sql_{sql} {}

    [[nodiscard]] std::vector<Token> run() {
        while (at_ < sql_.size()) {
            const std::size_t before = at_;
            next();
            at_ = std::max(at_, before + 1);
        }
        return std::move(tokens_);
    }

private:
    [[nodiscard]] char peek(std::size_t ahead = 0) const noexcept {
        return at_ + ahead < sql_.size() ? sql_[at_ + ahead] : '\0';
    }

    void put(Kind kind, std::string_view text) { tokens_.push_back({kind, std::string{text}}); }

    void next() {
        const char c = peek();
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v') {
            ++at_;
        } else if (c == '-' && peek(1) == '-') {
            at_ = std::min(sql_.find('\n', at_), sql_.size());
        } else if (c == '/' && peek(1) == '*') {
            skip_comment();
        } else if (c == '\'') {
            take_text(false);
        } else if (c == '"' || c == '`') {
            take_quoted(c);
        } else if (c == '$') {
            take_dollar();
        } else if (is_sql_digit(c) || (c == '.' && is_sql_digit(peek(1)))) {
            take_number();
        } else if (is_sql_letter(c)) {
            take_word();
        } else {
            take_rest(c);
        }
    }

    // PostgreSQL nests comments, SQLite does not; the outer end is right for what either accepts.
    void skip_comment() {
        std::size_t depth = 0;
        do {
            if (peek() == '/' && peek(1) == '*') {
                ++depth;
                at_ += 2;
            } else if (peek() == '*' && peek(1) == '/') {
                --depth;
                at_ += 2;
            } else {
                ++at_;
            }
        } while (depth > 0 && at_ < sql_.size());
    }

    void take_text(bool escapes) {
        const std::size_t begin = at_++;
        while (at_ < sql_.size()) {
            if (escapes && sql_[at_] == '\\') {
                at_ += 2;
            } else if (sql_[at_] != '\'') {
                ++at_;
            } else if (peek(1) == '\'') {
                at_ += 2;
            } else {
                break;
            }
        }
        at_ = std::min(at_ + 1, sql_.size());
        const std::string_view text = sql_.substr(begin, at_ - begin);
        put(Kind::mark, !escapes && is_program_word(text) ? text : std::string_view{});
    }

    static bool is_program_word(std::string_view text) noexcept {
        if (text.size() < 3 || text.size() > 34 || text.back() != '\'') {
            return false;
        }
        text = text.substr(1, text.size() - 2);
        return is_sql_letter(text.front()) && std::all_of(text.begin(), text.end(), [](char c) {
                   return static_cast<unsigned char>(c) < 0x80 &&
                          (is_sql_letter(c) || is_sql_digit(c) || c == '-');
               });
    }

    void take_quoted(char quote) {
        const std::size_t begin = at_++;
        while (at_ < sql_.size() && (sql_[at_] != quote || peek(1) == quote)) {
            at_ += sql_[at_] == quote ? 2U : 1U;
        }
        at_ = std::min(at_ + 1, sql_.size());
        put(Kind::quoted, sql_.substr(begin, at_ - begin));
    }

    // $1 and $name are parameters; $$…$$ and $tag$…$tag$ are texts.
    void take_dollar() {
        std::size_t end = at_ + 1;
        while (end < sql_.size() && (is_sql_letter(sql_[end]) || is_sql_digit(sql_[end]))) {
            ++end;
        }
        if (end < sql_.size() && sql_[end] == '$' && !is_sql_digit(peek(1))) {
            const std::string_view tag = sql_.substr(at_, end + 1 - at_);
            const std::size_t close = sql_.find(tag, end + 1);
            at_ = close == std::string_view::npos ? sql_.size() : close + tag.size();
        } else {
            at_ = end;
        }
        put(Kind::mark, {});
    }

    void take_number() {
        const std::size_t begin = at_;
        while (at_ < sql_.size()) {
            const char c = sql_[at_];
            const bool exponent_sign = (c == '+' || c == '-') && at_ > begin &&
                                       fold_ascii(sql_[at_ - 1]) == 'e' &&
                                       fold_ascii(sql_[std::min(begin + 1, at_)]) != 'x';
            if (!is_sql_digit(c) && !is_sql_letter(c) && c != '.' && !exponent_sign) {
                break;
            }
            ++at_;
        }
        std::string text{sql_.substr(begin, at_ - begin)};
        const bool is_small =
            text.size() <= 3 && std::all_of(text.begin(), text.end(), is_sql_digit);
        text = is_small ? text : std::string{};
        if (const std::size_t count = tokens_.size(); count != 0 && is_unary_sign(count - 1)) {
            text = is_small && tokens_.back().text == "-" ? "-" + text : text;
            tokens_.pop_back();
        }
        put(Kind::mark, text);
    }

    [[nodiscard]] bool is_unary_sign(std::size_t index) const {
        const Token& token = tokens_[index];
        if (token.kind != Kind::sign || (token.text != "-" && token.text != "+")) {
            return false;
        }
        if (index == 0) {
            return true;
        }
        const Token& before = tokens_[index - 1];
        return before.kind == Kind::open || before.kind == Kind::comma ||
               before.kind == Kind::sign ||
               (before.kind == Kind::word && is_sql_keyword(before.text));
    }

    void take_word() {
        const std::size_t begin = at_;
        while (at_ < sql_.size() &&
               (is_sql_letter(sql_[at_]) || is_sql_digit(sql_[at_]) || sql_[at_] == '$')) {
            ++at_;
        }
        const std::string_view word = sql_.substr(begin, at_ - begin);
        if (peek() == '\'' && word.size() == 1) {  // X'', B'', N'', E''
            take_text(fold_ascii(word[0]) == 'e');
            tokens_.back().text.clear();
            return;
        }
        put(Kind::word, word);
    }

    void take_rest(char c) {
        switch (c) {
            case '(':
                return put_one(Kind::open);
            case ')':
                return put_one(Kind::close);
            case ',':
                return put_one(Kind::comma);
            case '.':
                return put_one(Kind::dot);
            case ';':
            case '[':
            case ']':
                return put_one(Kind::other);
            default:
                break;
        }
        const bool is_named = (c == ':' || c == '@' || c == '#') && is_sql_letter(peek(1));
        if (c == '?' || is_named) {
            ++at_;
            while (at_ < sql_.size() &&
                   (is_sql_digit(peek()) || (is_named && is_sql_letter(peek())))) {
                ++at_;
            }
            return put(Kind::mark, {});
        }
        take_operator();
    }

    void put_one(Kind kind) { put(kind, sql_.substr(at_++, 1)); }

    void take_operator() {
        constexpr std::string_view k_signs = "<>=!|+-*/%&~^@#:";
        const std::size_t begin = at_;
        while (at_ < sql_.size() && k_signs.find(sql_[at_]) != std::string_view::npos) {
            const bool is_comment =
                (peek() == '-' && peek(1) == '-') || (peek() == '/' && peek(1) == '*');
            const bool is_sign_of_number =
                (peek() == '-' || peek() == '+') && (is_sql_digit(peek(1)) || peek(1) == '.');
            if (at_ != begin && (is_comment || is_sign_of_number)) {
                break;
            }
            ++at_;
        }
        at_ = std::max(at_, begin + 1);
        put(Kind::sign, sql_.substr(begin, at_ - begin));
    }

    std::string_view sql_;
    std::size_t at_ = 0;
    std::vector<Token> tokens_;
};

// Writes tokens in one way.
class SqlWriter {
public:
    using Kind = SqlLexer::Kind;
    using Tokens = std::vector<SqlLexer::Token>;

    explicit SqlWriter(Tokens tokens) : tokens_{std::move(tokens)} {}

    [[nodiscard]] NormalSql run() {
        while (!tokens_.empty() && tokens_.back().text == ";") {
            tokens_.pop_back();
        }
        for (std::size_t i = 0; i < tokens_.size(); ++i) {
            const std::size_t list = marks_from(i);
            if (list > i + 2 && i > 0 && is_word(i - 1, "in")) {
                put(i);
                put_mark({});
                put(list);
                i = list;
            } else if (list != i && repeats_before(i, list)) {
                i = list;
                drop_comma();
            } else {
                put(i);
            }
        }
        out_.fingerprint = hash_.value();
        if (out_.text.size() > NormalSql::k_text_max) {
            out_.text.resize(NormalSql::k_text_max - 4);
            out_.text.append(" ...");
        }
        return std::move(out_);
    }

private:
    // The closing bracket of "( ? , ? … )" that opens at `i`, or `i`.
    [[nodiscard]] std::size_t marks_from(std::size_t i) const noexcept {
        if (tokens_[i].kind != Kind::open) {
            return i;
        }
        std::size_t at = i + 1;
        while (at + 1 < tokens_.size() && tokens_[at].kind == Kind::mark) {
            if (tokens_[at + 1].kind == Kind::close) {
                return at + 1;
            }
            if (tokens_[at + 1].kind != Kind::comma) {
                return i;
            }
            at += 2;
        }
        return i;
    }

    // "( … )" from i to end stands behind "( … ) ," of as many marks.
    [[nodiscard]] bool repeats_before(std::size_t i, std::size_t end) const noexcept {
        const std::size_t length = end - i;
        return i >= length + 2 && tokens_[i - 1].kind == Kind::comma &&
               tokens_[i - 2].kind == Kind::close && marks_from(i - 2 - length) == i - 2;
    }

    [[nodiscard]] bool is_word(std::size_t i, std::string_view lower) const noexcept {
        return tokens_[i].kind == Kind::word && is_word_equal(tokens_[i].text, lower);
    }

    void put(std::size_t i) {
        const SqlLexer::Token& token = tokens_[i];
        if (token.kind == Kind::mark) {
            put_mark(token.text);
            return;
        }
        append(token.kind, token.text);
    }

    void put_mark(const std::string& constant) {
        if (!constant.empty() && out_.constants.size() < NormalSql::k_constants_max) {
            out_.constants.push_back({marks_, constant});
        }
        ++marks_;
        append(Kind::mark, "?");
    }

    void append(Kind kind, std::string_view text) {
        flush_comma();
        if (kind == Kind::comma) {
            comma_ = true;
            return;
        }
        emit(kind, text);
    }

    void emit(Kind kind, std::string_view text) {
        if (needs_space(kind, text)) {
            raw(Kind::other, " ");
        }
        raw(kind, text);
        last_ = kind;
        last_is_keyword_ = kind == Kind::word && is_sql_keyword(text);
        last_is_cast_ = text == "::";
    }

    void raw(Kind kind, std::string_view text) {
        for (const char c : text) {
            const char plain = static_cast<unsigned char>(c) < 0x80 ? c : '_';
            out_.text.push_back(plain);
            hash_.add(kind == Kind::quoted ? c : fold_ascii(c));
        }
    }

    // A comma is written with what follows it: rows that go take theirs along.
    void flush_comma() {
        if (comma_) {
            comma_ = false;
            emit(Kind::comma, ",");
        }
    }

    void drop_comma() noexcept { comma_ = false; }

    [[nodiscard]] bool needs_space(Kind kind, std::string_view text) const noexcept {
        if (out_.text.empty() || last_ == Kind::open || last_ == Kind::dot || last_is_cast_) {
            return false;
        }
        switch (kind) {
            case Kind::close:
            case Kind::comma:
            case Kind::dot:
            case Kind::other:
                return false;
            case Kind::open:
                return last_ != Kind::word || last_is_keyword_;
            default:
                return text != "::";
        }
    }

    Tokens tokens_;
    NormalSql out_;
    Fnv1a hash_;
    std::uint32_t marks_ = 0;
    Kind last_ = Kind::other;
    bool last_is_keyword_ = false;
    bool last_is_cast_ = false;
    bool comma_ = false;
};

}  // namespace detail

[[nodiscard]] inline NormalSql normalise_sql(std::string_view sql) {
    return detail::SqlWriter{detail::SqlLexer{sql}.run()}.run();
}

}  // namespace tenon
