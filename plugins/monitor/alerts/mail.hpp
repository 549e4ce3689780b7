// SPDX-License-Identifier: Apache-2.0
// Notices as mail through a relay: plain text, its Message-ID the notice's, so that a second
// delivery of the same one can be told.
#pragma once

#include "plugins/monitor/alerts/smtp.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace tenon::alerts {

// RFC 5322: head and body, lines with CRLF; the body in base64.
[[nodiscard]] std::string
mail_of(const Notice& notice, const Envelope& envelope, std::int64_t at_real_ns);

class Mail final : public Channel {
public:
    Mail(
        const net::Network& network,
        RelayUrl relay,
        Envelope envelope,
        Service<tenon_clock_1> clock
    );

    void send(std::shared_ptr<const Notice> notice, std::int64_t deadline_ns, Done done) override;

private:
    net::Network network_;
    RelayUrl relay_;
    Envelope envelope_;
    Service<tenon_clock_1> clock_;
    std::unique_ptr<SmtpSession> session_;
};

}  // namespace tenon::alerts
