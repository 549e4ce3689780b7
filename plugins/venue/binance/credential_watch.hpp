// SPDX-License-Identifier: Apache-2.0
// Follows a credential that a user stores: looks at its row now and then, and hands on a signer
// when what it signs with has changed, or none when the row is gone. A row that is only sealed anew
// (a rotation of the master key) changes nothing. When it cannot be read or opened, the last one
// stays. look() is called on the blocking pool, never twice at a time.
#pragma once

#include "plugins/venue/binance/signer.hpp"

#include <tenon/exchange_credentials.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace tenon::binance_venue {

class CredentialWatch {
public:
    // Empty: there is none any more. May throw; then look() does, and the next one tells it again.
    using Deliver = std::function<void(std::shared_ptr<const Signer> signer)>;

    CredentialWatch(
        ExchangeCredentialName name,
        Storage storage,
        Service<tenon_secret_1> secrets,
        Deliver deliver
    )
        : name_{std::move(name)},
          storage_{storage},
          secrets_{secrets},
          deliver_{std::move(deliver)} {}

    // What is wrong with the credential, empty: nothing. Throws Error when the storage fails.
    [[nodiscard]] std::string look(std::int64_t deadline_ns);

private:
    ExchangeCredentialName name_;
    Storage storage_;
    Service<tenon_secret_1> secrets_;
    Deliver deliver_;
    std::optional<SealedExchangeCredential> known_;  // whose signer was delivered
    std::shared_ptr<const Signer> signer_;
};

}  // namespace tenon::binance_venue
