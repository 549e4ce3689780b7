// SPDX-License-Identifier: Apache-2.0
// Admin commands keys.create, keys.list, keys.revoke, keys.reseal. [io]
// A secret is shown once, in the answer of keys.create; it is journalled sealed only.
#pragma once

#include <tenon/abi/trading.h>
#include <tenon/plugin.hpp>

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::accounts {

// What a secret of a key is sealed with.
[[nodiscard]] std::string seal_context(std::string_view key);

class KeyCommands {
public:
    KeyCommands(
        Service<tenon_trading_1> trading,
        Service<tenon_secret_1> secrets,
        Service<tenon_exec_1> exec,
        std::int64_t timeout_ns
    )
        : trading_{trading}, secrets_{secrets}, exec_{exec}, timeout_ns_{timeout_ns} {}

    // [any] For commands from now on.
    void set_timeout(std::int64_t timeout_ns) noexcept { timeout_ns_ = timeout_ns; }

    // JSON in, JSON out; throw Error.
    std::string create(std::string_view args);
    std::string list(std::string_view args);
    std::string addresses(std::string_view args);
    std::string revoke(std::string_view args);
    // tenon/reseal.hpp. A key that is sealed anew is journalled as the same key with another
    // material.
    std::string reseal(std::string_view args);

private:
    using Send = std::function<tenon_status(tenon_trading_done done, tenon_err* err)>;

    struct StoredKey {
        std::string key, material, label;
        std::uint64_t account = 0;
        std::uint32_t permissions = 0;
    };

    // Secrets of keys in force that stand under another master key than `in_force`, by name.
    [[nodiscard]] std::vector<StoredKey> stale_keys(std::string_view in_force) const;
    // False: it does not open.
    [[nodiscard]] bool reseal_one(const StoredKey& key) const;
    [[nodiscard]] std::uint64_t account_id(std::string_view name) const;
    void bind(std::string_view key, std::string_view addresses) const;
    void revoke_quietly(std::string_view key) const noexcept;
    // Sends a command on the engine's reactor and waits until it is durable.
    void send(Send command, std::string_view what) const;

    Service<tenon_trading_1> trading_;
    Service<tenon_secret_1> secrets_;
    Service<tenon_exec_1> exec_;
    std::atomic<std::int64_t> timeout_ns_;
};

}  // namespace tenon::accounts
