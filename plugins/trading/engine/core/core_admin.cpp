// SPDX-License-Identifier: Apache-2.0
// Accounts, the ledger, API keys, status of instruments.
#include "plugins/trading/engine/core/core.hpp"

#include <tenon/auth.hpp>
#include <tenon/decimal.hpp>

#include <algorithm>

namespace tenon::trading {
namespace {

[[nodiscard]] bool good_account_name(std::string_view name) noexcept {
    return !name.empty() && name.size() <= k_name_bytes_max &&
           std::all_of(name.begin(), name.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
                      c == '-';
           });
}

[[nodiscard]] bool good_key_name(std::string_view key) noexcept {
    return !key.empty() && key.size() <= k_key_bytes_max &&
           std::all_of(key.begin(), key.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
           });
}

[[nodiscard]] bool good_key(const tenon_api_key& key) noexcept {
    constexpr std::uint32_t k_permissions =
        TENON_PERMISSION_READ | TENON_PERMISSION_TRADE | k_permission_admin;
    constexpr std::size_t k_ed25519_bytes = 32;
    const bool material = key.kind == TENON_KEY_ED25519
                              ? key.material.n == k_ed25519_bytes
                              : key.kind == TENON_KEY_HMAC_SHA256 && key.material.n > 0;
    return good_key_name(view(key.key)) && material && key.material.n <= k_material_bytes_max &&
           key.label.n <= k_label_bytes_max && (key.permissions & ~k_permissions) == 0;
}

// The same key with a newly sealed secret: what a rotation of the master key does. Secrets that
// name their master key begin with version 2, which no journal of earlier versions has.
[[nodiscard]] bool is_sealed_anew(const ApiKey& there, const tenon_api_key& key) noexcept {
    constexpr char k_names_its_key = 2;
    const std::string_view material = view(key.material);
    return !there.revoked && there.kind == TENON_KEY_HMAC_SHA256 && there.kind == key.kind &&
           there.account == key.account && there.permissions == key.permissions &&
           there.label == view(key.label) && there.material != material &&
           material.front() == k_names_its_key;
}

// EXTERNAL and VENUES may owe; they, and nobody else, have a bound of their own.
[[nodiscard]] bool may_owe(std::uint64_t account) noexcept {
    return account == TENON_ACCOUNT_EXTERNAL || account == TENON_ACCOUNT_VENUES;
}

[[nodiscard]] bool stays_bounded(std::int64_t balance, std::int64_t change) noexcept {
    const Int128 after = Int128{balance} + change;
    return after <= k_system_balance_max && after >= -k_system_balance_max;
}

}  // namespace

void Core::open_account(std::string name, std::int64_t created_real_ns) {
    const std::uint64_t id = ledger_.account_end();
    ledger_.add_account();
    orders_.add_account();
    account_ids_.emplace(name, id);
    accounts_.push_back({id, std::move(name), true, created_real_ns, created_real_ns});
}

void Core::run(const AccountOpenCommand& command) {
    if (!good_account_name(view(command.name))) {
        refuse(TENON_REJECT_INVALID);
        return;
    }
    std::string name{view(command.name)};
    if (account_ids_.contains(name)) {
        refuse(TENON_REJECT_DUPLICATE_ACCOUNT);
        return;
    }
    if (accounts_.size() >= options_.accounts_max) {
        refuse(TENON_REJECT_CAPACITY);
        return;
    }
    open_account(std::move(name), time_real_ns_);
    result_->account = accounts_.back().id;
    put_account(accounts_.back());
}

void Core::put_account(const Account& account) {
    Output::AccountRow row;
    row.account.id = account.id;
    row.account.enabled = account.enabled ? 1 : 0;
    row.account.created_real_ns = account.created_real_ns;
    row.account.updated_real_ns = account.updated_real_ns;
    row.name = out_->keep(account.name);
    out_->events_.push_back(
        {TENON_EVENT_ACCOUNT,
         static_cast<std::uint32_t>(out_->accounts_.size()),
         Output::k_none,
         false}
    );
    out_->accounts_.push_back(row);
}

