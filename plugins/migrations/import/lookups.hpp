// SPDX-License-Identifier: Apache-2.0
// What rows refer to in the target: instruments, assets, users, accounts, by name.
//
// Read when first asked for and kept. Not thread-safe; a question may block and throw StorageError.
#pragma once

#include <tenon/storage.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

namespace tenon::importer {

struct InstrumentFacts {
    std::int64_t id = 0;
    int price_scale = 0, quantity_scale = 0, quote_scale = 0;
};

struct AssetFacts {
    std::int64_t id = 0;
    int scale = 0;
};

class Lookups {
public:
    using Deadline = std::function<std::int64_t()>;

    Lookups(Storage target, Deadline deadline) : target_{target}, deadline_{std::move(deadline)} {}

    // Nothing where there is none, or where its assets are not known.
    [[nodiscard]] std::optional<InstrumentFacts> instrument(const std::string& symbol);
    [[nodiscard]] std::optional<AssetFacts> asset(const std::string& name);
    [[nodiscard]] std::optional<std::int64_t> user(const std::string& name);
    // Of an account of imports; `name` without what is put before it.
    [[nodiscard]] std::optional<std::int64_t> account(const std::string& name);

    // What was not there may be by now: it is asked for again.
    void forget_missing();

    // For a check: as if they were there, each with a number of its own.
    void pretend_user(const std::string& name);
    void pretend_account(const std::string& name);

    [[nodiscard]] static std::string account_name(const std::string& name) {
        return "import:" + name;
    }

private:
    [[nodiscard]] std::optional<std::int64_t> id_of(const char* sql, const std::string& name);

    Storage target_;
    Deadline deadline_;
    std::map<std::string, std::optional<InstrumentFacts>> instruments_;
    std::map<std::string, std::optional<AssetFacts>> assets_;
    std::map<std::string, std::optional<std::int64_t>> users_, accounts_;
    std::int64_t next_pretended_ = INT64_MAX;  // and down: no row has it
};

}  // namespace tenon::importer
