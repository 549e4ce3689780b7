// SPDX-License-Identifier: Apache-2.0
// PostgreSQL through SOCI. Values come as the server's own text, which is exact for every type; the
// types are those that the server says, by their fixed numbers (pg_type.dat of PostgreSQL).
#include "plugins/migrations/import/source.hpp"
#include "plugins/migrations/import/watch.hpp"

#include <libpq-fe.h>
#include <soci/postgresql/soci-postgresql.h>
#include <soci/soci.h>

#include <charconv>
#include <sys/socket.h>

namespace tenon::importer {
namespace {

enum Type : std::uint32_t {
    bool_type = 16,
    bytea_type = 17,
    int8_type = 20,
    int2_type = 21,
    int4_type = 23,
    oid_type = 26,
    float4_type = 700,
    float8_type = 701
};

using Keywords = std::map<std::string, std::string>;

// libpq's own reading of it. What libpq says of a malformed one may show a password, so only where
// the trouble is is told.
Keywords keywords_of(const std::string& conninfo) {
    char* why = nullptr;
    PQconninfoOption* const options = PQconninfoParse(conninfo.c_str(), &why);
    PQfreemem(why);
    if (options == nullptr) {
        throw Error{
            TENON_INVALID,
            "a PostgreSQL source is postgresql:host=… dbname=… user=…, or a URI; libpq cannot read "
            "this one"};
    }
    Keywords found;
    for (const PQconninfoOption* option = options; option->keyword != nullptr; ++option) {
        if (option->val != nullptr) {
            found[option->keyword] = option->val;
        }
    }
    PQconninfoFree(options);
    if (found.contains("password")) {
        throw Error{
            TENON_INVALID,
            "a source is kept in logs and histories: its password goes into the setting "
            "source_password, as a reference"};
    }
    return found;
}

// As a URI with every byte of a value as %XX: SOCI reads a connection string before libpq does, and
// not by libpq's rules for quotes.
std::string uri_of(const Keywords& keywords) {
    constexpr std::string_view k_digits = "0123456789ABCDEF";
    std::string uri = "postgresql:///";
    for (const auto& [key, value] : keywords) {
        uri.append(uri.back() == '/' ? "?" : "&").append(key).append("=");
        for (const char c : value) {
            const auto byte = static_cast<unsigned char>(c);
            uri.push_back('%');
            uri.push_back(k_digits[byte >> 4U]);
            uri.push_back(k_digits[byte & 0xFU]);
        }
    }
    return uri;
}

// For people: the places, and no secret.
std::string name_of(const Keywords& keywords) {
    std::string text = "postgresql:";
    for (const char* key : {"service", "host", "hostaddr", "port", "dbname", "user"}) {
        const auto found = keywords.find(key);
        if (found != keywords.end()) {
            text.append(text.back() == ':' ? "" : " ").append(key).append("=");
            text += found->second;
        }
    }
    return text;
}

SourceValue number_value(const std::string& text) {
    SourceValue out;
    out.kind = TENON_VALUE_INT64;
    (void)std::from_chars(text.data(), text.data() + text.size(), out.integer);
    return out;
}

class PostgresDialect final : public Dialect {
public:
    PostgresDialect(const std::string& conninfo, const std::string& password, Stops stops)
        : stops_{std::move(stops)} {
        Keywords keywords = keywords_of(conninfo);
        name_ = importer::name_of(keywords);
        // What is said wins; a host that went away is not waited for without end.
        keywords.emplace("connect_timeout", "10");
        keywords.emplace("tcp_user_timeout", "30000");
        keywords.emplace("keepalives_idle", "10");
        keywords.emplace("application_name", "tenon-import");
        keywords["client_encoding"] = "UTF8";
        if (!password.empty()) {
            keywords["password"] = password;
        }
        try {
            session_.open(soci::postgresql, uri_of(keywords));
        } catch (const soci::soci_error& e) {
            throw Error{TENON_NOT_FOUND, "cannot open " + name_ + ": " + e.get_error_message()};
        }
        try {
            begin();
        } catch (const soci::soci_error& e) {
            throw Error{TENON_INVALID, name_ + ": " + e.get_error_message()};
        }
        if (stops_) {
            watch_.emplace(stops_, [this] {
                // Whatever the server does meanwhile: the wait for its answer ends.
                (void)::shutdown(PQsocket(connection()), SHUT_RDWR);
            });
        }
    }

