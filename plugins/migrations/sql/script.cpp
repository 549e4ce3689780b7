// SPDX-License-Identifier: Apache-2.0
#include "plugins/migrations/sql/script.hpp"

#include <tenon/plugin.hpp>

#include <algorithm>
#include <array>
#include <sodium.h>
#include <sstream>

namespace tenon::migrations {
namespace {

class Faults {
public:
    explicit Faults(const std::string& file) : file_{file} {}

    void add(const std::string& fault) {
        text_.append(text_.empty() ? "" : "\n").append(file_).append(": ").append(fault);
    }

    void raise() const {
        if (!text_.empty()) {
            throw Error{TENON_INVALID, text_};
        }
    }

private:
    const std::string& file_;
    std::string text_;
};

void read_pair(const std::string& pair, Metadata& to, Faults& faults) {
    if (pair == "destructive=true" || pair == "destructive=false") {
        to.destructive = pair.ends_with("true");
    } else if (pair == "transaction=one" || pair == "transaction=none") {
        to.transaction = pair.ends_with("one") && !pair.ends_with("none");
    } else if (pair == "phase=expand" || pair == "phase=backfill" || pair == "phase=contract") {
        to.phase = pair.substr(pair.find('=') + 1);
    } else if (pair.starts_with("allow=") && pair.size() > 6) {
        std::istringstream rules{pair.substr(6)};
        for (std::string rule; std::getline(rules, rule, ',');) {
            to.allow.insert(rule);
        }
    } else {
        faults.add(
            "unknown metadata `" + pair +
            "`, expected destructive=true|false, phase=expand|backfill|contract, "
            "transaction=one|none or allow=RULE,…"
        );
    }
}

Metadata read_metadata(const std::string& sql, Faults& faults) {
    constexpr std::string_view k_mark = "-- tenon:";
    Metadata metadata;
    std::istringstream lines{sql};
    std::string line;
    while (std::getline(lines, line) && (line.empty() || line.starts_with("--"))) {
        if (line.starts_with(k_mark)) {
            std::istringstream pairs{line.substr(k_mark.size())};
            for (std::string pair; pairs >> pair;) {
                read_pair(pair, metadata, faults);
            }
        }
    }
    return metadata;
}

bool is_word(const SqlStatement& sql, std::size_t at, std::string_view word) {
    return at < sql.tokens.size() && sql.tokens[at].is(word);
}

bool ends_transaction(const SqlStatement& sql) {
    static constexpr std::array<std::string_view, 9> k_words{
        "BEGIN", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE", "ATTACH", "DETACH"};
    const Token& first = sql.tokens.front();
    return std::any_of(
               k_words.begin(), k_words.end(), [&](std::string_view w) { return first.is(w); }
           ) ||
           (first.is("START") && is_word(sql, 1, "TRANSACTION")) ||
           (first.is("PREPARE") && is_word(sql, 1, "TRANSACTION"));
}

// The name from token `at` on: a word or quoted, with a schema or without; as it is written.
std::string name_at(const SqlStatement& sql, std::size_t at) {
    const auto is_name = [&](std::size_t i) {
        return i < sql.tokens.size() &&
               (sql.tokens[i].kind == TokenKind::word || sql.tokens[i].kind == TokenKind::name);
    };
    if (!is_name(at)) {
        return {};
    }
    std::size_t last = at;
    if (is_word(sql, at + 1, ".") && is_name(at + 2)) {
        last = at + 2;
    }
    const std::size_t base = sql.tokens.front().offset;
    const std::size_t from = sql.tokens[at].offset - base;
    const std::size_t end = sql.tokens[last].offset + sql.tokens[last].length - base;
    return sql.text.substr(from, end - from);
}

std::size_t after_if_exists(const SqlStatement& sql, std::size_t at) {
    if (!is_word(sql, at, "IF")) {
        return at;
    }
    return at + (is_word(sql, at + 1, "NOT") ? 3 : 2);
}

void classify_index(ScriptStatement& statement, std::size_t concurrently, Faults& faults) {
    const SqlStatement& sql = statement.sql;
    const std::size_t at = after_if_exists(sql, concurrently + 1);
    statement.index = is_word(sql, at, "ON") ? std::string{} : name_at(sql, at);
    if (statement.index.empty()) {
        faults.add(
            "line " + std::to_string(sql.line) + ": an index that is built or dropped " +
            "CONCURRENTLY needs a name, by which a run that was killed is taken up again"
        );
    }
}

// What this version does not take up again after a kill.
bool is_unsupported(const SqlStatement& sql) {
    const Token& first = sql.tokens.front();
    const auto has = [&](std::string_view word) {
        return std::any_of(sql.tokens.begin(), sql.tokens.end(), [&](const Token& t) {
            return t.is(word);
        });
    };
    return (first.is("REINDEX") && has("CONCURRENTLY")) ||
           (first.is("ALTER") && has("DETACH") && has("CONCURRENTLY")) ||
           (first.is("ALTER") && is_word(sql, 1, "SYSTEM")) ||
           ((first.is("CREATE") || first.is("DROP")) &&
            (is_word(sql, 1, "DATABASE") || is_word(sql, 1, "TABLESPACE") ||
             is_word(sql, 1, "SUBSCRIPTION")));
}

void classify(ScriptStatement& statement, Dialect dialect, Faults& faults) {
    const SqlStatement& sql = statement.sql;
    const std::string where = "line " + std::to_string(sql.line) + ": ";
    if (ends_transaction(sql)) {
        faults.add(
            where + "a migration may not begin or end transactions, found `" + summary_of(sql, 40) +
            "`"
        );
        return;
    }
    if (sql.tokens.front().is("VACUUM")) {
        statement.alone = Alone::repeatable;
    }
    if (dialect != Dialect::postgres) {
        return;
    }
    if (is_unsupported(sql)) {
        faults.add(where + "not supported in a migration: `" + summary_of(sql, 60) + "`");
        return;
    }
    const std::size_t index = is_word(sql, 1, "UNIQUE") ? 2 : 1;
    if (!is_word(sql, index, "INDEX") || !is_word(sql, index + 1, "CONCURRENTLY")) {
        return;
    }
    if (sql.tokens.front().is("CREATE")) {
        statement.alone = Alone::create_index;
        classify_index(statement, index + 1, faults);
    } else if (sql.tokens.front().is("DROP")) {
        statement.alone = Alone::drop_index;
        classify_index(statement, index + 1, faults);
    }
}

}  // namespace

std::string sha256_hex(std::string_view bytes) {
    std::array<unsigned char, crypto_hash_sha256_BYTES> hash{};
    crypto_hash_sha256(
        hash.data(), reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()
    );
    std::array<char, 2 * hash.size() + 1> hex{};
    sodium_bin2hex(hex.data(), hex.size(), hash.data(), hash.size());
    return hex.data();
}

std::string summary_of(const SqlStatement& statement, std::size_t most) {
    std::string text;
    bool space = false;
    for (const char c : statement.text) {
        if (c == ' ' || c == '\n' || c == '\t' || c == '\r') {
            space = !text.empty();
            continue;
        }
        if (space) {
            text.push_back(' ');
            space = false;
        }
        text.push_back(c);
        if (text.size() >= most && (static_cast<unsigned char>(c) & 0x80U) == 0) {
            return text + "…";
        }
    }
    return text;
}

Script make_script(std::string file, std::string sql, Dialect dialect) {
    Script script;
    script.dialect = dialect;
    script.file = std::move(file);
    script.sql = std::move(sql);
    script.sha256 = sha256_hex(script.sql);
    Faults faults{script.file};
    script.metadata = read_metadata(script.sql, faults);
    std::vector<SqlStatement> statements;
    try {
        script.normal = sha256_hex(normalised(script.sql, dialect));
        statements = split_statements(script.sql, dialect);
    } catch (const Error& e) {
        faults.add(e.what());
    }
    for (SqlStatement& sql_statement : statements) {
        ScriptStatement statement;
        statement.sha256 = sha256_hex(normalised(sql_statement.text, dialect));
        statement.sql = std::move(sql_statement);
        classify(statement, dialect, faults);
        if (statement.alone != Alone::no && script.metadata.transaction) {
            faults.add(
                "line " + std::to_string(statement.sql.line) + ": `" +
                summary_of(statement.sql, 60) +
                "` cannot run in a transaction: say `-- tenon: transaction=none`"
            );
        }
        script.statements.push_back(std::move(statement));
    }
    faults.raise();
    return script;
}

}  // namespace tenon::migrations
