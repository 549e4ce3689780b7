// SPDX-License-Identifier: Apache-2.0
// One mail to a relay: SMTP (RFC 5321), plain or with TLS from the start (RFC 8314), AUTH PLAIN
// (RFC 4954) over TLS only.
//
// A client of one relay that accepts for delivery: no STARTTLS, no pipelining, no MX records. On
// one reactor; nothing blocks. A recipient that is refused does not
// keep the mail from the others.
#pragma once

#include "plugins/monitor/alerts/outbox.hpp"
#include "sdk/net/stream.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::alerts {

// "smtp://host[:25]" or "smtps://host[:465]". Throws Error TENON_INVALID.
[[nodiscard]] net::Url parse_relay(std::string_view text);
// Throws Error TENON_INVALID for what is not local@domain of printable ASCII without brackets.
void check_address(std::string_view address);
[[nodiscard]] std::string base64(std::string_view bytes);

struct Envelope {
    std::string hello;           // our name, for EHLO
    std::string user, password;  // empty: no AUTH
    std::string from;
    std::vector<std::string> to;
};

// What was said to us so far: replies of one or several lines.
class SmtpReplies {
public:
    static constexpr std::size_t k_size_max = 16'384;

    struct Reply {
        unsigned code = 0;  // 0: nothing whole is there
        std::string text;   // of the last line
    };

    // Throws Error TENON_UNAVAILABLE for what is no reply.
    void add(std::string_view bytes);
    [[nodiscard]] Reply take();

private:
    std::string text_;
};

class SmtpSession final : public net::Stream::Events {
public:
    using Done = std::function<void(SendResult)>;

    // `message`: head and body, lines with CRLF, none that is a lone dot.
    SmtpSession(
        const net::Network& network,
        const net::Url& relay,
        Envelope envelope,
        std::string message,
        Done done
    );
    ~SmtpSession();
    SmtpSession(const SmtpSession&) = delete;
    SmtpSession& operator=(const SmtpSession&) = delete;

    // Once; calls `done` by then. It may destroy the session.
    void begin(std::int64_t deadline_ns);

private:
    enum class Step : std::uint8_t { greeting, hello, auth, from, to, data, message };

    void stream_open() override {}

    void stream_data(std::string_view bytes) override;
    void stream_closed(const std::string& reason) override;
    void answered(const SmtpReplies::Reply& reply);
    void go_on();
    void say(Step next, const std::string& line);
    void finish(SendResult result);

    net::Network network_;
    net::Url relay_;
    Envelope envelope_;
    std::string message_;
    Done done_;
    Step step_ = Step::greeting;
    std::size_t asked_ = 0, accepted_ = 0;  // recipients
    bool all_for_good_ = true;              // those that were not accepted
    std::string refusal_;                   // of the last of those
    SmtpReplies replies_;
    net::Timer timer_;
    std::shared_ptr<net::Stream> stream_;
};

}  // namespace tenon::alerts