std::uint32_t Core::check_transfer(const tenon_ledger_entry& entry) const {
    if (entry.amount <= 0 || entry.from == entry.to || entry.reference.n > k_reference_bytes_max) {
        return TENON_REJECT_INVALID;
    }
    if (find_account(entry.from) == nullptr || find_account(entry.to) == nullptr) {
        return TENON_REJECT_UNKNOWN_ACCOUNT;
    }
    if (entry.asset >= table_.asset_count()) {
        return TENON_REJECT_UNKNOWN_ASSET;
    }
    const std::int64_t from = ledger_.at(entry.from, entry.asset).free;
    const std::int64_t to = ledger_.at(entry.to, entry.asset).free;
    if ((may_owe(entry.from) && !stays_bounded(from, -entry.amount)) ||
        (may_owe(entry.to) && !stays_bounded(to, entry.amount))) {
        return TENON_REJECT_OVERFLOW;
    }
    return may_owe(entry.from) || from >= entry.amount ? TENON_REJECT_NONE : TENON_REJECT_BALANCE;
}

void Core::run(const TransferCommand& command) {
    const tenon_ledger_entry& entry = command.entry;
    const std::string_view reference = view(entry.reference);
    if (const auto known = transfers_.find(std::string{reference});
        !reference.empty() && known != transfers_.end()) {
        // Done before: the same again is a success that changes nothing.
        const Transfer& before = known->second;
        if (before.from != entry.from || before.to != entry.to || before.asset != entry.asset ||
            before.amount != entry.amount) {
            refuse(TENON_REJECT_DUPLICATE_ID);
        }
        return;
    }
    if (const std::uint32_t reject = check_transfer(entry); reject != TENON_REJECT_NONE) {
        refuse(reject);
        return;
    }
    ledger_.add_free(entry.from, entry.asset, -entry.amount);
    ledger_.add_free(entry.to, entry.asset, entry.amount);
    if (!reference.empty()) {
        remember_reference(reference, {entry.from, entry.to, entry.amount, entry.asset});
    }
    Output::LedgerRow row;
    row.entry = entry;
    row.reference = out_->keep(reference);
    out_->events_.push_back(
        {TENON_EVENT_LEDGER,
         static_cast<std::uint32_t>(out_->ledger_.size()),
         Output::k_none,
         false}
    );
    out_->ledger_.push_back(row);
}

void Core::remember_reference(std::string_view reference, const Transfer& transfer) {
    if (options_.references_remembered == 0) {
        return;
    }
    if (references_.size() >= options_.references_remembered) {
        transfers_.erase(references_.front());
        references_.pop_front();
    }
    references_.emplace_back(reference);
    transfers_.emplace(references_.back(), transfer);
}

void Core::run(const KeyAddCommand& command) {
    const tenon_api_key& key = command.key;
    if (!good_key(key)) {
        refuse(TENON_REJECT_INVALID);
        return;
    }
    if (key.account < TENON_ACCOUNT_FIRST || find_account(key.account) == nullptr) {
        refuse(TENON_REJECT_UNKNOWN_ACCOUNT);
        return;
    }
    std::string name{view(key.key)};
    if (const auto found = key_rows_.find(name); found != key_rows_.end()) {
        ApiKey& there = keys_[found->second];
        if (!is_sealed_anew(there, key)) {
            refuse(TENON_REJECT_DUPLICATE_KEY);
            return;
        }
        there.material = view(key.material);
        put_key(there);
        return;
    }
    if (keys_.size() >= options_.keys_max) {
        refuse(TENON_REJECT_CAPACITY);
        return;
    }
    key_rows_.emplace(name, static_cast<std::uint32_t>(keys_.size()));
    keys_.push_back(
        {std::move(name),
         key.account,
         key.kind,
         key.permissions,
         std::string{view(key.material)},
         std::string{view(key.label)},
         time_real_ns_,
         false,
         {}}
    );
    put_key(keys_.back());
}

