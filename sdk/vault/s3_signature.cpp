// SPDX-License-Identifier: Apache-2.0
#include "sdk/vault/s3_signature.hpp"

#include "sdk/capture/format.hpp"

#include <ctime>
#include <openssl/evp.h>
#include <openssl/hmac.h>

namespace tenon::vault {
namespace {

std::string hmac(std::string_view key, std::string_view text) {
    std::string out(32, '\0');
    unsigned int length = 0;
    if (HMAC(
            EVP_sha256(),
            key.data(),
            static_cast<int>(key.size()),
            reinterpret_cast<const unsigned char*>(text.data()),
            text.size(),
            reinterpret_cast<unsigned char*>(out.data()),
            &length
        ) == nullptr) {
        throw Error{TENON_UNAVAILABLE, "OpenSSL has no HMAC-SHA256"};
    }
    return out;
}

capture::View view_of(std::string_view text) noexcept {
    return {reinterpret_cast<const unsigned char*>(text.data()), text.size()};
}

}  // namespace

std::string percent_encode(std::string_view text, bool keeps_slash) {
    constexpr std::string_view k_digits = "0123456789ABCDEF";
    std::string out;
    for (const char c : text) {
        const bool is_plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
                              (c >= 'a' && c <= 'z') || c == '-' || c == '.' || c == '_' ||
                              c == '~' || (c == '/' && keeps_slash);
        if (is_plain) {
            out += c;
            continue;
        }
        const auto byte = static_cast<unsigned char>(c);
        out += '%';
        out += k_digits[byte >> 4U];
        out += k_digits[byte & 15U];
    }
    return out;
}

S3Signature
sign(const S3Request& request, const S3Credentials& credentials, std::int64_t now_real_ns) {
    const std::time_t seconds = now_real_ns / 1'000'000'000;
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    char text[32];
    (void)std::strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &parts);
    S3Signature made;
    made.date = text;
    const std::string day = made.date.substr(0, 8);
    const std::string path = percent_encode(request.path, true);
    std::string query;
    for (const auto& [name, value] : request.query) {
        query += query.empty() ? "" : "&";
        query += percent_encode(name, false) + "=" + percent_encode(value, false);
    }
    made.target = path + (query.empty() ? "" : "?" + query);
    constexpr std::string_view k_signed = "host;x-amz-content-sha256;x-amz-date";
    const std::string canonical =
        request.method + "\n" + path + "\n" + query + "\nhost:" + request.host +
        "\nx-amz-content-sha256:" + request.payload_sha256 + "\nx-amz-date:" + made.date + "\n\n" +
        std::string{k_signed} + "\n" + request.payload_sha256;
    const std::string scope = day + "/" + credentials.region + "/s3/aws4_request";
    const std::string to_sign = "AWS4-HMAC-SHA256\n" + made.date + "\n" + scope + "\n" +
                                capture::hex_of(capture::hash_of(view_of(canonical)));
    std::string key = hmac("AWS4" + credentials.secret_access_key, day);
    for (const std::string_view step :
         {std::string_view{credentials.region},
          std::string_view{"s3"},
          std::string_view{"aws4_request"}}) {
        key = hmac(key, step);
    }
    made.authorization = "AWS4-HMAC-SHA256 Credential=" + credentials.access_key_id + "/" + scope +
                         ",SignedHeaders=" + std::string{k_signed} +
                         ",Signature=" + capture::hex_of(view_of(hmac(key, to_sign)));
    return made;
}

}  // namespace tenon::vault
