// SPDX-License-Identifier: Apache-2.0
// The plugin's settings, checked; and what is made of them.
#pragma once

#include "plugins/venue/binance/feed.hpp"
#include "plugins/venue/binance/rest.hpp"

#include <tenon/exchange_credentials.hpp>
#include <tenon/settings.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tenon::binance_venue {

struct BinanceSettings {
    // Throws Error TENON_INVALID. Relative paths start at `folder`.
    BinanceSettings(const Settings& settings, const std::string& folder);

    net::Url rest_url, stream_url, api_url;
    std::string ca_file, weights_file, throttle_limit;
    std::shared_ptr<const Signer> signer;  // empty: no secret reference
    std::optional<ExchangeCredentialName> credential;
    std::int64_t credential_check_ns;
    std::vector<std::string> symbols;
    std::int64_t share = 750;  // per mille
    std::size_t connections_max, queue_max;
    std::int64_t recv_window_ms, poll_ns, ping_ns, age_max_ns;
    std::string depth_limit;
    std::uint64_t fill_max;
    std::string order_tag;

    // A credential is set, or one that users store is named.
    [[nodiscard]] bool trades() const noexcept { return signer || credential; }

    std::int64_t order_timeout_ns, absence_margin_ms, compare_ns, balances_ns;
};

// The exchange's own description, GET /api/v3/exchangeInfo.
struct ExchangeInfo {
    std::vector<PublishedLimit> limits;
    // What does not fit what is listed here; empty: everything does.
    std::string trouble;
};

// `symbols` in capitals with the finest scales that they may have here. Throws Error TENON_CORRUPT.
[[nodiscard]] ExchangeInfo
read_exchange_info(std::string_view text, const std::vector<FeedSymbol>& symbols);

}  // namespace tenon::binance_venue
