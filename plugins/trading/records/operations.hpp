// SPDX-License-Identifier: Apache-2.0
// What is more than reading and writing a row: the caller's user, settings, licences, the
// redemption of promotion codes, the booking of payments. Each runs in one transaction that the
// caller opened; a failure leaves nothing behind.
#pragma once

#include "plugins/trading/records/store.hpp"

#include <string>

namespace tenon::records {

// The user of the calling account. The id is 0 for an account that has no user yet: it owns no
// rows. 403 for a user that is switched off.
[[nodiscard]] User user_of(Session& session, const Caller& caller);

// Gives an account without a user a new one, with an id that the database chose and a name after
// the account's. 503 when the account is not in the database yet.
void ensure_user(Session& session, const Caller& caller, User& user, std::int64_t now_ns);

[[nodiscard]] std::string get_settings(Session& session, const User& user);
// Sets what the body names. With "version" the change is refused (409) when the settings have
// another one by now.
[[nodiscard]] std::string
put_settings(Session& session, const User& user, const Json& body, std::int64_t now_ns);

// {"license_type","licensed","end_us"} for ?license_type=….
[[nodiscard]] std::string
check_license(Session& session, const User& user, Parameters& parameters, std::int64_t now_ns);

// An administrator's grant: {"user_id","license_type","duration_days"}; no duration: without end.
[[nodiscard]] std::string grant_license(Session& session, const Json& body, std::int64_t now_ns);

// {"code"}: counts the use, extends the licence, once for each user. 404, 409.
[[nodiscard]] std::string
redeem_promo(Session& session, const User& user, const Json& body, std::int64_t now_ns);

// Books a payment of {"user_id"} once for its idempotency key; one of the kind license with
// "license_type" and "duration_days" extends the licence in the same transaction. The same key with
// the same content gives the same answer again, with another content 409.
[[nodiscard]] std::string book_payment(Session& session, const Json& body, std::int64_t now_ns);

}  // namespace tenon::records
