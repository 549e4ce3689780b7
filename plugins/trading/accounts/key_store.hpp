// SPDX-License-Identifier: Apache-2.0
// The API keys in force, ready to check signatures.
//
// Readers on any thread take the current table, which never changes; a change makes a new table
// that shares all other keys. Secrets live in guarded memory and leave it only into a computation.
#pragma once

#include "plugins/trading/accounts/signature.hpp"

#include <tenon/abi/auth.h>
#include <tenon/abi/trading.h>
#include <tenon/address_networks.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>

namespace tenon::accounts {

// A key as it comes from the engine; `material` is the opened secret or the public key.
struct KeyRecord {
    std::string_view key;
    std::uint64_t account = 0;
    std::uint32_t kind = 0, permissions = 0;
    std::string_view material;
    std::string_view addresses = {};  // as tenon_api_key.addresses
};

class KeyStore {
public:
    KeyStore();

    // Adds a key or replaces one of that name. Throws Error TENON_INVALID for an unknown kind and
    // for addresses that are none.
    void put(const KeyRecord& record);
    void remove(std::string_view key);
    void clear();

    [[nodiscard]] std::size_t size() const;

    // [any] TENON_OK | TENON_NOT_FOUND.
    [[nodiscard]] tenon_status identify(std::string_view key, tenon_identity& out) const;
    // [any] TENON_OK | TENON_DENIED | TENON_NOT_FOUND.
    [[nodiscard]] tenon_status verify(
        std::string_view key,
        std::span<const tenon_bytes> parts,
        std::string_view signature,
        tenon_identity& out
    ) const;
    // [any] Whether it may be used from there. TENON_OK | TENON_DENIED | TENON_NOT_FOUND.
    [[nodiscard]] tenon_status allows(std::string_view key, std::string_view address) const;

private:
    struct Entry {
        tenon_identity identity;
        AddressNetworks addresses;  // empty: any
        std::variant<HmacKey, Ed25519Key> verifier;
    };

    struct Hash {
        using is_transparent = void;

        std::size_t operator()(std::string_view text) const noexcept {
            return std::hash<std::string_view>{}(text);
        }
    };

    using Table =
        std::unordered_map<std::string, std::shared_ptr<const Entry>, Hash, std::equal_to<>>;

    [[nodiscard]] std::shared_ptr<const Table> table() const;
    Table& own_table();
    [[nodiscard]] std::shared_ptr<const Entry> find(std::string_view key) const;
    [[nodiscard]] static std::shared_ptr<const Entry> entry_of(const KeyRecord& record);

    mutable std::mutex mutex_;
    std::shared_ptr<Table> table_;  // guarded by mutex_
};

}  // namespace tenon::accounts
