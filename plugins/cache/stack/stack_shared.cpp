// SPDX-License-Identifier: Apache-2.0
// What the stack does because other servers share a tier with it.
#include "plugins/cache/stack/flight.hpp"
#include "plugins/cache/stack/stack.hpp"

#include <algorithm>

namespace tenon::cache_stack {

void Stack::Pending::add(const std::vector<Scope>& more) {
    const std::lock_guard lock{mutex};
    for (const Scope scope : more) {
        ++scopes[scope];
    }
    count.store(scopes.size());
}

void Stack::Pending::remove(const std::vector<Scope>& done) {
    const std::lock_guard lock{mutex};
    for (const Scope scope : done) {
        const auto found = scopes.find(scope);
        if (--found->second == 0) {
            scopes.erase(found);
        }
    }
    count.store(scopes.size());
}

bool Stack::Pending::has_any(const StampList& stamps) const {
    if (count.load() == 0) {
        return false;
    }
    const std::lock_guard lock{mutex};
    return std::any_of(stamps.begin(), stamps.end(), [&](const ScopeStamp& held) {
        return scopes.find(held.scope) != scopes.end();
    });
}

Consistency Stack::consistency_of(const Cache& cache) const {
    return any_shared_ ? settings_.read()->times_of(cache.name).consistency : Consistency::timed;
}

bool Stack::on_reactor() const noexcept {
    return services_.exec->current_reactor(services_.exec.self) >= 0;
}

bool Stack::any_used() const {
    return std::any_of(tiers_.begin(), tiers_.end(), [this](const auto& tier) {
        return used(*tier);
    });
}

bool Stack::any_suspect() const noexcept {
    return std::any_of(tiers_.begin(), tiers_.end(), [](const auto& tier) {
        return tier->suspect();
    });
}

bool Stack::settled(const Tier& tier) const {
    return tier.settled(now_ns(), std::chrono::nanoseconds{settings_->rejoin}.count());
}

bool Stack::young(const Cache& cache, std::int64_t sequence) const {
    // In the tiers that are not shared sequences are this server's own.
    const std::int64_t age_ns = sequence_now() - sequence;
    const std::chrono::nanoseconds most = settings_.read()->times_of(cache.name).suspect;
    return age_ns >= -most.count() && age_ns < most.count();
}

void Stack::renew(std::vector<Scope> scopes) {
    if (!any_shared_) {
        return;
    }
    const auto write_all = [this](const std::vector<Scope>& all) {
        for (const auto& tier : tiers_) {
            for (const Scope scope : all) {
                if (tier->shared()) {
                    stamps_.renew(*tier, scope, now_ns());
                }
            }
        }
    };
    if (!on_reactor()) {
        write_all(scopes);
        return;
    }
    pending_.add(scopes);
    bool taken = false;
    (void)guard(nullptr, [&] {
        taken = later([this, write_all, all = scopes] {
            (void)guard(nullptr, [&] { write_all(all); });
            pending_.remove(all);
        });
    });
    if (!taken) {
        forgo();
        pending_.remove(scopes);
    }
}

void Stack::renew_tag(std::uint32_t cache, std::uint64_t tag) {
    const Scope scope = cache_at(cache).tag;
    renew({clock_scope(scope), tag_scope(scope, tag)});
}

std::vector<Hold>
Stack::hold(const Cache& cache, std::string_view key, const std::vector<Scope>& tags) {
    std::vector<Hold> holds;
    constexpr std::ptrdiff_t k_clocks = 2;
    std::vector<Scope> scopes{
        clock_scope(cache.tag), clock_scope(k_every_cache), cache.tag, key_scope(cache.tag, key)};
    scopes.insert(scopes.end(), tags.begin(), tags.end());
    for (const auto& tier : tiers_) {
        Hold hold;
        hold.tier = tier.get();
        if (tier->shared() && stamps_.read(*tier, scopes, now_ns(), hold.stamps)) {
            const auto first = hold.stamps.begin() + k_clocks;
            hold.clocks.assign(hold.stamps.begin(), first);
            hold.stamps.erase(hold.stamps.begin(), first);
            holds.push_back(std::move(hold));
        }
    }
    return holds;
}

void Stack::hold_tags(
    const Cache& cache,
    const std::vector<std::uint64_t>& tags,
    std::vector<Hold>& holds
) {
    std::erase_if(holds, [&](Hold& hold) {
        std::vector<Scope> more;
        for (const std::uint64_t tag : tags) {
            append_scopes(cache.tag, tag, more);
        }
        std::erase_if(more, [&](Scope scope) {
            return std::any_of(hold.stamps.begin(), hold.stamps.end(), [&](const ScopeStamp& one) {
                return one.scope == scope;
            });
        });
        if (more.empty()) {
            return false;
        }
        // The clocks are looked at last: whoever renews a tag has renewed them first.
        return !stamps_.read(*hold.tier, more, now_ns(), hold.stamps) ||
               !Stamps::hold(*hold.tier, hold.clocks, now_ns());
    });
}

bool Stack::held(const std::vector<Hold>& holds) const {
    return !holds.empty() && std::all_of(holds.begin(), holds.end(), [&](const Hold& hold) {
        // While some server may not have been able to renew them, stamps tell nothing.
        return !pending_.has_any(hold.stamps) && Stamps::hold(*hold.tier, hold.stamps, now_ns()) &&
               settled(*hold.tier);
    });
}

std::vector<Token> Stack::tokens_of(const std::string& tier_key) {
    std::vector<Token> tokens;
    for (const auto& tier : tiers_) {
        if (tier->conditional()) {
            if (const auto state = tier->token(tier_key, now_ns())) {
                tokens.push_back({tier.get(), *state});
            }
        }
    }
    return tokens;
}

void Stack::write_loaded(
    Consistency consistency,
    const std::vector<Token>& tokens,
    const std::string& tier_key,
    const std::string& data,
    std::int64_t ttl_ns
) {
    for (const auto& tier : tiers_) {
        if (!tier->blocking() || !asked(*tier, consistency) || stamped(*tier, consistency) ||
            !used(*tier)) {
            continue;
        }
        if (!tier->conditional()) {
            tier->put(tier_key, data, now_ns(), ttl_ns);
            continue;
        }
        for (const Token& token : tokens) {
            if (token.tier == tier.get()) {
                (void)tier->put_if(tier_key, data, now_ns(), ttl_ns, token.state);
            }
        }
    }
}

void Stack::write_shared(
    const std::vector<Hold>& holds,
    const std::string& tier_key,
    std::string_view data,
    std::int64_t ttl_ns
) {
    for (const Hold& hold : holds) {
        if (!used(*hold.tier)) {
            continue;  // what is there goes by stamps
        }
        (void)hold.tier->put(tier_key, with_stamps(hold.stamps, data), now_ns(), ttl_ns);
    }
}

void Stack::changed_elsewhere(std::string_view tier_key) {
    if (const auto scope = scope_of(tier_key)) {
        tags_.invalidate(*scope, next_sequence(), now_ns());
        drop_locked();
        return;
    }
    if (!tier_key.empty()) {
        return;  // an entry: what it took the place of counts for as long as its stamps say
    }
    for (std::uint32_t i = 0; i < cache_count_.load(); ++i) {
        tags_.invalidate(caches_[i]->tag, next_sequence(), now_ns());
    }
    drop_locked();
    for (const auto& tier : tiers_) {
        if (!tier->shared() && !tier->blocking()) {
            tier->clear(now_ns());
        }
    }
}

void Stack::heard(Tier& tier, const tenon_cache_tier_event& event) {
    switch (event.kind) {
        case TENON_CACHE_TIER_KEY:
            changed_elsewhere(view(event.subject));
            break;
        case TENON_CACHE_TIER_SUSPECT:
            tier.lose();
            tier.distrust();  // what this server cannot hear of another may have failed to write
            break;
        case TENON_CACHE_TIER_TRUSTED:
            changed_elsewhere({});  // what was missed is not told any more
            tier.trust(now_ns());
            (void)later([this, &tier] { tier.make_good(now_ns()); });  // else whoever asks it next
            break;
        default:  // what others announce is not the stack's
            break;
    }
}

}  // namespace tenon::cache_stack
