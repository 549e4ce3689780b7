// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/postgres/placeholder.hpp"

#include <algorithm>
#include <array>
#include <cctype>

namespace tenon::postgres {
namespace {

constexpr std::size_t k_words_kept = 3;

bool is_word_start(char c) noexcept {
    const auto u = static_cast<unsigned char>(c);
    return std::isalpha(u) != 0 || c == '_' || u >= 0x80;
}

bool is_word(char c) noexcept {
    return is_word_start(c) || std::isdigit(static_cast<unsigned char>(c)) != 0;
}

std::string upper(std::string_view word) {
    std::string text{word};
    std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) {
        return static_cast<char>(std::toupper(c));
    });
    return text;
}

constexpr std::array<std::string_view, 14> k_session_words{
    "SET_CONFIG",
    "PG_ADVISORY_LOCK",
    "PG_ADVISORY_LOCK_SHARED",
    "PG_TRY_ADVISORY_LOCK",
    "PG_TRY_ADVISORY_LOCK_SHARED",
    "PG_ADVISORY_UNLOCK",
    "PG_ADVISORY_UNLOCK_ALL",
    "TEMP",
    "TEMPORARY",
    "LISTEN",
    "HOLD",
    "SETVAL",
    "SETSEED",
    "PG_TEMP"};

class Scanner {
public:
    explicit Scanner(std::string_view sql) : sql_{sql} { out_.text.reserve(sql.size() + 16); }

    ScannedSql run() {
        out_.statements.emplace_back();
        while (at_ < sql_.size()) {
            one();
        }
        if (out_.statements.back().empty()) {
            out_.statements.pop_back();
        }
        return std::move(out_);
    }

private:
    [[nodiscard]] char peek(std::size_t ahead = 0) const noexcept {
        return at_ + ahead < sql_.size() ? sql_[at_ + ahead] : '\0';
    }

    void copy(std::size_t count) {
        count = std::min(count, sql_.size() - at_);
        out_.text.append(sql_.substr(at_, count));
        at_ += count;
    }

    void one() {
        const char c = peek();
        if (c == '\'') {
            quoted_text('\'', false);
        } else if (c == '"') {
            quoted_text('"', false);
        } else if (c == '-' && peek(1) == '-') {
            const std::size_t end = sql_.find('\n', at_);
            copy(end == std::string_view::npos ? sql_.size() - at_ : end - at_);
        } else if (c == '/' && peek(1) == '*') {
            comment();
        } else if (c == '$') {
            dollar();
        } else if (c == '?') {
            question_mark();
        } else if (is_word_start(c)) {
            word();
        } else if (std::isdigit(static_cast<unsigned char>(c)) != 0) {
            number();
        } else {
            if (c == ';' && !out_.statements.back().empty()) {
                out_.statements.emplace_back();
            }
            copy(1);
        }
    }

    void quoted_text(char quote, bool backslashes) {
        std::size_t end = at_ + 1;
        for (; end < sql_.size(); ++end) {
            if (backslashes && sql_[end] == '\\') {
                ++end;
            } else if (sql_[end] == quote) {
                // A doubled quote goes on as the next text, with the same meaning for us.
                ++end;
                break;
            }
        }
        copy(end - at_);
    }

    // They nest.
    void comment() {
        std::size_t depth = 0;
        do {
            if (peek() == '/' && peek(1) == '*') {
                ++depth;
                copy(2);
            } else if (peek() == '*' && peek(1) == '/') {
                --depth;
                copy(2);
            } else {
                copy(1);
            }
        } while (depth > 0 && at_ < sql_.size());
    }

    // $tag$ … $tag$; $1 is a parameter, and a name may have a $ inside.
    void dollar() {
        std::size_t end = at_ + 1;
        if (end < sql_.size() && is_word_start(sql_[end])) {
            while (end < sql_.size() && is_word(sql_[end])) {
                ++end;
            }
        }
        if (end >= sql_.size() || sql_[end] != '$') {
            copy(1);
            return;
        }
        const std::string_view tag = sql_.substr(at_, end + 1 - at_);
        const std::size_t close = sql_.find(tag, end + 1);
        copy(close == std::string_view::npos ? sql_.size() - at_ : close + tag.size() - at_);
    }

    void question_mark() {
        if (peek(1) == '?') {
            out_.text.push_back('?');
            at_ += 2;
            return;
        }
        out_.text.append("$").append(std::to_string(++out_.parameters));
        ++at_;
        // "?and" is two tokens, "$1and" is not.
        if (is_word(peek())) {
            out_.text.push_back(' ');
        }
    }

    void number() {
        std::size_t end = at_;
        while (end < sql_.size() && (is_word(sql_[end]) || sql_[end] == '.')) {
            ++end;
        }
        copy(end - at_);
    }

    void word() {
        std::size_t end = at_;
        while (end < sql_.size() && (is_word(sql_[end]) || sql_[end] == '$')) {
            ++end;
        }
        const std::string name = upper(sql_.substr(at_, end - at_));
        const char next = end < sql_.size() ? sql_[end] : '\0';
        copy(end - at_);
        if (name == "E" && next == '\'') {
            quoted_text('\'', true);
            return;
        }
        if (std::find(k_session_words.begin(), k_session_words.end(), name) !=
            k_session_words.end()) {
            out_.touches_session = true;
        }
        out_.sets_config = out_.sets_config || name == "SET_CONFIG";
        auto& words = out_.statements.back();
        if (words.size() < k_words_kept) {
            words.push_back(name);
            note_set(words);
        }
    }

    // SET LOCAL, SET CONSTRAINTS and SET TRANSACTION end with the transaction.
    void note_set(const std::vector<std::string>& words) {
        if (words[0] == "RESET" || words[0] == "LOAD" || words[0] == "DO" || words[0] == "CALL") {
            out_.touches_session = true;
        }
        if (words[0] == "SET" && words.size() == 2 && words[1] != "LOCAL" &&
            words[1] != "CONSTRAINTS" && words[1] != "TRANSACTION") {
            out_.touches_session = true;
        }
    }

    std::string_view sql_;
    std::size_t at_ = 0;
    ScannedSql out_;
};

}  // namespace

ScannedSql scan(std::string_view sql) {
    return Scanner{sql}.run();
}

std::string refused(const ScannedSql& sql) {
    static constexpr std::array<std::string_view, 9> k_control{
        "BEGIN", "START", "COMMIT", "END", "ABORT", "ROLLBACK", "DISCARD", "DEALLOCATE", "PREPARE"};
    for (const auto& words : sql.statements) {
        const bool to_savepoint =
            words[0] == "ROLLBACK" && std::find(words.begin(), words.end(), "TO") != words.end();
        if (std::find(k_control.begin(), k_control.end(), words[0]) != k_control.end() &&
            !to_savepoint) {
            return words[0] +
                   " is not for SQL text: transactions are begun and ended, and statements "
                   "prepared, by the contract's functions";
        }
    }
    return {};
}

std::string quoted_name(std::string_view name) {
    std::string text{"\""};
    for (const char c : name) {
        text.append(c == '"' ? 2 : 1, c);
    }
    text.push_back('"');
    return text;
}

}  // namespace tenon::postgres