    [[nodiscard]] std::string name() const override { return name_; }

    soci::session& session() override { return session_; }

    void recover() override {
        try {
            session_ << "ROLLBACK";
            open_transaction();
        } catch (const soci::soci_error&) {
            // The connection is gone: what is asked next says so.
        }
    }

    [[nodiscard]] std::uint32_t count_type() const noexcept override { return int8_type; }

    [[nodiscard]] std::vector<Item> describe(const std::string& sql) override {
        soci::statement statement{session_};
        statement.alloc();
        prepare(statement, sql, 0);
        statement.define_and_bind();
        (void)statement.execute(false);
        // SOCI's own description knows few types and throws for the others.
        const PGresult* const result = backend_of(statement)->result_.get_result();
        std::vector<Item> items;
        for (int i = 0; i < PQnfields(result); ++i) {
            items.push_back({PQfname(result, i), PQftype(result, i)});
        }
        return items;
    }

    [[nodiscard]] std::string as_text(const Item& item) const override {
        return "CAST(" + item.sql + " AS text)";
    }

    [[nodiscard]] std::string as_real(const Item&) const override { return {}; }

    [[nodiscard]] SourceValue value(const Item& item, const std::string& text, double)
        const override {
        SourceValue out;
        switch (item.type) {
            case int2_type:
            case int4_type:
            case int8_type:
            case oid_type:
                return number_value(text);
            case bool_type:
                return number_value(text == "true" ? "1" : "0");
            case float4_type:
            case float8_type:
                out.kind = TENON_VALUE_REAL;
                (void)std::from_chars(text.data(), text.data() + text.size(), out.real);
                return out;
            default:
                out.kind = item.type == bytea_type ? TENON_VALUE_BLOB : TENON_VALUE_TEXT;
                out.bytes = text;
                return out;
        }
    }

    void prepare(soci::statement& statement, const std::string& sql, std::size_t values) override {
        std::optional<soci::soci_error> refused;
        try {
            statement.prepare(sql);
        } catch (const soci::soci_error& e) {
            refused = e;
        }
        // SOCI takes every :word for a parameter, also in "a:b", a[1:n] and $$…$$, and the server
        // may then refuse what nobody wrote.
        if (backend_of(statement)->names_.size() != values) {
            throw Error{
                TENON_INVALID,
                "a : outside of '…' and :: cannot be read here; put the select into a view of the "
                "source"};
        }
        if (refused) {
            throw soci::soci_error{*refused};
        }
    }

    [[nodiscard]] bool is_stopped() const override { return stops_ && stops_(); }

private:
    static soci::postgresql_statement_backend* backend_of(soci::statement& statement) {
        return static_cast<soci::postgresql_statement_backend*>(statement.get_backend());
    }

    [[nodiscard]] PGconn* connection() {
        return static_cast<soci::postgresql_session_backend*>(session_.get_backend())->conn_;
    }

    void begin() {
        session_ << "SET TimeZone TO 'UTC'";
        session_ << "SET DateStyle TO ISO";
        session_ << "SET IntervalStyle TO iso_8601";
        session_ << "SET bytea_output TO hex";
        session_ << "SET extra_float_digits TO 3";
        session_ << "SET statement_timeout TO 0";  // counting a big table takes its time
        session_ << "SET idle_in_transaction_session_timeout TO 0";
        open_transaction();
    }

    void open_transaction() {
        session_ << "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        // The first read is what takes the snapshot.
        int one = 0;
        session_ << "SELECT 1", soci::into(one);
    }

    std::string name_;
    Stops stops_;
    soci::session session_;
    std::optional<Watch> watch_;  // ends before the session that it looks at
};

}  // namespace

std::unique_ptr<Source>
open_postgres(const std::string& conninfo, const std::string& password, Stops stops) {
    return std::make_unique<Source>(
        std::make_unique<PostgresDialect>(conninfo, password, std::move(stops))
    );
}

}  // namespace tenon::importer
