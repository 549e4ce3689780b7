// SPDX-License-Identifier: Apache-2.0
#include "plugins/monitor/alerts/webhook.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <utility>

namespace tenon::alerts {
namespace {

constexpr std::int64_t k_s = 1'000'000'000;
constexpr std::int64_t k_retry_after_max_s = 300;

[[nodiscard]] const unsigned char* raw(std::string_view text) noexcept {
    const void* const bytes = text.data();
    return static_cast<const unsigned char*>(bytes);
}

[[nodiscard]] std::string hex(const unsigned char* bytes, std::size_t size) {
    constexpr std::string_view k_digits = "0123456789abcdef";
    std::string out;
    for (std::size_t i = 0; i < size; ++i) {
        out.push_back(k_digits[bytes[i] >> 4U]);
        out.push_back(k_digits[bytes[i] & 0x0FU]);
    }
    return out;
}

net::HttpClientOptions client_options(const WebhookOptions& options) {
    net::HttpClientOptions out;
    out.url = options.url;
    out.connections_max = 1;
    out.waiting_max = 1;
    out.body_max = 65'536;  // of an answer that nobody reads
    out.seed = options.seed;
    return out;
}

SendResult result_of(const net::HttpReply& reply) {
    if (reply.outcome != net::HttpOutcome::answered) {
        return {SendResult::Kind::again, reply.reason};
    }
    if (reply.status >= 200 && reply.status < 300) {
        return {SendResult::Kind::sent, {}};
    }
    SendResult result{SendResult::Kind::refused, "HTTP " + std::to_string(reply.status)};
    const std::array<unsigned, 3> passing{408, 425, 429};
    if (reply.status >= 500 ||
        std::find(passing.begin(), passing.end(), reply.status) != passing.end()) {
        result.kind = SendResult::Kind::again;
        const std::string_view after = reply.header("retry-after");
        std::int64_t seconds = 0;
        (void)std::from_chars(after.data(), after.data() + after.size(), seconds);
        result.retry_after_ns = std::clamp<std::int64_t>(seconds, 0, k_retry_after_max_s) * k_s;
    }
    return result;
}

}  // namespace

std::string hmac_sha256(std::string_view secret, std::string_view text) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> mac{};
    unsigned size = 0;
    if (HMAC(
            EVP_sha256(),
            secret.data(),
            static_cast<int>(secret.size()),
            raw(text),
            text.size(),
            mac.data(),
            &size
        ) == nullptr) {
        throw Error{TENON_INTERNAL, "HMAC-SHA256 failed"};
    }
    return hex(mac.data(), size);
}

std::string sha256(std::string_view text) {
    std::array<unsigned char, SHA256_DIGEST_LENGTH> sum{};
    SHA256(raw(text), text.size(), sum.data());
    return hex(sum.data(), sum.size());
}

Webhook::Webhook(const net::Network& network, WebhookOptions options)
    : options_{std::move(options)}, client_{network, client_options(options_)} {}

Webhook::~Webhook() {
    alive_.reset();
}

void Webhook::send(std::shared_ptr<const Notice> notice, std::int64_t deadline_ns, Done done) {
    net::HttpRequest request;
    request.method = "POST";
    request.target = options_.url.path;
    request.deadline_ns = deadline_ns;
    request.body = json_of(*notice);
    const std::int64_t at_s = options_.clock->now_real_ns(options_.clock.self) / k_s;
    const std::string stamp = std::to_string(at_s);
    request.headers = {
        {"Content-Type", "application/json"},
        {"X-Tenon-Id", notice->id},
        {"X-Tenon-Timestamp", stamp}};
    if (!options_.secret.empty()) {
        request.headers.emplace_back(
            "X-Tenon-Signature", "v1=" + hmac_sha256(options_.secret, stamp + "." + request.body)
        );
    }
    client_.send(
        std::move(request),
        [this, weak = std::weak_ptr{alive_}, done = std::move(done)](const net::HttpReply& reply) {
            if (!weak.expired()) {
                SendResult result = result_of(reply);
                if (reply.outcome == net::HttpOutcome::not_sent && !client_.trouble().empty()) {
                    result.reason = client_.trouble();
                }
                done(std::move(result));
            }
        }
    );
}

}  // namespace tenon::alerts
