// SPDX-License-Identifier: Apache-2.0
// Keys of exchanges: taken in, sealed, never shown again.
//
// Each value is sealed for its row, user, exchange and column, so that one that is moved does not
// open. Functions that change rows run in a write transaction that the caller opened; a failure
// leaves nothing behind. Failures name members and rows, never a value.
#pragma once

#include "plugins/trading/records/store.hpp"

#include <tenon/reseal.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tenon::records {

// The members that hold secrets, in the order of their columns.
inline constexpr std::size_t k_secret_count = 3;
[[nodiscard]] std::span<const Field, k_secret_count> secret_fields() noexcept;

using Secrets = Service<tenon_secret_1>;

// {"exchange","label","api_key","secret","passphrase"?}: the row as JSON, without secrets.
[[nodiscard]] std::string store_credential(
    Session& session,
    const Secrets& secrets,
    const User& user,
    const Json& body,
    std::int64_t now_ns
);

// {"api_key","secret","passphrase"?} in place of those that are there. 404.
[[nodiscard]] std::string replace_credential(
    Session& session,
    const Secrets& secrets,
    const User& user,
    std::int64_t id,
    const Json& body,
    std::int64_t now_ns
);

// {"id","deleted":true}. 404.
[[nodiscard]] std::string delete_credential(Session& session, const User& user, std::int64_t id);

struct OpenCredential {
    std::string exchange, api_key, secret;
    std::optional<std::string> passphrase;
};

// For whoever trades with it; wipe it afterwards. Throws ApiFailure 404; Error when a value does
// not open, with the credential's id.
[[nodiscard]] OpenCredential
open_credential(Session& session, const Secrets& secrets, const User& user, std::int64_t id);
void wipe(OpenCredential& credential) noexcept;

// A batch of a rotation of the master key (tenon/reseal.hpp).
[[nodiscard]] ResealAnswer
reseal_credentials(Session& session, const Secrets& secrets, const ResealRequest& request);

// The same walk over all of them, only to see whether each opens: {"checked","unreadable","next"}.
[[nodiscard]] std::string
check_credentials(Session& session, const Secrets& secrets, const ResealRequest& request);

}  // namespace tenon::records
