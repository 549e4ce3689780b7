// SPDX-License-Identifier: Apache-2.0
// Notices as JSON by POST to a URL.
//
// Headers: X-Tenon-Id, the notice's, the same for each attempt; X-Tenon-Timestamp, seconds since
// the epoch of this attempt; with a secret X-Tenon-Signature: v1=HEX of the HMAC-SHA256 (RFC 2104)
// over "TIMESTAMP.BODY". Any 2xx is delivered; 408, 425, 429, 5xx and no answer are tried again,
// and a Retry-After in seconds is kept to (five minutes at most); any other answer is final. No
// redirects.
#pragma once

#include "plugins/monitor/alerts/outbox.hpp"
#include "sdk/net/http_client.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace tenon::alerts {

// Lower-case hexadecimal.
[[nodiscard]] std::string hmac_sha256(std::string_view secret, std::string_view text);
[[nodiscard]] std::string sha256(std::string_view text);

struct WebhookOptions {
    net::Url url;
    std::string secret;  // empty: not signed
    Service<tenon_clock_1> clock;
    std::uint64_t seed = 0;
};

class Webhook final : public Channel {
public:
    Webhook(const net::Network& network, WebhookOptions options);
    ~Webhook() override;

    void send(std::shared_ptr<const Notice> notice, std::int64_t deadline_ns, Done done) override;

private:
    WebhookOptions options_;
    std::shared_ptr<int> alive_ = std::make_shared<int>(0);  // a closing client answers as well
    net::HttpClient client_;
};

}  // namespace tenon::alerts
