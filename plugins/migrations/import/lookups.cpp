// SPDX-License-Identifier: Apache-2.0
#include "plugins/migrations/import/lookups.hpp"

namespace tenon::importer {
namespace {

// Names come from a foreign database: how many are remembered is bounded.
constexpr std::size_t k_kept_max = 10'000;

template <class Kept, class Ask>
auto remembered(Kept& kept, const std::string& name, Ask&& ask) {
    if (const auto found = kept.find(name); found != kept.end()) {
        return found->second;
    }
    const auto answer = ask();
    if (kept.size() < k_kept_max) {
        kept.emplace(name, answer);
    }
    return answer;
}

}  // namespace

std::optional<InstrumentFacts> Lookups::instrument(const std::string& symbol) {
    return remembered(instruments_, symbol, [&] {
        std::optional<InstrumentFacts> facts;
        target_.read(deadline_(), [&](Session& session) {
            facts.reset();
            Statement row = session.prepare(
                "SELECT i.id, i.price_scale, i.quantity_scale, a.scale FROM instruments i "
                "JOIN assets a ON a.id = i.quote WHERE i.symbol = ?"
            );
            row.bind_all(symbol);
            while (row.step()) {
                facts =
                    InstrumentFacts{row.integer(0), row.as<int>(1), row.as<int>(2), row.as<int>(3)};
            }
        });
        return facts;
    });
}

std::optional<AssetFacts> Lookups::asset(const std::string& name) {
    return remembered(assets_, name, [&] {
        std::optional<AssetFacts> facts;
        target_.read(deadline_(), [&](Session& session) {
            facts.reset();
            Statement row = session.prepare("SELECT id, scale FROM assets WHERE name = ?");
            row.bind_all(name);
            while (row.step()) {
                facts = AssetFacts{row.integer(0), row.as<int>(1)};
            }
        });
        return facts;
    });
}

std::optional<std::int64_t> Lookups::user(const std::string& name) {
    return remembered(users_, name, [&] {
        return id_of("SELECT id FROM users WHERE name = ?", name);
    });
}

std::optional<std::int64_t> Lookups::account(const std::string& name) {
    return remembered(accounts_, name, [&] {
        return id_of("SELECT id FROM accounts WHERE name = ?", account_name(name));
    });
}

void Lookups::forget_missing() {
    const auto is_missing = [](const auto& entry) { return !entry.second.has_value(); };
    std::erase_if(instruments_, is_missing);
    std::erase_if(assets_, is_missing);
    std::erase_if(users_, is_missing);
    std::erase_if(accounts_, is_missing);
}

void Lookups::pretend_user(const std::string& name) {
    if (!user(name)) {
        users_[name] = next_pretended_--;
    }
}

void Lookups::pretend_account(const std::string& name) {
    if (!account(name)) {
        accounts_[name] = next_pretended_--;
    }
}

std::optional<std::int64_t> Lookups::id_of(const char* sql, const std::string& name) {
    std::optional<std::int64_t> id;
    target_.read(deadline_(), [&](Session& session) {
        id.reset();
        Statement row = session.prepare(sql);
        row.bind_all(name);
        while (row.step()) {
            id = row.integer(0);
        }
    });
    return id;
}

}  // namespace tenon::importer
