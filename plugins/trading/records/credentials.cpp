// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/records/credentials.hpp"

#include "plugins/trading/records/failure.hpp"

#include <tenon/exchange_credentials.hpp>

#include <algorithm>
#include <array>
#include <sodium.h>
#include <vector>

namespace tenon::records {
namespace {

// Columns of what is sealed; the members have no column of that name.
constexpr std::array k_fields{
    Field{"api_key", "api_key_sealed", Kind::text, k_create | k_required | k_change, 1, 512},
    Field{"secret", "secret_sealed", Kind::text, k_create | k_required | k_change, 1, 4096},
    Field{"passphrase", "passphrase_sealed", Kind::text, k_create | k_change | k_nullable, 1, 512}};
constexpr std::array<std::string_view, k_secret_count> k_members{"api_key", "secret", "passphrase"};
constexpr std::size_t k_hint_bytes = 4, k_hint_from_bytes = 16;

void wipe(std::string& text) noexcept {
    sodium_memzero(text.data(), text.size());
    text.clear();
}

// One row's place, which its seals are bound to.
struct Place {
    std::int64_t id = 0, user = 0;
    std::string exchange;

    [[nodiscard]] std::string context(std::string_view column) const {
        return exchange_credential_context(user, id, exchange, column);
    }
};

struct SealedRow {
    Place place;
    std::array<std::optional<std::string>, k_secret_count> values;
};

struct SealedValues {
    std::array<std::optional<std::string>, k_secret_count> values;
    std::string hint, master_key;
};

// What a body says, sealed for its place.
[[nodiscard]] SealedValues
seal_members(const Secrets& secrets, const Place& place, const Json& body) {
    SealedValues sealed;
    for (std::size_t i = 0; i < k_fields.size(); ++i) {
        const Field& field = k_fields[i];
        const Json* const json = body.find(field.name);
        if (json == nullptr || json->is(Json::Kind::null)) {
            if ((field.use & k_required) != 0) {
                throw invalid("/" + std::string{field.name}, "this member is missing");
            }
            continue;
        }
        std::string plain = std::get<std::string>(value_of_json(field, *json, {}));
        if (i == 0 && plain.size() >= k_hint_from_bytes) {
            const bool is_plain =
                std::all_of(plain.begin(), plain.end(), [](char c) { return c > ' ' && c <= '~'; });
            sealed.hint = is_plain ? plain.substr(plain.size() - k_hint_bytes) : "";
        }
        sealed.values[i] = seal_text(secrets, place.context(field.column), plain);
        wipe(plain);
    }
    sealed.master_key = key_of_sealed(*sealed.values.front());
    return sealed;
}

[[nodiscard]] tenon_value blob_of(const std::optional<std::string>& sealed) noexcept {
    return sealed ? value_of(bytes(*sealed)) : null_value();
}

// Not counted by the database, because the seal needs it before the row is there. 53 bits, so that
// every JSON reader keeps it whole.
[[nodiscard]] std::int64_t random_id() {
    std::uint64_t id = 0;
    randombytes_buf(&id, sizeof id);
    constexpr unsigned k_bits = 53;
    return static_cast<std::int64_t>((id >> (64U - k_bits)) | 1U);
}

[[nodiscard]] SealedRow sealed_row(const Statement& row) {
    SealedRow out{{row.integer(0), row.integer(1), std::string{row.text(2)}}, {}};
    for (std::uint32_t i = 0; i < k_secret_count; ++i) {
        if (!row.is_null(3 + i)) {
            out.values[i] = std::string{row.blob(3 + i)};
        }
    }
    return out;
}

constexpr std::string_view k_select =
    "SELECT id, user_id, exchange, api_key_sealed, secret_sealed, passphrase_sealed "
    "FROM exchange_credentials ";

[[nodiscard]] std::vector<SealedRow> rows_of(Statement rows) {
    std::vector<SealedRow> out;
    while (rows.step()) {
        out.push_back(sealed_row(rows));
    }
    return out;
}

// Throws Error: a value that does not open.
[[nodiscard]] std::array<std::optional<std::string>, k_secret_count>
open_values(const Secrets& secrets, const SealedRow& row) {
    std::array<std::optional<std::string>, k_secret_count> plain;
    for (std::size_t i = 0; i < k_secret_count; ++i) {
        if (!row.values[i]) {
            continue;
        }
        StringSink opened;
        opened.text().reserve(row.values[i]->size());
        ErrorBuffer err;
        const tenon_status status = secrets->open(
            secrets.self,
            str(row.place.context(k_fields[i].column)),
            bytes(*row.values[i]),
            opened.sink(),
            &err
        );
        if (status != TENON_OK) {
            throw Error{
                status,
                "credential " + std::to_string(row.place.id) + ", " +
                    std::string{k_fields[i].name} + ": " + std::string{err.message()}};
        }
        plain[i] = std::move(opened.text());
    }
    return plain;
}

void wipe(std::array<std::optional<std::string>, k_secret_count>& values) noexcept {
    for (auto& value : values) {
        if (value) {
            wipe(*value);
        }
    }
}

void write_values(Session& session, const Place& place, const SealedValues& sealed) {
    session
        .prepare(
            "UPDATE exchange_credentials SET api_key_sealed = ?, secret_sealed = ?, "
            "passphrase_sealed = ?, master_key = ? WHERE id = ?"
        )
        .bind_all(
            blob_of(sealed.values[0]),
            blob_of(sealed.values[1]),
            blob_of(sealed.values[2]),
            sealed.master_key,
            place.id
        )
        .run();
    if (session.changes() != 1) {
        throw StorageError{
            TENON_UNAVAILABLE, "the row was changed at the same time", Failure::retry_transaction};
    }
}

// False: a value does not open.
[[nodiscard]] bool reseal_row(Session& session, const Secrets& secrets, const SealedRow& row) {
    std::array<std::optional<std::string>, k_secret_count> plain;
    try {
        plain = open_values(secrets, row);
    } catch (const Error&) {
        return false;
    }
    SealedValues sealed;
    try {
        for (std::size_t i = 0; i < k_secret_count; ++i) {
            if (plain[i]) {
                sealed.values[i] =
                    seal_text(secrets, row.place.context(k_fields[i].column), *plain[i]);
            }
        }
    } catch (...) {
        wipe(plain);
        throw;
    }
    wipe(plain);
    sealed.master_key = key_of_sealed(*sealed.values.front());
    write_values(session, row.place, sealed);
    return true;
}

[[nodiscard]] std::int64_t start_of(const ResealRequest& request) {
    const auto id = request.after.empty() ? std::int64_t{0} : whole_number(request.after);
    if (!id) {
        throw Error{TENON_INVALID, "args/after: expected the `next` of an earlier answer"};
    }
    return *id;
}

// By ranges, so that the index gives just those.
[[nodiscard]] std::int64_t count_stale(Session& session, const std::string& in_force) {
    auto row = session.prepare(
        "SELECT (SELECT count(*) FROM exchange_credentials WHERE master_key < ?) + "
        "(SELECT count(*) FROM exchange_credentials WHERE master_key > ?)"
    );
    row.bind_all(in_force, in_force);
    (void)row.step();
    const std::int64_t count = row.integer(0);
    while (row.step()) {}
    return count;
}

[[nodiscard]] Place
place_of(Session& session, const User& user, std::int64_t id, bool for_administrators) {
    auto row = session.prepare("SELECT user_id, exchange FROM exchange_credentials WHERE id = ?");
    row.bind(1, id);
    if (!row.step() || (row.integer(0) != user.id && !(for_administrators && user.is_admin))) {
        while (row.step()) {}
        throw not_found(k_credentials.one);
    }
    Place place{id, row.integer(0), std::string{row.text(1)}};
    while (row.step()) {}
    return place;
}

}  // namespace

std::span<const Field, k_secret_count> secret_fields() noexcept {
    return k_fields;
}

std::string store_credential(
    Session& session,
    const Secrets& secrets,
    const User& user,
    const Json& body,
    std::int64_t now_ns
) {
    const auto columns = columns_of(k_credentials, body, k_create, {}, k_members);
    const Place place{random_id(), user.id, std::get<std::string>(columns.at("exchange"))};
    const SealedValues sealed = seal_members(secrets, place, body);
    session
        .prepare(
            "INSERT INTO exchange_credentials (id, user_id, exchange, label, key_hint, "
            "api_key_sealed, secret_sealed, passphrase_sealed, master_key, created_real_ns, "
            "updated_real_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        )
        .bind_all(
            place.id,
            place.user,
            place.exchange,
            std::get<std::string>(columns.at("label")),
            sealed.hint,
            blob_of(sealed.values[0]),
            blob_of(sealed.values[1]),
            blob_of(sealed.values[2]),
            sealed.master_key,
            now_ns,
            now_ns
        )
        .run();
    return get_row(session, k_credentials, user, place.id);
}

std::string replace_credential(
    Session& session,
    const Secrets& secrets,
    const User& user,
    std::int64_t id,
    const Json& body,
    std::int64_t now_ns
) {
    (void)columns_of(k_credentials, body, k_change, {}, k_members);
    const Place place = place_of(session, user, id, false);
    const SealedValues sealed = seal_members(secrets, place, body);
    write_values(session, place, sealed);
    session
        .prepare(
            "UPDATE exchange_credentials SET key_hint = ?, updated_real_ns = "
            "CASE WHEN created_real_ns > ? THEN created_real_ns ELSE ? END WHERE id = ?"
        )
        .bind_all(sealed.hint, now_ns, now_ns, id)
        .run();
    return get_row(session, k_credentials, user, id);
}

std::string delete_credential(Session& session, const User& user, std::int64_t id) {
    const Place place = place_of(session, user, id, true);
    session.prepare("DELETE FROM exchange_credentials WHERE id = ?").bind_all(place.id).run();
    return "{\"id\":" + std::to_string(place.id) + ",\"deleted\":true}";
}

OpenCredential
open_credential(Session& session, const Secrets& secrets, const User& user, std::int64_t id) {
    (void)place_of(session, user, id, false);
    auto row = session.prepare(std::string{k_select} + "WHERE id = ?");
    row.bind(1, id);
    const std::vector<SealedRow> found = rows_of(std::move(row));
    if (found.empty()) {
        throw not_found(k_credentials.one);
    }
    auto plain = open_values(secrets, found.front());
    return {
        found.front().place.exchange,
        std::move(*plain[0]),
        std::move(*plain[1]),
        std::move(plain[2])};
}

void wipe(OpenCredential& credential) noexcept {
    wipe(credential.api_key);
    wipe(credential.secret);
    if (credential.passphrase) {
        wipe(*credential.passphrase);
    }
}

ResealAnswer
reseal_credentials(Session& session, const Secrets& secrets, const ResealRequest& request) {
    const std::string in_force = key_in_force(secrets);
    ResealAnswer answer;
    if (request.limit > 0) {
        auto stale = session.prepare(
            std::string{k_select} + "WHERE master_key <> ? AND id > ? ORDER BY id LIMIT ?"
        );
        stale.bind_all(in_force, start_of(request), request.limit);
        const std::vector<SealedRow> rows = rows_of(std::move(stale));
        for (const SealedRow& row : rows) {
            if (reseal_row(session, secrets, row)) {
                ++answer.resealed;
            } else {
                answer.unreadable.push_back(std::to_string(row.place.id));
            }
        }
        if (std::ssize(rows) == request.limit) {
            answer.next = std::to_string(rows.back().place.id);
        }
    }
    answer.remaining = count_stale(session, in_force);
    return answer;
}

std::string
check_credentials(Session& session, const Secrets& secrets, const ResealRequest& request) {
    auto all = session.prepare(std::string{k_select} + "WHERE id > ? ORDER BY id LIMIT ?");
    all.bind_all(start_of(request), request.limit);
    const std::vector<SealedRow> rows = rows_of(std::move(all));
    std::string unreadable;
    for (const SealedRow& row : rows) {
        try {
            auto plain = open_values(secrets, row);
            wipe(plain);
        } catch (const Error& e) {
            unreadable.append(unreadable.empty() ? "" : ",");
            append_json(unreadable, e.what());
        }
    }
    const bool goes_on = request.limit > 0 && std::ssize(rows) == request.limit;
    return "{\"checked\":" + std::to_string(rows.size()) + ",\"unreadable\":[" + unreadable +
           "],\"next\":" +
           (goes_on ? "\"" + std::to_string(rows.back().place.id) + "\"" : std::string{"null"}) +
           ",\"ok\":" + (unreadable.empty() ? "true" : "false") + "}";
}

}  // namespace tenon::records
