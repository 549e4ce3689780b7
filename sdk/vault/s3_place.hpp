// SPDX-License-Identifier: Apache-2.0
// Objects of a bucket of an S3-compatible store, addressed by path, each request signed (Signature
// Version 4, with the checksum of what is uploaded). What may pass by itself -- a lost connection,
// 429, 500, 502, 503, 504 -- is tried again with growing waits; everything else is told with the
// store's own code and message.
#pragma once

#include "sdk/net/url.hpp"
#include "sdk/vault/https.hpp"
#include "sdk/vault/place.hpp"
#include "sdk/vault/s3_signature.hpp"

#include <tenon/backoff.hpp>

#include <functional>
#include <map>

namespace tenon::vault {

struct S3Options {
    net::Url url;  // of the store; its path is not used
    std::string bucket;
    std::string prefix;  // of all names; empty, or ends with '/'
    S3Credentials credentials;
    std::string ca_file;  // PEM of the authorities to trust instead of the system's
    std::int64_t timeout_ms = 30'000;
    unsigned attempts = 6;  // of each request
    BackoffOptions backoff{200'000'000, 10'000'000'000};
    std::uint64_t seed = 0;
    std::function<std::int64_t()> now_real_ns;
};

class S3Place final : public Place {
public:
    explicit S3Place(S3Options options);

    void put(const std::string& name, View bytes) override;
    [[nodiscard]] Bytes get(const std::string& name) override;
    [[nodiscard]] std::vector<Object> list(const std::string& prefix) override;
    [[nodiscard]] std::optional<std::uint64_t> size(const std::string& name) override;
    void remove(const std::string& name) override;
    [[nodiscard]] std::string where(const std::string& name) const override;

    // Of requests, since the start.
    [[nodiscard]] std::uint64_t retries() const noexcept { return retries_; }

private:
    using Query = std::map<std::string, std::string>;

    // The answer, also 404; throws for every other one that is not 2xx.
    [[nodiscard]] WireReply
    ask(const std::string& method, const std::string& name, View body, const Query& query);
    [[nodiscard]] WireReply
    ask_once(const std::string& method, const std::string& path, View body, const Query& query);

    S3Options options_;
    Wire wire_;
    Backoff backoff_;
    std::uint64_t retries_ = 0;
};

}  // namespace tenon::vault
