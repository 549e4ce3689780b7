// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/records/operations.hpp"

#include "plugins/trading/records/digest.hpp"
#include "plugins/trading/records/failure.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace tenon::records {
namespace {

constexpr std::int64_t k_day_ns = 86'400'000'000'000;
constexpr Field k_user_field{"user_id", "user_id", Kind::integer, k_create, 1};
constexpr Field
    k_days_field{"duration_days", "duration_days", Kind::integer, k_create | k_nullable, 1, 3660};
constexpr Field k_version_field{"version", "version", Kind::integer, k_change, 1};

[[nodiscard]] const Field& license_type_field() noexcept {
    return k_licenses.fields.front();
}

// A member that may be missing, checked like a field.
[[nodiscard]] std::optional<Bound> member(const Json& body, const Field& field) {
    const Json* const json = body.find(field.name);
    return json == nullptr ? std::nullopt : std::optional{value_of_json(field, *json, {})};
}

[[nodiscard]] std::int64_t integer_member(const Json& body, const Field& field) {
    const auto value = member(body, field);
    if (!value || !std::holds_alternative<std::int64_t>(*value)) {
        throw invalid("/" + std::string{field.name}, "this member is missing");
    }
    return std::get<std::int64_t>(*value);
}

[[nodiscard]] std::string text_member(const Json& body, const Field& field) {
    const auto value = member(body, field);
    if (!value || !std::holds_alternative<std::string>(*value)) {
        throw invalid("/" + std::string{field.name}, "this member is missing");
    }
    return std::get<std::string>(*value);
}

void only(const Json& body, std::initializer_list<std::string_view> names) {
    for (const std::string& key : body.keys()) {
        if (std::find(names.begin(), names.end(), key) == names.end()) {
            throw invalid("/" + key, "there is no such member here");
        }
    }
}

[[nodiscard]] std::int64_t later(std::int64_t from_ns, std::optional<std::int64_t> days) noexcept {
    if (!days || from_ns > k_forever_ns - *days * k_day_ns) {
        return k_forever_ns;
    }
    return from_ns + *days * k_day_ns;
}

// What was read is what was changed: at read committed another transaction may have come between.
void expect_changed(Session& session) {
    if (session.changes() != 1) {
        throw StorageError{
            TENON_UNAVAILABLE, "the row was changed at the same time", Failure::retry_transaction};
    }
}

struct LicenseChange {
    std::string_view type, source;
    std::optional<std::int64_t> days;  // nothing: without end
};

// A running licence of the type goes on for longer; else a new one starts now. Gives back its id.
[[nodiscard]] std::int64_t extend_license(
    Session& session,
    std::int64_t user,
    const LicenseChange& change,
    std::int64_t now_ns
) {
    auto active = session.prepare(
        "SELECT id, end_real_ns FROM user_licenses "
        "WHERE user_id = ? AND license_type = ? AND is_active = 1"
    );
    active.bind_all(user, change.type);
    if (active.step()) {
        const std::int64_t id = active.integer(0), end = active.integer(1);
        while (active.step()) {}
        if (end > now_ns) {
            session
                .prepare(
                    "UPDATE user_licenses SET end_real_ns = ? "
                    "WHERE id = ? AND end_real_ns = ? AND is_active = 1"
                )
                .bind_all(later(end, change.days), id, end)
                .run();
            expect_changed(session);
            return id;
        }
        session
            .prepare(
                "UPDATE user_licenses SET is_active = 0 "
                "WHERE id = ? AND end_real_ns = ? AND is_active = 1"
            )
            .bind_all(id, end)
            .run();
        expect_changed(session);
    }
    auto insert = session.prepare(
        "INSERT INTO user_licenses (user_id, license_type, is_active, source, start_real_ns, "
        "end_real_ns, created_real_ns) VALUES (?, ?, 1, ?, ?, ?, ?) RETURNING id"
    );
    insert.bind_all(user, change.type, change.source, now_ns, later(now_ns, change.days), now_ns);
    (void)insert.step();
    const std::int64_t id = insert.integer(0);
    while (insert.step()) {}
    return id;
}

void expect_user(Session& session, std::int64_t id) {
    auto user = session.prepare("SELECT 1 FROM users WHERE id = ?");
    user.bind(1, id);
    if (!user.step()) {
        throw ApiFailure{404, "not_found", "there is no such user", "/user_id"};
    }
    while (user.step()) {}
}

struct Promo {
    std::int64_t id, days;
    std::string license_type;
};

[[nodiscard]] Promo usable_promo(Session& session, const std::string& code, std::int64_t now_ns) {
    auto row = session.prepare(
        "SELECT id, license_type, duration_days, is_active, valid_from_real_ns, "
        "valid_until_real_ns FROM promo_codes WHERE code = ?"
    );
    row.bind(1, code);
    if (!row.step()) {
        throw ApiFailure{404, "promo_unknown", "there is no such promotion code", "/code"};
    }
    Promo promo{row.integer(0), row.integer(2), std::string{row.text(1)}};
    const bool is_active = row.integer(3) != 0;
    const std::int64_t from = row.integer(4), until = row.integer(5);
    while (row.step()) {}
    if (!is_active) {
        throw conflict("promo_inactive", "this promotion code is switched off");
    }
    if (now_ns < from || now_ns >= until) {
        throw now_ns < from
            ? conflict("promo_not_yet_valid", "this promotion code is not valid yet")
            : conflict("promo_expired", "this promotion code has expired");
    }
    return promo;
}

// Of everything that a booking asked for, whatever its layout and the order of its members.
[[nodiscard]] std::string digest_of(std::map<std::string_view, Bound> columns, const Json& body) {
    columns["license_type"] = member(body, license_type_field()).value_or(nullptr);
    columns["duration_days"] = member(body, k_days_field).value_or(nullptr);
    columns.emplace("provider_reference", std::string{});
    std::string text;
    for (const auto& [column, value] : columns) {
        if (const auto* const number = std::get_if<std::int64_t>(&value)) {
            text.append(column).append("=").append(std::to_string(*number)).append("\n");
        } else if (const auto* const string = std::get_if<std::string>(&value)) {
            // With its length, so that no value looks like the next column.
            text.append(column).append(":").append(std::to_string(string->size())).append(":");
            text.append(*string).append("\n");
        }
    }
    return sha256_hex(text);
}

// The payment of this key, and 409 when it is about something else.
[[nodiscard]] std::optional<std::int64_t>
booked_before(Session& session, std::int64_t user, const Bound& key, const std::string& digest) {
    auto row = session.prepare(
        "SELECT id, coalesce(request_sha256, '') FROM payments "
        "WHERE user_id = ? AND idempotency_key = ?"
    );
    bind_values(row, {user, key});
    if (!row.step()) {
        return std::nullopt;
    }
    const std::int64_t id = row.integer(0);
    const bool is_same = row.text(1) == digest;
    while (row.step()) {}
    if (!is_same) {
        throw conflict(
            "idempotency_conflict", "this idempotency key has booked another payment already"
        );
    }
    return id;
}

// A new user's id; 0 when another one has the name.
[[nodiscard]] std::int64_t
insert_user(Session& session, const std::string& name, std::int64_t now_ns) {
    auto insert = session.prepare(
        "INSERT INTO users (name, created_real_ns) VALUES (?, ?) "
        "ON CONFLICT (name) DO NOTHING RETURNING id"
    );
    insert.bind_all(name, now_ns);
    std::int64_t id = 0;
    while (insert.step()) {
        id = insert.integer(0);
    }
    return id;
}

}  // namespace

