// SPDX-License-Identifier: Apache-2.0
// AWS Signature Version 4 of one request, signed in its header:
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace tenon::vault {

struct S3Credentials {
    std::string region;
    std::string access_key_id;
    std::string secret_access_key;
};

struct S3Request {
    std::string method;
    std::string host;                          // as in the Host header
    std::string path;                          // not encoded; begins with '/'
    std::map<std::string, std::string> query;  // not encoded
    std::string payload_sha256;                // in hexadecimal digits
};

struct S3Signature {
    std::string target;         // path and query as they are sent
    std::string date;           // x-amz-date
    std::string authorization;  // the header's value
};

[[nodiscard]] S3Signature
sign(const S3Request& request, const S3Credentials& credentials, std::int64_t now_real_ns);

// RFC 3986: everything but unreserved characters, and slashes if so wanted, as %XX.
[[nodiscard]] std::string percent_encode(std::string_view text, bool keeps_slash);

}  // namespace tenon::vault
