// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/accounts/key_store.hpp"

#include <tenon/plugin.hpp>
#include <tenon/structs.hpp>

#include <atomic>
#include <utility>

namespace tenon::accounts {

KeyStore::KeyStore() : table_{std::make_shared<Table>()} {}

std::shared_ptr<const KeyStore::Table> KeyStore::table() const {
    const std::lock_guard lock{mutex_};
    return table_;
}

std::shared_ptr<const KeyStore::Entry> KeyStore::find(std::string_view key) const {
    const auto current = table();
    const auto found = current->find(key);
    return found != current->end() ? found->second : nullptr;
}

std::shared_ptr<const KeyStore::Entry> KeyStore::entry_of(const KeyRecord& record) {
    AddressNetworks addresses = AddressNetworks::of_list(record.addresses);
    auto identity = sized<tenon_identity>();
    identity.permissions = record.permissions;
    identity.account = record.account;
    identity.key_kind = record.kind;
    identity.flags = addresses.empty() ? 0U : TENON_IDENTITY_BOUND;
    switch (record.kind) {
        case TENON_KEY_HMAC_SHA256:
            return std::make_shared<const Entry>(Entry{
                identity, std::move(addresses), HmacKey{record.material}});
        case TENON_KEY_ED25519:
            return std::make_shared<const Entry>(Entry{
                identity, std::move(addresses), Ed25519Key{record.material}});
        default:
            throw Error{TENON_INVALID, "a key of unknown kind " + std::to_string(record.kind)};
    }
}

// With mutex_ held: a table that no reader has.
KeyStore::Table& KeyStore::own_table() {
    if (table_.use_count() > 1) {
        table_ = std::make_shared<Table>(*table_);
    } else {
        // A reader that has just let go is done with it.
        std::atomic_thread_fence(std::memory_order_acquire);
    }
    return *table_;
}

void KeyStore::put(const KeyRecord& record) {
    auto entry = entry_of(record);
    const std::lock_guard lock{mutex_};
    own_table().insert_or_assign(std::string{record.key}, std::move(entry));
}

void KeyStore::remove(std::string_view key) {
    const std::lock_guard lock{mutex_};
    Table& table = own_table();
    if (const auto found = table.find(key); found != table.end()) {
        table.erase(found);
    }
}

void KeyStore::clear() {
    auto next = std::make_shared<Table>();
    const std::lock_guard lock{mutex_};
    table_.swap(next);
}

std::size_t KeyStore::size() const {
    return table()->size();
}

tenon_status KeyStore::identify(std::string_view key, tenon_identity& out) const {
    const auto entry = find(key);
    if (!entry) {
        return TENON_NOT_FOUND;
    }
    return copy_out(entry->identity, &out);
}

tenon_status KeyStore::allows(std::string_view key, std::string_view address) const {
    const auto entry = find(key);
    if (!entry) {
        return TENON_NOT_FOUND;
    }
    return entry->addresses.empty() || entry->addresses.contains(address) ? TENON_OK : TENON_DENIED;
}

tenon_status KeyStore::verify(
    std::string_view key,
    std::span<const tenon_bytes> parts,
    std::string_view signature,
    tenon_identity& out
) const {
    const auto entry = find(key);
    if (!entry) {
        return TENON_NOT_FOUND;
    }
    const bool fits = std::visit(
        [&](const auto& verifier) { return verifier.verify(parts, signature); }, entry->verifier
    );
    if (!fits) {
        return TENON_DENIED;
    }
    return copy_out(entry->identity, &out);
}

}  // namespace tenon::accounts
