// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/records/failure.hpp"

#include <tenon/json.hpp>
#include <tenon/storage.hpp>

#include <algorithm>
#include <array>

namespace tenon::records {
namespace {

[[nodiscard]] bool is_name(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
}

[[nodiscard]] std::string name_after(std::string_view message, std::string_view mark) {
    const std::size_t at = message.find(mark);
    if (at == std::string_view::npos) {
        return {};
    }
    message.remove_prefix(at + mark.size());
    const auto* const end = std::find_if_not(message.begin(), message.end(), is_name);
    return {message.begin(), end};
}

// SQLite tells a broken uniqueness by its columns, PostgreSQL by its name; a client gets the name.
struct Uniqueness {
    std::string_view columns, name;
};

constexpr std::array k_unique{
    Uniqueness{"model_registry.name, model_registry.version", "model_version_is_unique"},
    Uniqueness{"model_registry.name", "model_registry_active"},
    Uniqueness{"user_licenses.user_id, user_licenses.license_type", "user_licenses_one_active"},
    Uniqueness{"promo_codes.code", "promo_code_is_unique"},
    Uniqueness{
        "promo_redemptions.promo_id, promo_redemptions.user_id",
        "promo_is_redeemed_once_per_user"},
    Uniqueness{"payments.user_id, payments.idempotency_key", "payment_is_booked_once"},
    Uniqueness{"payments.provider, payments.provider_reference", "payments_provider_reference"},
    Uniqueness{
        "predictions.model_id, predictions.instrument, predictions.made_real_ns, "
        "predictions.due_real_ns",
        "prediction_is_made_once"},
    Uniqueness{"news_items.source, news_items.external_id", "news_is_kept_once"},
    Uniqueness{
        "exchange_credentials.user_id, exchange_credentials.exchange, exchange_credentials.label",
        "credential_is_unique"}};

// "CHECK constraint failed: NAME", "UNIQUE constraint failed: table.column, …", or PostgreSQL's
// `… constraint "NAME"`. Empty for a reference to a row that is not there, which SQLite does not
// name.
[[nodiscard]] std::string rule_of(std::string_view message) {
    constexpr std::string_view k_columns = "UNIQUE constraint failed: ";
    if (const std::size_t at = message.find(k_columns); at != std::string_view::npos) {
        const std::string_view columns = message.substr(at + k_columns.size());
        const Uniqueness* best = nullptr;
        for (const Uniqueness& rule : k_unique) {
            if (columns.starts_with(rule.columns) &&
                (best == nullptr || rule.columns.size() > best->columns.size())) {
                best = &rule;
            }
        }
        return best != nullptr ? std::string{best->name} : std::string{};
    }
    for (const std::string_view mark : {"constraint failed: ", "constraint \""}) {
        std::string name = name_after(message, mark);
        if (!name.empty()) {
            return name.ends_with("_fkey") ? std::string{} : name;
        }
    }
    return {};
}

}  // namespace

ApiFailure::ApiFailure(
    std::uint32_t http_status,
    std::string code,
    std::string message,
    std::string where
)
    : http_status_{http_status},
      code_{std::move(code)},
      message_{std::move(message)},
      where_{std::move(where)} {}

std::string ApiFailure::body() const {
    std::string out{"{\"error\":{\"code\":"};
    append_json(out, code_);
    out.append(",\"message\":");
    append_json(out, message_);
    out.append(",\"pointer\":");
    append_json(out, where_);
    out.append("}}");
    return out;
}

ApiFailure invalid(std::string_view where, std::string message) {
    return {400, "invalid", std::move(message), std::string{where}};
}

ApiFailure not_found(std::string_view what) {
    return {404, "not_found", "there is no such " + std::string{what}};
}

ApiFailure conflict(std::string code, std::string message) {
    return {409, std::move(code), std::move(message)};
}

ApiFailure failure_of_storage(const std::exception& error) {
    const auto* const storage = dynamic_cast<const StorageError*>(&error);
    if (storage == nullptr) {
        return {500, "internal", "the request failed inside the server"};
    }
    if (storage->failure() == Failure::constraint || storage->code() == TENON_CONFLICT) {
        const std::string rule = rule_of(storage->what());
        return {
            409,
            "rule_broken",
            rule.empty() ? "the rows that are there do not allow it"
                         : "this breaks the rule " + rule};
    }
    if (storage->failure() == Failure::in_doubt) {
        return {503, "in_doubt", "the outcome is not known: ask for the row before trying again"};
    }
    if (storage->retryable() || storage->code() == TENON_UNAVAILABLE ||
        storage->code() == TENON_TIMEOUT) {
        return {503, "database_unavailable", "the database does not answer now: try again later"};
    }
    return {500, "internal", "the database refused the server's statement"};
}

}  // namespace tenon::records
