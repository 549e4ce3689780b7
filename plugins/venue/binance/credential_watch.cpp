// SPDX-License-Identifier: Apache-2.0
#include "plugins/venue/binance/credential_watch.hpp"

#include <utility>

namespace tenon::binance_venue {
namespace {

// Both kinds of signatures are the same for the same key and text.
[[nodiscard]] bool sign_alike(const Signer& one, const Signer& other) {
    return one.api_key() == other.api_key() && one.sign("same") == other.sign("same");
}

}  // namespace

std::string CredentialWatch::look(std::int64_t deadline_ns) {
    std::optional<SealedExchangeCredential> row;
    storage_.read(deadline_ns, [&](Session& session) {
        row = find_exchange_credential(session, name_);
    });
    if (!row) {
        if (signer_) {
            deliver_(nullptr);
        }
        signer_.reset();
        known_.reset();
        return "there is no credential " + name_.label + " of " + name_.account + " for " +
               name_.exchange;
    }
    if (row == known_) {
        return {};
    }
    try {
        ExchangeCredential open = open_exchange_credential(secrets_, *row);
        auto signer =
            std::make_shared<const Signer>(std::move(open.api_key), std::move(open.secret));
        if (!signer_ || !sign_alike(*signer_, *signer)) {
            deliver_(signer);
            signer_ = std::move(signer);
        }
    } catch (const Error& e) {
        return e.what();
    }
    known_ = std::move(row);
    return {};
}

}  // namespace tenon::binance_venue
