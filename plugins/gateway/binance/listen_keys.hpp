// SPDX-License-Identifier: Apache-2.0
// Listen keys: random names under which old clients follow an account without a signature
// (user-data-stream.md before 2026). One for each API key; valid for 60 minutes after it was asked
// for or kept alive. Not kept over a restart: clients ask for another one. Reads no clock; its
// times are monotonic.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tenon::binance {

class ListenKeys {
public:
    static constexpr std::int64_t k_valid_ns = 3'600'000'000'000;

    struct Owner {
        std::uint64_t account = 0;
        std::string key;            // of the API
        std::int64_t until_ns = 0;  // monotonic
    };

    // The valid one of this API key, prolonged, or a new one.
    [[nodiscard]] std::string
    create(std::uint64_t account, std::string_view api_key, std::int64_t now_ns);
    // False: nobody of this account has such a key.
    bool prolong(std::string_view listen_key, std::uint64_t account, std::int64_t now_ns);
    bool remove(std::string_view listen_key, std::uint64_t account);
    [[nodiscard]] const Owner* find(std::string_view listen_key, std::int64_t now_ns) const;
    // Takes those out whose time is over, and returns them with their accounts.
    [[nodiscard]] std::vector<std::pair<std::string, std::uint64_t>> expire(std::int64_t now_ns);
    // Takes out what belongs to an API key of the account, or with an empty one to any of them.
    void revoke(std::uint64_t account, std::string_view api_key);

    [[nodiscard]] std::size_t size() const noexcept { return keys_.size(); }

private:
    std::map<std::string, Owner, std::less<>> keys_;
};

}  // namespace tenon::binance