User user_of(Session& session, const Caller& caller) {
    User user{0, caller.is_admin};
    auto row = session.prepare(
        "SELECT a.user_id, u.enabled FROM accounts a LEFT JOIN users u ON u.id = a.user_id "
        "WHERE a.id = ?"
    );
    row.bind(1, caller.account);
    if (row.step()) {
        user.id = row.is_null(0) ? 0 : row.integer(0);
        const bool is_disabled = !row.is_null(1) && row.integer(1) == 0;
        while (row.step()) {}
        if (is_disabled) {
            throw ApiFailure{403, "user_disabled", "this user is switched off"};
        }
    }
    return user;
}

void ensure_user(Session& session, const Caller& caller, User& user, std::int64_t now_ns) {
    if (user.id != 0) {
        return;
    }
    auto account = session.prepare("SELECT name FROM accounts WHERE id = ?");
    account.bind(1, caller.account);
    if (!account.step()) {
        throw ApiFailure{
            503, "account_not_ready", "the account has not reached the database yet: try again"};
    }
    const std::string name{account.text(0)};
    while (account.step()) {}
    user.id = insert_user(session, name, now_ns);
    if (user.id == 0) {
        // A user that others bind by hand may have the account's name; the id makes it one of a
        // kind.
        user.id = insert_user(session, name + "#" + std::to_string(caller.account), now_ns);
    }
    if (user.id == 0) {
        throw conflict("user_name_taken", "another user has the name of this account");
    }
    session.prepare("UPDATE accounts SET user_id = ? WHERE id = ? AND user_id IS NULL")
        .bind_all(user.id, caller.account)
        .run();
    expect_changed(session);
}

