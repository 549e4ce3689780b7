// SPDX-License-Identifier: Apache-2.0
// A Lua script that is sent by its hash, and whole only to a server that does not know it.
#pragma once

#include "sdk/redis/client.hpp"

#include <string>
#include <string_view>

namespace tenon::redis {

// Immutable, so that many threads may use one.
class Script {
public:
    explicit Script(std::string source);

    [[nodiscard]] const std::string& sha() const noexcept { return sha_; }

    [[nodiscard]] const std::string& source() const noexcept { return source_; }

    // [io] As Client::call. A script that was not known has not run: so it is sent again, whole.
    [[nodiscard]] Answer call(Client& client, const Words& keys, const Words& arguments) const;

    // EVALSHA or EVAL with what comes after the script.
    [[nodiscard]] Words
    words(bool whole, std::string_view key_count, const Words& keys, const Words& arguments) const;

private:
    std::string source_;
    std::string sha_;
};

// True for the answer to EVALSHA of a script that the server does not know.
[[nodiscard]] bool is_unknown_script(const Reply& reply) noexcept;

}  // namespace tenon::redis
