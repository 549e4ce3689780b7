// SPDX-License-Identifier: Apache-2.0
#include "plugins/cache/stack/tier.hpp"

#include <algorithm>

namespace tenon::cache_stack {
namespace {

constexpr std::int64_t k_first_wait_ns = 1'000'000'000;
constexpr std::int64_t k_longest_wait_ns = 4 * k_first_wait_ns;

// A second after the first failure, half as long again after each further one.
std::int64_t wait_ns(std::uint32_t failures) noexcept {
    std::int64_t wait = k_first_wait_ns;
    for (std::uint32_t i = 1; i < failures && wait < k_longest_wait_ns; ++i) {
        wait += wait / 2;
    }
    return std::min(wait, k_longest_wait_ns);
}

}  // namespace

Tier::Tier(std::string name, Service<tenon_cache_tier_1> service, Watcher watcher)
    : name_{std::move(name)}, service_{service}, watcher_{std::move(watcher)} {}

bool Tier::ready(std::int64_t now_ns, bool at_once) {
    if (!at_once && failures_.load() != 0 && now_ns < retry_ns_.load()) {
        return false;
    }
    if (missed_.load() == made_good_.load()) {
        return true;
    }
    const std::lock_guard lock{mutex_};
    const std::uint64_t missed = missed_.load();
    if (missed == made_good_.load()) {
        return true;
    }
    ErrorBuffer err;
    const tenon_status status = service_->clear(service_.self, {}, &err);
    if (status == TENON_OK) {
        made_good_.store(missed);  // not those that were missed while it was emptied
    }
    note(status, err, now_ns);
    return status == TENON_OK;
}

void Tier::note(tenon_status status, const ErrorBuffer& err, std::int64_t now_ns) {
    if (status >= 0 || status == TENON_NOT_FOUND || status == TENON_INVALID ||
        status == TENON_CONFLICT) {
        if (failures_.load() != 0 && failures_.exchange(0) != 0) {
            // While it is away only trust() ends that: commands may pass that others are not heard
            // of.
            std::int64_t back = back_ns_.load();
            while (back != INT64_MAX && !back_ns_.compare_exchange_weak(back, now_ns)) {}
            watcher_(name_, "");
        }
        return;
    }
    if (shared()) {
        missed_.fetch_add(1);
    }
    const std::uint32_t failures = failures_.fetch_add(1) + 1;
    retry_ns_.store(now_ns + wait_ns(failures));
    if (failures == 1) {
        watcher_(
            name_, err.len != 0 ? std::string{err.message()} : "status " + std::to_string(status)
        );
    }
}

std::optional<Tier::Found> Tier::get(std::string_view key, std::int64_t now_ns) {
    if (!ready(now_ns)) {
        return std::nullopt;
    }
    StringSink out;
    Found found{{}, 0};
    ErrorBuffer err;
    const tenon_status status =
        service_->get(service_.self, bytes(key), now_ns, out.sink(), &found.expires_ns, &err);
    note(status, err, now_ns);
    if (status != TENON_OK || found.expires_ns <= now_ns) {
        return std::nullopt;
    }
    hits_.fetch_add(1, std::memory_order_relaxed);
    found.data = std::move(out.text());
    return found;
}

bool Tier::put(
    std::string_view key,
    std::string_view data,
    std::int64_t now_ns,
    std::int64_t ttl_ns,
    bool at_once
) {
    if (!ready(now_ns, at_once)) {
        missed_.fetch_add(1);  // what is in there now is older
        return false;
    }
    ErrorBuffer err;
    const tenon_status status =
        service_->put(service_.self, bytes(key), bytes(data), now_ns, ttl_ns, &err);
    note(status, err, now_ns);
    if (status != TENON_OK) {
        erase(key, now_ns);  // too long for this tier, or failed: what was there is old
    }
    return status == TENON_OK;
}

std::optional<std::uint64_t> Tier::token(std::string_view key, std::int64_t now_ns) {
    if (!ready(now_ns)) {
        return std::nullopt;
    }
    std::uint64_t token = 0;
    ErrorBuffer err;
    const tenon_status status = service_->token(service_.self, bytes(key), &token, &err);
    note(status, err, now_ns);
    return status == TENON_OK ? std::optional{token} : std::nullopt;
}

bool Tier::put_if(
    std::string_view key,
    std::string_view data,
    std::int64_t now_ns,
    std::int64_t ttl_ns,
    std::uint64_t token
) {
    if (!ready(now_ns)) {
        return false;
    }
    ErrorBuffer err;
    const tenon_status status =
        service_->put_if(service_.self, bytes(key), bytes(data), now_ns, ttl_ns, token, &err);
    note(status, err, now_ns);
    return status == TENON_OK;
}

void Tier::erase(std::string_view key, std::int64_t now_ns) {
    if (!ready(now_ns, true)) {
        missed_.fetch_add(1);
        return;
    }
    ErrorBuffer err;
    const tenon_status status = service_->erase(service_.self, bytes(key), &err);
    note(status, err, now_ns);
    if (status != TENON_OK && status != TENON_NOT_FOUND) {
        missed_.fetch_add(1);
    }
}

void Tier::clear(std::int64_t now_ns) {
    missed_.fetch_add(1);
    (void)ready(now_ns, true);
}

tenon_cache_tier_stats Tier::stats() const {
    auto stats = sized<tenon_cache_tier_stats>();
    (void)service_->stats(service_.self, &stats);
    return stats;
}

}  // namespace tenon::cache_stack
