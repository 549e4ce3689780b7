// SPDX-License-Identifier: Apache-2.0
// Settings of where alerts are told, and the outbox made of them.
#pragma once

#include "plugins/monitor/alerts/mail.hpp"
#include "plugins/monitor/alerts/webhook.hpp"

#include <tenon/settings.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tenon::alerts {

struct DeliverySettings {
    struct Hook {
        explicit Hook(const Settings& json);

        std::string name;
        net::Url url;
        std::string secret;
        Severity least;
    };

    struct Post {
        RelayUrl relay;
        Envelope envelope;
        Severity least;
    };

    // Throws Error TENON_INVALID that names the place; never with a secret.
    explicit DeliverySettings(const Settings& json);

    [[nodiscard]] bool needs_tls() const;
    // Of all targets.
    [[nodiscard]] std::vector<std::string> names() const;

    std::string server;  // as people know it
    std::string ca_file;
    GroupingOptions grouping;
    std::vector<Hook> hooks;
    std::optional<Post> mail;
};

// The outbox with its connections. Made, used and destroyed on one reactor.
class Delivery {
public:
    Delivery(
        const Host& host,
        const DeliverySettings& settings,
        std::shared_ptr<const net::TlsContext> tls,
        Outbox::Tell tell
    );

    [[nodiscard]] Outbox& outbox() noexcept { return outbox_; }

private:
    net::Exec exec_;
    net::Resolver resolver_;
    Outbox outbox_;
};

}  // namespace tenon::alerts
