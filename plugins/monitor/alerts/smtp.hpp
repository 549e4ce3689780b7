// SPDX-License-Identifier: Apache-2.0
// One mail to a relay: SMTP (RFC 5321), plain, with TLS from the start (RFC 8314) or after STARTTLS
// (RFC 3207); AUTH PLAIN (RFC 4954) or LOGIN over TLS only.
//
// A client of one relay that accepts for delivery: no pipelining, no MX records. Where TLS is asked
// for nothing but EHLO is said without it, and what the relay offered before does not count. On one
// reactor; nothing blocks. A recipient that is refused does not keep the mail from the others.
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

struct RelayUrl : net::Url {
    bool starts_tls = false;  // by STARTTLS

    [[nodiscard]] bool is_sealed() const { return is_tls || starts_tls; }
};

// "smtp://host[:25]", "smtps://host[:465]" or "smtp+starttls://host[:587]". Throws Error
// TENON_INVALID.
[[nodiscard]] RelayUrl parse_relay(std::string_view text);
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
        std::vector<std::string> lines;
    };

    // Throws Error TENON_UNAVAILABLE for what is no reply.
    void add(std::string_view bytes);
    [[nodiscard]] Reply take();

    // Nothing was said beyond what was taken.
    [[nodiscard]] bool empty() const noexcept { return text_.empty(); }

private:
    std::string text_;
};

class SmtpSession final : public net::Stream::Events {
public:
    using Done = std::function<void(SendResult)>;

    // `message`: head and body, lines with CRLF, none that is a lone dot.
    SmtpSession(
        const net::Network& network,
        const RelayUrl& relay,
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
    enum class Step : std::uint8_t {
        greeting,
        hello,
        starttls,
        login,
        login_user,
        auth,
        from,
        to,
        data,
        message
    };

    void stream_open() override;
    void stream_data(std::string_view bytes) override;
    void stream_closed(const std::string& reason) override;
    void answered(const SmtpReplies::Reply& reply);
    void go_on();
    void go_on_after_hello(const SmtpReplies::Reply& reply);
    void authenticate(const SmtpReplies::Reply& reply);
    void say(Step next, const std::string& line);
    void finish(SendResult result);

    net::Network network_;
    RelayUrl relay_;
    Envelope envelope_;
    std::string message_;
    Done done_;
    Step step_ = Step::greeting;
    bool is_sealed_;                        // TLS is there
    std::size_t asked_ = 0, accepted_ = 0;  // recipients
    bool all_for_good_ = true;              // those that were not accepted
    std::string refusal_;                   // of the last of those
    SmtpReplies replies_;
    net::Timer timer_;
    std::shared_ptr<net::Stream> stream_;
};

}  // namespace tenon::alerts
