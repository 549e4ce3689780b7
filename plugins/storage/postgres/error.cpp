// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/postgres/error.hpp"

#include <libpq-fe.h>

#include <algorithm>
#include <array>

namespace tenon::postgres {
namespace {

constexpr std::string_view k_left_out = "a value does not fit (the server's words may hold it)";

std::string_view field(const pg_result* result, int code) noexcept {
    const char* text = PQresultErrorField(result, code);
    return text == nullptr ? std::string_view{} : std::string_view{text};
}

// The number after `before` in a context such as "COPY t, line 12, column a: …".
std::string line_of(std::string_view context) {
    const std::size_t at = context.find(", line ");
    if (context.substr(0, 5) != "COPY " || at == std::string_view::npos) {
        return {};
    }
    const std::size_t begin = at + 7;
    const std::size_t end = context.find_first_not_of("0123456789", begin);
    return std::string{context.substr(begin, end == std::string_view::npos ? end : end - begin)};
}

// Data errors quote the value that they are about, which may have quotes itself. Other languages
// quote otherwise, and functions raise what they like: without quotes only known words are kept.
std::string without_values(std::string_view text) {
    static constexpr std::array<std::string_view, 9> k_harmless{
        "division by zero",
        "integer out of range",
        "bigint out of range",
        "smallint out of range",
        "numeric field overflow",
        "value overflows numeric format",
        "value out of range: overflow",
        "value out of range: underflow",
        "value too long for type "};
    const std::size_t first = text.find('"');
    if (first == std::string_view::npos) {
        const bool known = std::any_of(k_harmless.begin(), k_harmless.end(), [&](auto words) {
            return text.substr(0, words.size()) == words;
        });
        return known ? std::string{text} : std::string{k_left_out};
    }
    const std::string_view before = text.substr(0, first);
    const std::string_view after = text.substr(text.rfind('"') + 1);
    const auto is_plain = [](std::string_view part) {
        return part.find("0x") == std::string_view::npos &&
               std::all_of(part.begin(), part.end(), [](char c) {
                   return static_cast<unsigned char>(c) < 0x80;
               });
    };
    if (!is_plain(before) || !is_plain(after)) {
        return std::string{k_left_out};
    }
    return std::string{before} + "\"…\"" + std::string{after};
}

// "PL/pgSQL function check_order() line 3 at RAISE": the name, which the schema has.
std::string_view function_of(std::string_view context) {
    static constexpr std::string_view k_before = "PL/pgSQL function ";
    const std::size_t at = context.find(k_before);
    if (at == std::string_view::npos) {
        return {};
    }
    const std::string_view name = context.substr(at + k_before.size());
    const std::size_t end = name.find('(');
    return end == std::string_view::npos || name.substr(0, end).find(' ') != std::string_view::npos
               ? std::string_view{}
               : name.substr(0, end);
}

// A rule's text may have values in it: who raises it puts in what he likes.
std::string rule_text(std::string_view text, std::string_view context) {
    static constexpr std::size_t k_sentence_max = 120;
    const bool only_words = !text.empty() && text.size() <= k_sentence_max &&
                            std::all_of(text.begin(), text.end(), [](char c) {
                                return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                                       c == ' ' || c == '_' || c == '-' || c == ',' || c == '.' ||
                                       c == ';';
                            });
    if (only_words) {
        return std::string{text};
    }
    const std::string_view function = function_of(context);
    return "a rule" + (function.empty() ? "" : " of the function " + std::string{function}) +
           " refuses it (its words may hold a value)";
}

// The server's own texts about names, states and resources: no value comes with them.
bool is_told_in_full(std::string_view sqlstate) noexcept {
    static constexpr std::array<std::string_view, 15> k_classes{
        "08", "0A", "23", "25", "26", "28", "3B", "3D", "3F", "40", "42", "53", "55", "57", "58"};
    return std::find(k_classes.begin(), k_classes.end(), sqlstate.substr(0, 2)) != k_classes.end();
}

std::string first_line(std::string_view text) {
    text = text.substr(0, text.find_last_not_of(" \n\r") + 1);
    std::string out;
    for (const char c : text) {
        out.push_back(c == '\n' ? ' ' : c);
    }
    return out;
}

}  // namespace

Meaning meaning_of(std::string_view sqlstate) noexcept {
    const std::string_view kind = sqlstate.substr(0, 2);
    if (sqlstate.empty() || kind == "08") {
        return {TENON_UNAVAILABLE, Failure::other_host};
    }
    if (sqlstate == "40001" || sqlstate == "40P01" || sqlstate == "55P03") {
        return {TENON_UNAVAILABLE, Failure::retry_transaction};
    }
    // A plan that no longer fits its tables, or a statement that the server does not know: the next
    // run prepares anew.
    if (sqlstate == "26000" || sqlstate == "0A000") {
        return {TENON_UNAVAILABLE, Failure::retry_transaction};
    }
    if (sqlstate == "57P01" || sqlstate == "57P02" || sqlstate == "57P03" || sqlstate == "57P05" ||
        sqlstate == "25006" || sqlstate == "25P03") {
        return {TENON_UNAVAILABLE, Failure::other_host};
    }
    if (sqlstate == "57014") {
        return {TENON_TIMEOUT, Failure::timeout};
    }
    // P0001: a rule that a trigger raises, as RAISE(ABORT) on SQLite.
    if (kind == "23" || sqlstate == "P0001") {
        return {TENON_CONFLICT, Failure::constraint};
    }
    if (sqlstate == "53300") {  // too many connections
        return {TENON_UNAVAILABLE, Failure::other_host};
    }
    if (kind == "53" || kind == "58") {  // no room, no memory, the system failed
        return {TENON_UNAVAILABLE, Failure::permanent};
    }
    if (sqlstate == "42501" || kind == "28") {
        return {TENON_DENIED, Failure::permanent};
    }
    if (kind == "XX") {
        return {TENON_CORRUPT, Failure::permanent};
    }
    // 25P02 among them: a statement after the one that ended the transaction.
    if (kind == "22" || kind == "25" || kind == "42" || kind == "0A" || kind == "21" ||
        kind == "3D" || kind == "3F" || kind == "54" || kind == "55" || kind == "34" ||
        kind == "3B") {
        return {TENON_INVALID, Failure::permanent};
    }
    return {TENON_INTERNAL, Failure::permanent};
}

bool ends_session(std::string_view sqlstate) noexcept {
    const Meaning meaning = meaning_of(sqlstate);
    return meaning.failure == Failure::other_host;
}

DatabaseError describe(const pg_result* result, std::string_view what) {
    const std::string_view state = field(result, PG_DIAG_SQLSTATE);
    Meaning meaning = meaning_of(state);
    std::string_view text = field(result, PG_DIAG_MESSAGE_PRIMARY);
    // 0A000 is both "cached plan must not change result type" and what PostgreSQL cannot do. The
    // routine that says it is not translated, as its text is.
    if (state == "0A000" && field(result, PG_DIAG_SOURCE_FUNCTION) != "RevalidateCachedQuery") {
        meaning = {TENON_INVALID, Failure::permanent};
    }
    std::string message{what};
    message.append(": ");
    const std::string_view context = field(result, PG_DIAG_CONTEXT);
    const bool is_raised =
        state.substr(0, 2) == "P0" || field(result, PG_DIAG_SOURCE_FUNCTION) == "exec_stmt_raise";
    if (is_raised) {
        message.append(rule_text(text, context));
    } else if (state.empty()) {
        message.append(text.empty() ? std::string_view{PQresultErrorMessage(result)} : text);
    } else {
        message.append(is_told_in_full(state) ? std::string{text} : without_values(text));
    }
    const std::string_view table = field(result, PG_DIAG_TABLE_NAME);
    if (is_raised && !table.empty()) {
        message.append(", table ").append(table);
    }
    const std::string_view constraint = field(result, PG_DIAG_CONSTRAINT_NAME);
    if (!constraint.empty() && message.find(constraint) == std::string::npos) {
        message.append(" (").append(constraint).append(")");
    }
    if (const std::string line = line_of(context); !line.empty()) {
        message.append(", row ").append(line);
    }
    message.append(" [postgres ").append(state.empty() ? "-" : state).append("]");
    return {meaning.status, first_line(message), meaning.failure, state};
}

DatabaseError lost(const pg_conn* connection, std::string_view what) {
    const Meaning meaning = meaning_of("");
    const std::string_view text = connection == nullptr ? "" : PQerrorMessage(connection);
    return {
        meaning.status,
        std::string{what} + ": " + (text.empty() ? "the connection is gone" : first_line(text)),
        meaning.failure,
        ""};
}

DatabaseError invalid(std::string message) {
    return {TENON_INVALID, std::move(message), Failure::permanent, ""};
}

}  // namespace tenon::postgres
