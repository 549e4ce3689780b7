// SPDX-License-Identifier: Apache-2.0
// Keys of exchanges as users store them (the table exchange_credentials), for plugins that trade
// with one. Storing and rotating them is the records' and the operators' work, not this header's.
//
//   const auto row = tenon::find_exchange_credential(session, {"demo", "binance", "main"});
//   if (row) {
//       tenon::ExchangeCredential open = tenon::open_exchange_credential(secrets, *row);
//       … use it; it is wiped when it goes
//   }
//
// A value is sealed for its row, user, exchange and column, so that one that is moved does not
// open. Failures name the row, never a value. Threads: functions of their arguments; a look-up is
// SQL and belongs on the blocking pool.
#pragma once

#include <tenon/storage.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace tenon {

// What a value of the row is sealed for. Sizes go first, so that no exchange looks like another
// place.
[[nodiscard]] inline std::string exchange_credential_context(
    std::int64_t user,
    std::int64_t id,
    std::string_view exchange,
    std::string_view column
) {
    return "exchange_credentials:" + std::to_string(user) + ":" + std::to_string(id) + ":" +
           std::to_string(exchange.size()) + ":" + std::string{exchange} + ":" +
           std::string{column};
}

struct ExchangeCredentialName {
    std::string account;   // of the user who stored it
    std::string exchange;  // as it was stored, "binance"
    std::string label;
};

// A row as it is kept.
struct SealedExchangeCredential {
    std::int64_t id = 0, user = 0;
    std::string exchange, api_key, secret;  // key and secret sealed

    friend bool operator==(const SealedExchangeCredential&, const SealedExchangeCredential&) =
        default;
};

// Overwrites what it held when it goes. Not copied.
struct ExchangeCredential {
    ExchangeCredential() = default;
    ExchangeCredential(ExchangeCredential&&) = default;
    ExchangeCredential& operator=(ExchangeCredential&&) = delete;

    ~ExchangeCredential() {
        for (std::string* const text : {&api_key, &secret}) {
            volatile char* const at = text->data();
            for (std::size_t i = 0; i < text->size(); ++i) {
                at[i] = '\0';
            }
        }
    }

    std::string api_key, secret;
};

// Nothing: there is none of that name, its account has no user, or the user is disabled. Throws
// StorageError.
[[nodiscard]] inline std::optional<SealedExchangeCredential>
find_exchange_credential(Session& session, const ExchangeCredentialName& name) {
    auto row = session.prepare(
        "SELECT c.id, c.user_id, c.exchange, c.api_key_sealed, c.secret_sealed "
        "FROM accounts a JOIN users u ON u.id = a.user_id "
        "JOIN exchange_credentials c ON c.user_id = u.id "
        "WHERE a.name = ? AND u.enabled = 1 AND c.exchange = ? AND c.label = ?"
    );
    row.bind_all(name.account, name.exchange, name.label);
    if (!row.step()) {
        return std::nullopt;
    }
    SealedExchangeCredential out{
        row.integer(0),
        row.integer(1),
        std::string{row.text(2)},
        std::string{row.blob(3)},
        std::string{row.blob(4)}};
    while (row.step()) {}
    return out;
}

// Throws Error: a value does not open (another master key, or it was moved).
[[nodiscard]] inline ExchangeCredential open_exchange_credential(
    const Service<tenon_secret_1>& secrets,
    const SealedExchangeCredential& row
) {
    const auto open = [&](std::string_view column, const std::string& sealed, std::string& plain) {
        StringSink opened;
        opened.text().reserve(sealed.size());  // grows, and leaves copies behind, never
        ErrorBuffer err;
        const std::string context =
            exchange_credential_context(row.user, row.id, row.exchange, column);
        const tenon_status status =
            secrets->open(secrets.self, str(context), bytes(sealed), opened.sink(), &err);
        if (status != TENON_OK) {
            throw Error{
                status,
                "credential " + std::to_string(row.id) + ", " + std::string{column} + ": " +
                    std::string{err.message()}};
        }
        plain = std::move(opened.text());
    };
    ExchangeCredential out;
    open("api_key_sealed", row.api_key, out.api_key);
    open("secret_sealed", row.secret, out.secret);
    return out;
}

}  // namespace tenon