void Core::run(const KeyRevokeCommand& command) {
    const auto found = key_rows_.find(std::string{view(command.key)});
    if (found == key_rows_.end()) {
        refuse(TENON_REJECT_UNKNOWN_KEY);
        return;
    }
    ApiKey& key = keys_[found->second];
    if (!key.revoked) {
        key.revoked = true;
        put_key(key);
    }
}

void Core::run(const KeyAddressesCommand& command) {
    const std::string_view addresses = view(command.addresses);
    if (addresses.size() > k_addresses_bytes_max ||
        addresses.find_first_not_of("0123456789abcdefABCDEF.:/,unix") != std::string_view::npos) {
        refuse(TENON_REJECT_INVALID);
        return;
    }
    const auto found = key_rows_.find(std::string{view(command.key)});
    if (found == key_rows_.end() || keys_[found->second].revoked) {
        refuse(TENON_REJECT_UNKNOWN_KEY);
        return;
    }
    ApiKey& key = keys_[found->second];
    if (key.addresses != addresses) {
        key.addresses = addresses;
        put_key(key);
    }
}

void Core::put_key(const ApiKey& key) {
    Output::KeyRow row;
    row.key.account = key.account;
    row.key.kind = key.kind;
    row.key.permissions = key.permissions;
    row.key.created_real_ns = key.created_real_ns;
    row.key.revoked = key.revoked ? 1 : 0;
    row.name = out_->keep(key.key);
    row.label = out_->keep(key.label);
    row.material = out_->keep(key.material);
    row.addresses = out_->keep(key.addresses);
    out_->events_.push_back(
        {TENON_EVENT_KEY, static_cast<std::uint32_t>(out_->keys_.size()), Output::k_none, false}
    );
    out_->keys_.push_back(row);
}

void Core::run(const InstrumentStatusCommand& command) {
    if (table_.find(command.instrument) == nullptr) {
        refuse(TENON_REJECT_UNKNOWN_INSTRUMENT);
        return;
    }
    if (command.status < TENON_INSTRUMENT_TRADING || command.status > TENON_INSTRUMENT_BREAK) {
        refuse(TENON_REJECT_INVALID);
        return;
    }
    table_[command.instrument].status = command.status;
    out_->events_.push_back({TENON_EVENT_INSTRUMENT, command.instrument, command.status, false});
}

void Core::run(const AccountStatusCommand& command) {
    if (command.enabled > 1 || command.cancels > 1 ||
        (command.enabled != 0 && command.cancels != 0)) {
        refuse(TENON_REJECT_INVALID);
        return;
    }
    const bool enabled = command.enabled != 0;
    scratch_.clear();
    if (command.account == 0) {
        halted_ = !enabled;
        if (command.cancels != 0) {
            scratch_ = orders_.sorted();
        }
    } else {
        const auto account =
            std::find_if(accounts_.begin(), accounts_.end(), [&](const Account& a) {
                return a.id == command.account;
            });
        if (account == accounts_.end() || account->id < TENON_ACCOUNT_FIRST) {
            refuse(TENON_REJECT_UNKNOWN_ACCOUNT);
            return;
        }
        if (account->enabled != enabled) {
            account->enabled = enabled;
            account->updated_real_ns = time_real_ns_;
            put_account(*account);
        }
        if (command.cancels != 0) {
            for_each_open_order(account->id, TENON_ANY_INSTRUMENT, [&](const tenon_order& order) {
                scratch_.push_back(orders_.find(order.order_id));
            });
        }
    }
    if (!scratch_.empty()) {
        cancel_these();
    }
}

}  // namespace tenon::trading
