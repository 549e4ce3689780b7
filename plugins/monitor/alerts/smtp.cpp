// SPDX-License-Identifier: Apache-2.0
#include "plugins/monitor/alerts/smtp.hpp"

#include <algorithm>
#include <openssl/evp.h>
#include <utility>

namespace tenon::alerts {
namespace {

[[nodiscard]] unsigned expected_code(unsigned step) {
    constexpr unsigned k_codes[] = {220, 250, 220, 334, 334, 235, 250, 250, 354, 250};
    return k_codes[step];
}

[[nodiscard]] bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// What a server says may be anything: only what can be printed goes on.
[[nodiscard]] std::string printable(std::string_view text) {
    std::string out{text.substr(0, 200)};
    std::replace_if(
        out.begin(), out.end(), [](char c) { return c < ' ' || c > '~'; }, '?'
    );
    return out;
}

// A line of the reply to EHLO: "AUTH PLAIN LOGIN". Words in any case.
[[nodiscard]] bool
offers(const SmtpReplies::Reply& reply, std::string_view keyword, std::string_view word) {
    return std::any_of(reply.lines.begin(), reply.lines.end(), [&](std::string line) {
        std::transform(line.begin(), line.end(), line.begin(), [](char c) {
            return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
        });
        line.append(" ");
        return line.starts_with(std::string{keyword} + " ") &&
               line.find(" " + std::string{word} + (word.empty() ? "" : " ")) != std::string::npos;
    });
}

}  // namespace

RelayUrl parse_relay(std::string_view text) {
    const bool is_tls = text.starts_with("smtps://");
    const bool starts_tls = text.starts_with("smtp+starttls://");
    if (!is_tls && !starts_tls && !text.starts_with("smtp://")) {
        throw Error{
            TENON_INVALID, "relay: expected smtp://, smtps:// or smtp+starttls:// and host:port"};
    }
    const std::string place{text.substr(text.find("://"))};
    RelayUrl url{net::parse_url((is_tls ? "https" : "http") + place), starts_tls};
    if (url.path != "/") {
        throw Error{TENON_INVALID, "relay: expected no path"};
    }
    if (url.port == (is_tls ? "443" : "80") && !place.ends_with(":" + url.port)) {
        url.port = is_tls ? "465" : starts_tls ? "587" : "25";
    }
    return url;
}

void check_address(std::string_view address) {
    const std::size_t at = address.rfind('@');
    const bool bad = address.size() > 254 || at == std::string_view::npos || at == 0 ||
                     at + 1 == address.size() ||
                     std::any_of(address.begin(), address.end(), [](char c) {
                         return c <= ' ' || c > '~' || c == '<' || c == '>' || c == ',';
                     });
    if (bad) {
        throw Error{TENON_INVALID, "expected a mail address such as ops@example.org"};
    }
}

std::string base64(std::string_view bytes) {
    std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0');
    const void* const from = bytes.data();
    void* const to = out.data();
    const int size = EVP_EncodeBlock(
        static_cast<unsigned char*>(to),
        static_cast<const unsigned char*>(from),
        static_cast<int>(bytes.size())
    );
    out.resize(static_cast<std::size_t>(size));
    return out;
}

void SmtpReplies::add(std::string_view bytes) {
    if (text_.size() + bytes.size() > k_size_max) {
        throw Error{TENON_UNAVAILABLE, "the relay says too much"};
    }
    text_.append(bytes);
}

SmtpReplies::Reply SmtpReplies::take() {
    std::size_t at = 0;
    Reply reply;
    for (;;) {
        const std::size_t end = text_.find("\r\n", at);
        if (end == std::string::npos) {
            return {};
        }
        const std::string_view line = std::string_view{text_}.substr(at, end - at);
        if (line.size() < 3 || !std::all_of(line.begin(), line.begin() + 3, is_digit) ||
            (line.size() > 3 && line[3] != ' ' && line[3] != '-')) {
            throw Error{TENON_UNAVAILABLE, "the relay does not speak SMTP"};
        }
        at = end + 2;
        reply.lines.emplace_back(line.substr(std::min<std::size_t>(line.size(), 4)));
        if (line.size() > 3 && line[3] == '-') {
            continue;
        }
        for (const char digit : line.substr(0, 3)) {
            reply.code = reply.code * 10 + static_cast<unsigned>(digit - '0');
        }
        reply.text = reply.lines.back();
        text_.erase(0, at);
        return reply;
    }
}

SmtpSession::SmtpSession(
    const net::Network& network,
    const RelayUrl& relay,
    Envelope envelope,
    std::string message,
    Done done
)
    : network_{network},
      relay_{relay},
      envelope_{std::move(envelope)},
      message_{std::move(message)},
      done_{std::move(done)},
      is_sealed_{relay.is_tls},
      timer_{network.exec, [this] {
                 finish({SendResult::Kind::again, "the relay did not answer in time"});
             }} {}

SmtpSession::~SmtpSession() {
    if (stream_) {
        stream_->close();
    }
}

void SmtpSession::begin(std::int64_t deadline_ns) {
    timer_.at(deadline_ns);
    stream_ = net::Stream::connect(network_, relay_, *this);
}

// At first the relay speaks; after STARTTLS it is greeted anew.
void SmtpSession::stream_open() {
    if (step_ == Step::starttls) {
        is_sealed_ = true;
        say(Step::hello, "EHLO " + envelope_.hello);
    }
}

// Whatever ends the session may destroy it: nothing of it is touched afterwards. A relay speaks
// after us, so there is one reply at most.
void SmtpSession::stream_data(std::string_view bytes) {
    ErrorBuffer err;
    SmtpReplies::Reply reply;
    const tenon_status status = guard(&err, [&] {
        replies_.add(bytes);
        reply = replies_.take();
    });
    if (status != TENON_OK) {
        finish({SendResult::Kind::again, std::string{err.message()}});
    } else if (reply.code != 0) {
        answered(reply);
    }
}

void SmtpSession::stream_closed(const std::string& reason) {
    finish({SendResult::Kind::again, reason});
}

void SmtpSession::answered(const SmtpReplies::Reply& reply) {
    const std::string said =
        "the relay says " + std::to_string(reply.code) + " " + printable(reply.text);
    if (step_ == Step::to) {
        const bool is_accepted = reply.code == 250 || reply.code == 251;
        ++asked_;
        accepted_ += is_accepted ? 1 : 0;
        all_for_good_ = all_for_good_ && (is_accepted || reply.code >= 500);
        refusal_ = is_accepted ? refusal_ : said;
    } else if (reply.code != expected_code(static_cast<unsigned>(step_))) {
        // Before the mail was named it is not the mail that is refused.
        const bool is_the_mail = step_ >= Step::from;
        const bool for_good = is_the_mail && reply.code >= 500;
        finish({for_good ? SendResult::Kind::refused : SendResult::Kind::again, said});
        return;
    }
    if (step_ == Step::hello) {
        go_on_after_hello(reply);
    } else {
        go_on();
    }
}

void SmtpSession::go_on_after_hello(const SmtpReplies::Reply& reply) {
    if (relay_.starts_tls && !is_sealed_) {
        if (offers(reply, "STARTTLS", "")) {
            say(Step::starttls, "STARTTLS");
        } else {
            finish({SendResult::Kind::again, "the relay does not offer STARTTLS"});
        }
    } else if (envelope_.user.empty()) {
        step_ = Step::auth;
        go_on();
    } else {
        authenticate(reply);
    }
}

// PLAIN, which every relay has that keeps to the RFC, unless it offers LOGIN alone.
void SmtpSession::authenticate(const SmtpReplies::Reply& reply) {
    if (!is_sealed_) {
        finish({SendResult::Kind::again, "a password goes over TLS only"});
    } else if (offers(reply, "AUTH", "LOGIN") && !offers(reply, "AUTH", "PLAIN")) {
        say(Step::login, "AUTH LOGIN");
    } else {
        const std::string zero(1, '\0');
        say(Step::auth, "AUTH PLAIN " + base64(zero + envelope_.user + zero + envelope_.password));
    }
}

void SmtpSession::go_on() {
    switch (step_) {
        case Step::greeting:
            say(Step::hello, "EHLO " + envelope_.hello);
            return;
        case Step::hello:
            return;
        case Step::starttls:
            // What was smuggled in before TLS must not count as said under it.
            if (replies_.empty()) {
                stream_->start_tls();
            } else {
                finish({SendResult::Kind::again, "the relay says more than STARTTLS asks for"});
            }
            return;
        case Step::login:
            say(Step::login_user, base64(envelope_.user));
            return;
        case Step::login_user:
            say(Step::auth, base64(envelope_.password));
            return;
        case Step::auth:
            say(Step::from, "MAIL FROM:<" + envelope_.from + ">");
            return;
        case Step::from:
        case Step::to:
            if (asked_ < envelope_.to.size()) {
                say(Step::to, "RCPT TO:<" + envelope_.to[asked_] + ">");
            } else if (accepted_ > 0) {
                say(Step::data, "DATA");
            } else {
                finish(
                    {all_for_good_ ? SendResult::Kind::refused : SendResult::Kind::again, refusal_}
                );
            }
            return;
        case Step::data:
            say(Step::message, message_ + "\r\n.");
            return;
        case Step::message:
            stream_->write("QUIT\r\n");
            finish(
                {SendResult::Kind::sent,
                 refusal_.empty() ? ""
                                  : std::to_string(asked_ - accepted_) + " of " +
                                        std::to_string(asked_) + " recipients refused: " + refusal_}
            );
            return;
    }
}

void SmtpSession::say(Step next, const std::string& line) {
    step_ = next;
    stream_->write(line + "\r\n");
}

void SmtpSession::finish(SendResult result) {
    timer_.cancel();
    if (stream_) {
        stream_->close();
    }
    if (const Done done = std::exchange(done_, {})) {
        done(std::move(result));
    }
}

}  // namespace tenon::alerts