std::string get_settings(Session& session, const User& user) {
    return get_row(session, k_settings, {user.id, false}, user.id);
}

std::string
put_settings(Session& session, const User& user, const Json& body, std::int64_t now_ns) {
    static constexpr std::array<std::string_view, 1> k_members{"version"};
    auto columns = columns_of(k_settings, body, k_change, {}, k_members);
    const auto version = member(body, k_version_field);
    auto row = session.prepare("SELECT version FROM user_settings WHERE user_id = ?");
    row.bind(1, user.id);
    const std::int64_t current = row.step() ? row.integer(0) : 0;
    while (current != 0 && row.step()) {}
    if (version && *version != Bound{current}) {
        throw conflict(
            "version_conflict", "the settings have version " + std::to_string(current) + " by now"
        );
    }
    columns["updated_real_ns"] = now_ns;
    columns["version"] = current + 1;
    std::string names, marks, sets;
    std::vector<Bound> values;
    for (const auto& [column, value] : columns) {
        names.append(", ").append(column);
        marks.append(", ?");
        sets.append(sets.empty() ? "" : ", ").append(column).append(" = ?");
        values.push_back(value);
    }
    if (current == 0) {
        values.insert(values.begin(), user.id);
        auto insert = session.prepare(
            "INSERT INTO user_settings (user_id" + names + ") VALUES (?" + marks + ")"
        );
        bind_values(insert, values);
        insert.run();
    } else {
        values.emplace_back(user.id);
        values.emplace_back(current);
        auto update = session.prepare(
            "UPDATE user_settings SET " + sets + " WHERE user_id = ? AND version = ?"
        );
        bind_values(update, values);
        update.run();
        if (session.changes() == 0) {
            throw conflict("version_conflict", "the settings were changed at the same time");
        }
    }
    return get_settings(session, user);
}

std::string
check_license(Session& session, const User& user, Parameters& parameters, std::int64_t now_ns) {
    const std::string* const type = parameters.find("license_type");
    if (type == nullptr) {
        throw invalid("?license_type", "this parameter is missing");
    }
    const Bound value = value_of_parameter(session, license_type_field(), *type);
    parameters.finish();
    auto row = session.prepare(
        "SELECT end_real_ns FROM user_licenses "
        "WHERE is_active = 1 AND user_id = ? AND license_type = ? AND end_real_ns > ?"
    );
    bind_values(row, {user.id, value, now_ns});
    const bool licensed = row.step();
    std::string out{"{\"license_type\":"};
    append_json(out, *type);
    out.append(licensed ? ",\"licensed\":true" : ",\"licensed\":false").append(",\"end_us\":");
    const tenon_value end = licensed ? row.value(0) : null_value();
    append_value(out, {"end_us", "end_real_ns", Kind::time}, end, {}, {});
    return out.append("}");
}

