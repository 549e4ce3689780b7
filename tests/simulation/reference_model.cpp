// SPDX-License-Identifier: Apache-2.0
// What all commands have in common, and those of accounts, money, keys and instruments.
#include "tests/simulation/reference_model.hpp"

#include <tenon/plugin.hpp>

#include <algorithm>

namespace tenon::test {
namespace {

constexpr Int128 k_owing_max = Int128{1} << 61;

[[nodiscard]] bool may_owe(std::uint64_t account) {
    return account == TENON_ACCOUNT_EXTERNAL || account == TENON_ACCOUNT_VENUES;
}

}  // namespace

ReferenceModel::ReferenceModel(
    std::vector<tenon_instrument> instruments,
    std::vector<int> asset_scales,
    const Bounds& bounds
)
    : instruments_{std::move(instruments)}, scales_{std::move(asset_scales)}, bounds_{bounds} {
    accounts_ = {{1, "external"}, {2, "fees"}, {3, "venues"}};
    for (const tenon_instrument& instrument : instruments_) {
        status_[instrument.id] = instrument.status;
    }
}

ModelOutcome ReferenceModel::apply(const trading::Command& command) {
    sequence_ = command.sequence;
    now_ns_ = command.time_real_ns;
    outcome_ = {};
    decided_.clear();
    std::visit([this](const auto& body) { on(body); }, command.body);
    if (outcome_.reject != TENON_REJECT_NONE) {
        outcome_.orders.clear();
        outcome_.trades.clear();
        outcome_.lists.clear();
        outcome_.prevented.clear();
    }
    return outcome_;
}

ModelBalance ReferenceModel::balance(std::uint64_t account, std::uint32_t asset) const {
    const auto found = balances_.find({account, asset});
    return found == balances_.end() ? ModelBalance{} : found->second;
}

std::string ReferenceModel::text_of(const tenon_client_id& id) const {
    return {id.text, id.length};
}

void ReferenceModel::on(const trading::VenueApplyCommand& command) {
    outcome_.reject =
        view(command.venue) == "internal" ? TENON_REJECT_UNSUPPORTED : TENON_REJECT_INVALID;
}

void ReferenceModel::on(const trading::AccountOpenCommand& command) {
    const std::string name{view(command.name)};
    const bool good =
        !name.empty() && name.size() <= 32 &&
        name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789._-") == std::string::npos;
    const bool taken = std::any_of(accounts_.begin(), accounts_.end(), [&](const auto& entry) {
        return entry.second == name;
    });
    if (!good) {
        outcome_.reject = TENON_REJECT_INVALID;
    } else if (taken) {
        outcome_.reject = TENON_REJECT_DUPLICATE_ACCOUNT;
    } else if (accounts_.size() >= bounds_.accounts) {
        outcome_.reject = TENON_REJECT_CAPACITY;
    } else {
        outcome_.account = next_account_;
        accounts_[next_account_++] = name;
    }
}

void ReferenceModel::on(const trading::TransferCommand& command) {
    const tenon_ledger_entry& entry = command.entry;
    const std::string reference{view(entry.reference)};
    if (!reference.empty()) {
        for (const auto& [known, moved] : references_) {
            if (known == reference) {
                const bool same = moved.from == entry.from && moved.to == entry.to &&
                                  moved.asset == entry.asset && moved.amount == entry.amount;
                outcome_.reject = same ? TENON_REJECT_NONE : TENON_REJECT_DUPLICATE_ID;
                return;
            }
        }
    }
    std::uint32_t& reject = outcome_.reject;
    if (entry.amount <= 0 || entry.from == entry.to || reference.size() > 64) {
        reject = TENON_REJECT_INVALID;
        return;
    }
    if (!accounts_.contains(entry.from) || !accounts_.contains(entry.to)) {
        reject = TENON_REJECT_UNKNOWN_ACCOUNT;
        return;
    }
    if (entry.asset >= scales_.size()) {
        reject = TENON_REJECT_UNKNOWN_ASSET;
        return;
    }
    const Int128 from_after = Int128{balance(entry.from, entry.asset).free} - entry.amount;
    const Int128 to_after = Int128{balance(entry.to, entry.asset).free} + entry.amount;
    if ((may_owe(entry.from) && from_after < -k_owing_max) ||
        (may_owe(entry.to) && to_after > k_owing_max)) {
        reject = TENON_REJECT_OVERFLOW;
        return;
    }
    if (!may_owe(entry.from) && from_after < 0) {
        reject = TENON_REJECT_BALANCE;
        return;
    }
    balances_[{entry.from, entry.asset}].free -= entry.amount;
    balances_[{entry.to, entry.asset}].free += entry.amount;
    if (!reference.empty()) {
        references_.emplace_back(reference, Moved{entry.from, entry.to, entry.asset, entry.amount});
        if (references_.size() > bounds_.references) {
            references_.pop_front();
        }
    }
}

void ReferenceModel::on(const trading::KeyAddCommand& command) {
    const tenon_api_key& key = command.key;
    const std::string name{view(key.key)};
    bool good = !name.empty() && name.size() <= 64 && key.label.n <= 64 && key.permissions <= 7;
    for (const char c : name) {
        good = good && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'));
    }
    if (key.kind == TENON_KEY_HMAC_SHA256) {
        good = good && key.material.n >= 1 && key.material.n <= 256;
    } else {
        good = good && key.kind == TENON_KEY_ED25519 && key.material.n == 32;
    }
    if (!good) {
        outcome_.reject = TENON_REJECT_INVALID;
    } else if (key.account < TENON_ACCOUNT_FIRST || !accounts_.contains(key.account)) {
        outcome_.reject = TENON_REJECT_UNKNOWN_ACCOUNT;
    } else if (keys_.contains(name)) {
        // Only the secret may change, to one that names its master key, while the key is in force.
        ModelKey& there = keys_[name];
        const std::string material{view(key.material)};
        const ModelKey same{
            key.account,
            key.kind,
            key.permissions,
            there.material,
            std::string{view(key.label)},
            false,
            there.addresses};
        if (there == same && key.kind == TENON_KEY_HMAC_SHA256 && material[0] == '\2' &&
            material != there.material) {
            there.material = material;
        } else {
            outcome_.reject = TENON_REJECT_DUPLICATE_KEY;
        }
    } else if (keys_.size() >= bounds_.keys) {
        outcome_.reject = TENON_REJECT_CAPACITY;
    } else {
        keys_[name] = {
            key.account,
            key.kind,
            key.permissions,
            std::string{view(key.material)},
            std::string{view(key.label)},
            false,
            {}};
    }
}

void ReferenceModel::on(const trading::KeyRevokeCommand& command) {
    const auto found = keys_.find(std::string{view(command.key)});
    if (found == keys_.end()) {
        outcome_.reject = TENON_REJECT_UNKNOWN_KEY;
    } else {
        found->second.revoked = true;
    }
}

void ReferenceModel::on(const trading::KeyAddressesCommand& command) {
    const std::string addresses{view(command.addresses)};
    const auto found = keys_.find(std::string{view(command.key)});
    bool good = addresses.size() <= 1024;
    for (const char c : addresses) {
        good = good &&
               std::string_view{"0123456789abcdefABCDEF.:/,unix"}.find(c) != std::string_view::npos;
    }
    if (!good) {
        outcome_.reject = TENON_REJECT_INVALID;
    } else if (found == keys_.end() || found->second.revoked) {
        outcome_.reject = TENON_REJECT_UNKNOWN_KEY;
    } else {
        found->second.addresses = addresses;
    }
}

void ReferenceModel::on(const trading::InstrumentStatusCommand& command) {
    if (command.instrument >= instruments_.size()) {
        outcome_.reject = TENON_REJECT_UNKNOWN_INSTRUMENT;
    } else if (command.status < 1 || command.status > 3) {
        outcome_.reject = TENON_REJECT_INVALID;
    } else {
        status_[command.instrument] = command.status;
    }
}

void ReferenceModel::on(const trading::AccountStatusCommand& command) {
    const bool on = command.enabled == 1;
    if (command.enabled > 1 || command.cancels > 1 || (on && command.cancels == 1)) {
        outcome_.reject = TENON_REJECT_INVALID;
        return;
    }
    if (command.account != 0 &&
        (command.account < TENON_ACCOUNT_FIRST || !accounts_.contains(command.account))) {
        outcome_.reject = TENON_REJECT_UNKNOWN_ACCOUNT;
        return;
    }
    if (on) {
        disabled_.erase(command.account);
    } else {
        disabled_.insert(command.account);
    }
    std::vector<std::uint64_t> ids;
    for (const auto& [id, order] : open_) {
        if (command.cancels == 1 && (command.account == 0 || order.account == command.account)) {
            ids.push_back(id);
        }
    }
    cancel(ids);
}

}  // namespace tenon::test
