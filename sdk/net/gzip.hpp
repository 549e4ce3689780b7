// SPDX-License-Identifier: Apache-2.0
// gzip of the bodies of HTTP answers.
#pragma once

#include <memory>
#include <string>
#include <string_view>

struct z_stream_s;

namespace tenon::net {

// True when the value of Accept-Encoding allows gzip: "gzip;q=0" and "" do not, "*" does.
[[nodiscard]] bool accepts_gzip(std::string_view accept_encoding) noexcept;

// One thread's. Level 1: some 100 MB/s of text.
class Packer {
public:
    Packer();
    ~Packer();
    Packer(const Packer&) = delete;
    Packer& operator=(const Packer&) = delete;

    // Equal bodies give equal bytes. Empty when it would not be shorter, or is 4 GiB or more.
    [[nodiscard]] std::string pack(std::string_view body);

private:
    std::unique_ptr<z_stream_s> stream_;
};

}  // namespace tenon::net