std::string grant_license(Session& session, const Json& body, std::int64_t now_ns) {
    only(body, {"user_id", "license_type", "duration_days"});
    const std::int64_t user = integer_member(body, k_user_field);
    const std::string type = text_member(body, license_type_field());
    const auto days = member(body, k_days_field);
    expect_user(session, user);
    LicenseChange change{type, "grant", std::nullopt};
    if (days && std::holds_alternative<std::int64_t>(*days)) {
        change.days = std::get<std::int64_t>(*days);
    }
    return get_row(
        session, k_licenses, {user, false}, extend_license(session, user, change, now_ns)
    );
}

std::string
redeem_promo(Session& session, const User& user, const Json& body, std::int64_t now_ns) {
    only(body, {"code"});
    const std::string code = text_member(body, k_promo_codes.fields.front());
    const Promo promo = usable_promo(session, code, now_ns);
    auto redeemed =
        session.prepare("SELECT 1 FROM promo_redemptions WHERE promo_id = ? AND user_id = ?");
    redeemed.bind_all(promo.id, user.id);
    if (redeemed.step()) {
        throw conflict("promo_already_redeemed", "you have redeemed this promotion code already");
    }
    // The row decides who comes first, whatever was read before.
    session
        .prepare(
            "UPDATE promo_codes SET uses = uses + 1 "
            "WHERE id = ? AND is_active = 1 AND uses < uses_max"
        )
        .bind_all(promo.id)
        .run();
    if (session.changes() == 0) {
        throw conflict("promo_used_up", "this promotion code has no use left");
    }
    const std::int64_t license =
        extend_license(session, user.id, {promo.license_type, "promo", promo.days}, now_ns);
    session
        .prepare(
            "INSERT INTO promo_redemptions (promo_id, user_id, license_id, redeemed_real_ns) "
            "VALUES (?, ?, ?, ?)"
        )
        .bind_all(promo.id, user.id, license, now_ns)
        .run();
    return get_row(session, k_licenses, {user.id, false}, license);
}

std::string book_payment(Session& session, const Json& body, std::int64_t now_ns) {
    static constexpr std::array<std::string_view, 3> k_members{
        "user_id", "license_type", "duration_days"};
    const std::int64_t user = integer_member(body, k_user_field);
    const auto columns = columns_of(k_payments, body, k_create, {}, k_members);
    const auto type = member(body, license_type_field());
    const auto days = member(body, k_days_field);
    if (days && !type) {
        throw invalid("/license_type", "duration_days needs a license_type");
    }
    if (type && columns.at("kind") != Bound{std::string{"license"}}) {
        throw invalid("/license_type", "only a payment of the kind license extends a licence");
    }
    const std::string digest = digest_of(columns, body);
    expect_user(session, user);
    if (const auto before = booked_before(session, user, columns.at("idempotency_key"), digest)) {
        return get_row(session, k_payments, {user, false}, *before);
    }
    Extra extra;
    extra.members = k_members;
    extra.columns = {
        {"amount_scale", std::int64_t{k_amount_scale}},
        {"status", std::string{"booked"}},
        {"created_real_ns", now_ns},
        {"booked_real_ns", now_ns},
        {"request_sha256", digest}};
    if (type) {
        LicenseChange change{std::get<std::string>(*type), "payment", std::nullopt};
        if (days && std::holds_alternative<std::int64_t>(*days)) {
            change.days = std::get<std::int64_t>(*days);
        }
        extra.columns["license_id"] = extend_license(session, user, change, now_ns);
    }
    const std::int64_t id = insert_row(session, k_payments, user, body, extra);
    return get_row(session, k_payments, {user, false}, id);
}

}  // namespace tenon::records
