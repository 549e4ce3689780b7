// SPDX-License-Identifier: Apache-2.0
#include "plugins/monitor/alerts/mail.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <string_view>
#include <utility>

namespace tenon::alerts {
namespace {

// RFC 5322, 3.3; strftime's names of days would follow the locale.
std::string date_of(std::int64_t at_real_ns) {
    constexpr std::array<const char*, 7> k_days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    constexpr std::array<const char*, 12> k_months{
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const std::time_t at_s = at_real_ns / 1'000'000'000;
    std::tm time{};
    (void)::gmtime_r(&at_s, &time);
    std::array<char, 64> text{};
    (void)std::snprintf(
        text.data(),
        text.size(),
        "%s, %02d %s %04d %02d:%02d:%02d +0000",
        k_days[static_cast<std::size_t>(time.tm_wday)],
        time.tm_mday,
        k_months[static_cast<std::size_t>(time.tm_mon)],
        time.tm_year + 1900,
        time.tm_hour,
        time.tm_min,
        time.tm_sec
    );
    return text.data();
}

// A head's line holds nothing that could begin another one.
std::string one_line(std::string_view text) {
    std::string out{text};
    std::replace_if(
        out.begin(), out.end(), [](char c) { return c < ' ' || c > '~'; }, '?'
    );
    return out;
}

}  // namespace

std::string mail_of(const Notice& notice, const Envelope& envelope, std::int64_t at_real_ns) {
    std::string out = "From: <" + envelope.from + ">\r\nTo: ";
    for (const std::string& to : envelope.to) {
        out.append(&to == &envelope.to.front() ? "<" : ",\r\n <").append(to).append(">");
    }
    out.append("\r\nSubject: ").append(one_line(subject_of(notice)));
    out.append("\r\nDate: ").append(date_of(at_real_ns));
    out.append("\r\nMessage-ID: <").append(notice.id).append("@").append(envelope.hello);
    out.append(
        ">\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: base64\r\n\r\n"
    );
    constexpr std::size_t k_line = 76;
    const std::string body = base64(text_of(notice));
    for (std::size_t at = 0; at < body.size(); at += k_line) {
        out.append(at == 0 ? "" : "\r\n").append(body, at, k_line);
    }
    return out;
}

Mail::Mail(
    const net::Network& network,
    RelayUrl relay,
    Envelope envelope,
    Service<tenon_clock_1> clock
)
    : network_{network}, relay_{std::move(relay)}, envelope_{std::move(envelope)}, clock_{clock} {}

void Mail::send(std::shared_ptr<const Notice> notice, std::int64_t deadline_ns, Done done) {
    // The session before this one has ended; it could not go while it called back.
    session_ = std::make_unique<SmtpSession>(
        network_,
        relay_,
        envelope_,
        mail_of(*notice, envelope_, clock_->now_real_ns(clock_.self)),
        std::move(done)
    );
    session_->begin(deadline_ns);
}

}  // namespace tenon::alerts
