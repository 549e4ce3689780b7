// SPDX-License-Identifier: Apache-2.0
#include "plugins/throttle/adaptive/adaptive_limits.hpp"

#include <algorithm>
#include <functional>

namespace tenon::adaptive {
namespace {

constexpr std::int64_t k_least_wait_ns = 1'000'000;

[[nodiscard]] Ended ended_of(std::uint32_t outcome) noexcept {
    switch (outcome) {
        case TENON_UPSTREAM_OK:
            return Ended::ok;
        case TENON_UPSTREAM_LIMITED:
        case TENON_UPSTREAM_BANNED:
            return Ended::limited;
        default:
            return Ended::failed;
    }
}

void require(tenon_status status, const ErrorBuffer& err) {
    if (status != TENON_OK) {
        throw Error{status, std::string{err.message()}};
    }
}

void check(const AdaptiveSettings& limit) {
    const GradientOptions& g = limit.gradient;
    if (limit.name.empty() || g.floor < 1 || g.floor > g.initial || g.initial > g.ceiling ||
        g.ceiling > AdaptiveLimits::k_ceiling_max || g.tolerance < 1 || g.half_life_ns <= 0 ||
        limit.answer_timeout_ns <= 0) {
        throw Error{
            TENON_INVALID,
            "limit " + limit.name +
                ": expected a name, 1 <= floor <= initial <= ceiling <= 1000000, and a tolerance "
                "of at least 1"};
    }
}

}  // namespace

AdaptiveLimits::Limit::Limit(const AdaptiveSettings& settings)
    : answer_timeout_ns{settings.answer_timeout_ns},
      floor{static_cast<std::int64_t>(settings.gradient.floor)},
      ceiling{static_cast<std::int64_t>(settings.gradient.ceiling)},
      fresh{settings.gradient},
      name_{settings.name} {
    for (std::size_t i = 0; i <= k_keys_max; ++i) {
        places.push_back(std::make_unique<Place>(settings.gradient));
    }
}

void AdaptiveLimits::apply(const std::vector<AdaptiveSettings>& limits) {
    std::for_each(limits.begin(), limits.end(), check);
    require_different_names(limits);
    const std::lock_guard lock{mutex_};
    table_.require_room(limits);
    for (const AdaptiveSettings& each : limits) {
        const auto found = table_.index_of(each.name);
        if (!found) {
            auto made = std::make_unique<Limit>(each);
            link(*made);
            table_.append(std::move(made));
            continue;
        }
        Limit& known = *table_.at(*found);
        known.answer_timeout_ns = each.answer_timeout_ns;
        known.floor = static_cast<std::int64_t>(each.gradient.floor);
        known.ceiling = static_cast<std::int64_t>(each.gradient.ceiling);
        while (known.moving.test_and_set(std::memory_order_acquire)) {}
        known.fresh = each.gradient;
        for (const auto& place : known.places) {
            while (place->busy.test_and_set(std::memory_order_acquire)) {}
            place->gradient.set(each.gradient);
            place->limit = place->gradient.limit();
            place->busy.clear(std::memory_order_release);
        }
        known.moving.clear(std::memory_order_release);
    }
}

void AdaptiveLimits::link(Limit& limit) const {
    std::uint32_t id = 0;
    const bool found = rates_ && rates_->find(rates_.self, str(limit.name()), &id) == TENON_OK;
    limit.rate_id = found ? id : Limit::k_no_rate;
}

void AdaptiveLimits::set_rates(Service<tenon_throttle_1> rates) {
    const std::lock_guard lock{mutex_};
    rates_ = rates;
    table_.each([this](Limit& limit) { link(limit); });
}

std::optional<std::uint32_t> AdaptiveLimits::find(std::string_view name) const noexcept {
    if (const auto index = table_.index_of(name)) {
        return k_ours | *index;
    }
    std::uint32_t id = 0;
    if (rates_ && rates_->find(rates_.self, str(name), &id) == TENON_OK && (id & k_ours) == 0) {
        return id;
    }
    return std::nullopt;
}

AdaptiveLimits::Limit* AdaptiveLimits::ours(std::uint32_t id) const noexcept {
    return (id & k_ours) != 0 ? table_.at(id & ~k_ours) : nullptr;
}

std::uint64_t AdaptiveLimits::hash_of(std::string_view key) noexcept {
    return (std::hash<std::string_view>{}(key) & ~k_count) | (k_moving << 1U);
}

std::size_t AdaptiveLimits::first_of(std::uint64_t key) noexcept {
    return key >> 32U;
}

AdaptiveLimits::Place* AdaptiveLimits::find_place(const Limit& limit, std::uint64_t key) noexcept {
    for (std::size_t i = 0; i < k_keys_max; ++i) {
        Place& place = *limit.places[(first_of(key) + i) % k_keys_max];
        const std::uint64_t has = place.key();
        if (has == key) {
            return &place;
        }
        if (has == k_free) {
            return nullptr;
        }
    }
    return nullptr;
}

AdaptiveLimits::Place&
AdaptiveLimits::find_or_make(Limit& limit, std::uint64_t key, std::int64_t now_ns) noexcept {
    for (std::size_t i = 0; i < k_keys_max; ++i) {
        Place& place = *limit.places[(first_of(key) + i) % k_keys_max];
        std::uint64_t has = place.holding.load(std::memory_order_acquire);
        if ((has & ~k_count) == key ||
            (has == k_free &&
             (place.holding.compare_exchange_strong(has, key) || (has & ~k_count) == key))) {
            return place;
        }
    }
    // One at a time, so that no key has two; the others wait for nobody.
    if (limit.moving.test_and_set(std::memory_order_acquire)) {
        return limit.shared();
    }
    Place* const found = find_place(limit, key);
    Place* const mine = found != nullptr ? found : take_idle(limit, key, now_ns);
    limit.moving.clear(std::memory_order_release);
    return mine != nullptr ? *mine : limit.shared();
}

AdaptiveLimits::Place*
AdaptiveLimits::take_idle(Limit& limit, std::uint64_t key, std::int64_t now_ns) noexcept {
    std::int64_t oldest_ns =
        now_ns - std::max<std::int64_t>(limit.answer_timeout_ns.load(std::memory_order_relaxed), 1);
    Place* idle = nullptr;
    for (std::size_t i = 0; i < k_keys_max; ++i) {
        Place& place = *limit.places[i];
        const std::int64_t begun_ns = place.begun_ns.load(std::memory_order_relaxed);
        if (place.in_flight() == 0 && begun_ns <= oldest_ns) {
            oldest_ns = begun_ns;
            idle = &place;
        }
    }
    return idle != nullptr && hand_over(limit, *idle, key, now_ns) ? idle : nullptr;
}

bool AdaptiveLimits::hand_over(
    const Limit& limit,
    Place& place,
    std::uint64_t key,
    std::int64_t now_ns
) noexcept {
    std::uint64_t before = place.key();  // and nothing under way
    if (!place.holding.compare_exchange_strong(before, k_moving)) {
        return false;
    }
    if (place.busy.test_and_set(std::memory_order_acquire)) {
        place.holding.store(before);
        return false;
    }
    place.gradient = Gradient{limit.fresh};
    place.limit = place.gradient.limit();
    place.unloaded_ns = 0;
    place.begun_ns = now_ns;
    place.busy.clear(std::memory_order_release);
    place.holding.store(key);
    return true;
}

std::int64_t AdaptiveLimits::allowed(const Limit& limit, const Place& place) const noexcept {
    const std::int64_t whole = adapts_.load(std::memory_order_relaxed)
                                   ? place.limit.load(std::memory_order_relaxed)
                                   : limit.ceiling.load(std::memory_order_relaxed);
    const std::int64_t share = share_.load(std::memory_order_relaxed);
    const std::int64_t least = std::min(whole, limit.floor.load(std::memory_order_relaxed));
    return share >= 1'000 ? whole : std::max(whole * share / 1'000, least);
}

AdaptiveLimits::Entry AdaptiveLimits::enter(
    Limit& limit,
    Place& place,
    std::uint64_t key,
    std::int64_t now_ns
) const noexcept {
    const std::int64_t allowed = this->allowed(limit, place);
    const std::int64_t timeout_ns = limit.answer_timeout_ns.load(std::memory_order_relaxed);
    const bool lost = now_ns - place.begun_ns.load() > timeout_ns;
    std::uint64_t before = place.holding.load();
    if (lost && (before & ~k_count) == key && before != key) {
        // One thread's, whoever is first.
        (void)place.holding.compare_exchange_strong(before, key);
        before = place.holding.load();
    }
    do {
        if ((before & ~k_count) != key) {
            return Entry::no;
        }
        if (static_cast<std::int64_t>(before & k_count) >= allowed) {
            return Entry::full;
        }
    } while (!place.holding.compare_exchange_weak(before, before + 1));
    place.begun_ns.store(now_ns, std::memory_order_relaxed);
    return Entry::yes;
}

AdaptiveLimits::Place* AdaptiveLimits::enter_for(
    Limit& limit,
    std::uint64_t key,
    std::int64_t now_ns,
    Place*& last
) const noexcept {
    last = &find_or_make(limit, key, now_ns);
    Entry entry = last == &limit.shared() ? Entry::no : enter(limit, *last, key, now_ns);
    if (entry == Entry::no) {
        last = &limit.shared();
        entry = enter(limit, *last, k_free, now_ns);
    }
    return entry == Entry::yes ? last : nullptr;
}

std::int64_t AdaptiveLimits::leave(Place& place, std::uint64_t key) noexcept {
    std::uint64_t before = place.holding.load();
    do {
        if ((before & ~k_count) != key || before == key) {
            return 0;
        }
    } while (!place.holding.compare_exchange_weak(before, before - 1));
    return static_cast<std::int64_t>(before & k_count);
}

// All of a key's that are under way are counted in its own place or in the shared one. Whichever of
// them ends first, those in its own place go first: once all have ended none is left in either.
AdaptiveLimits::Left AdaptiveLimits::leave(const Limit& limit, std::uint64_t key) noexcept {
    if (Place* const own = find_place(limit, key)) {
        if (const std::int64_t under_way = leave(*own, key); under_way > 0) {
            return {*own, under_way};
        }
    }
    return {limit.shared(), std::max<std::int64_t>(leave(limit.shared(), k_free), 1)};
}

std::optional<AdaptiveLimits::Sorted> AdaptiveLimits::sort(Claims claims) const noexcept {
    Sorted out;
    if (claims.empty() || claims.size() > TENON_THROTTLE_CLAIMS_MAX) {
        return std::nullopt;
    }
    for (const tenon_throttle_claim& claim : claims) {
        if (claim.cost == 0 || claim.key.n > TENON_THROTTLE_KEY_MAX) {
            return std::nullopt;
        }
        tenon_throttle_claim rate = claim;
        if (Limit* const limit = ours(claim.limit)) {
            out.limits[out.ours] = limit;
            out.keys[out.ours++] = hash_of({claim.key.n == 0 ? "" : claim.key.p, claim.key.n});
            const auto rate_id = limit->rate();
            if (!rate_id) {
                continue;
            }
            rate.limit = *rate_id;
        } else if ((claim.limit & k_ours) != 0 || !rates_) {
            return std::nullopt;
        }
        out.rates[out.rate_count++] = rate;
    }
    return out;
}

tenon_status
AdaptiveLimits::take(Claims claims, std::int64_t now_ns, std::int64_t& retry_after_ns) noexcept {
    auto sorted = sort(claims);
    if (!sorted) {
        return TENON_INVALID;
    }
    retry_after_ns = 0;
    std::size_t entered = 0;
    tenon_status status = TENON_OK;
    while (status == TENON_OK && entered < sorted->ours) {
        Place* last = nullptr;
        Place* const place =
            enter_for(*sorted->limits[entered], sorted->keys[entered], now_ns, last);
        if (place != nullptr) {
            ++entered;
        } else {
            status = TENON_LIMITED;
            // One ends in about the time that one takes, divided by how many there are.
            retry_after_ns = std::max(
                last->unloaded_ns.load() / std::max<std::int64_t>(last->limit.load(), 1),
                k_least_wait_ns
            );
        }
    }
    if (status == TENON_OK && sorted->rate_count > 0) {
        status = rates_->take(
            rates_.self, sorted->rates.data(), sorted->rate_count, now_ns, &retry_after_ns
        );
    }
    for (std::size_t i = 0; i < sorted->ours; ++i) {
        if (status != TENON_OK && i < entered) {
            (void)leave(*sorted->limits[i], sorted->keys[i]);
        }
        (status == TENON_OK ? sorted->limits[i]->granted : sorted->limits[i]->refused).fetch_add(1);
    }
    return status;
}

void AdaptiveLimits::refund(Claims claims, std::int64_t now_ns) noexcept {
    const auto sorted = sort(claims);
    if (!sorted) {
        return;
    }
    for (std::size_t i = 0; i < sorted->ours; ++i) {
        (void)leave(*sorted->limits[i], sorted->keys[i]);
    }
    if (sorted->rate_count > 0) {
        rates_->refund(rates_.self, sorted->rates.data(), sorted->rate_count, now_ns);
    }
}

void AdaptiveLimits::observe(
    std::uint32_t limit,
    std::string_view key,
    const tenon_throttle_feedback& feedback,
    std::int64_t now_ns
) noexcept {
    Limit* const mine = ours(limit);
    if ((mine == nullptr && (limit & k_ours) != 0) || key.size() > TENON_THROTTLE_KEY_MAX) {
        return;
    }
    if (mine != nullptr) {
        const auto [place, under_way] = leave(*mine, hash_of(key));
        if (adapts_.load() && !place.busy.test_and_set(std::memory_order_acquire)) {
            place.gradient.ended(
                ended_of(feedback.outcome), feedback.latency_ns, under_way, now_ns
            );
            place.limit.store(place.gradient.limit(), std::memory_order_relaxed);
            place.unloaded_ns.store(static_cast<std::int64_t>(place.gradient.unloaded_ns()));
            place.busy.clear(std::memory_order_release);
        }
    }
    const auto rate_id = mine == nullptr ? std::optional{limit} : mine->rate();
    if (rate_id && rates_ && TENON_HAS(rates_.table, tenon_throttle_1, observe)) {
        rates_->observe(rates_.self, *rate_id, str(key), &feedback, now_ns);
    }
}

bool AdaptiveLimits::state(
    std::uint32_t limit,
    std::string_view key,
    std::int64_t now_ns,
    tenon_throttle_state& out
) noexcept {
    Limit* const mine = ours(limit);
    if (mine == nullptr) {
        return (limit & k_ours) == 0 && rates_ &&
               rates_->state(rates_.self, limit, str(key), now_ns, &out) == TENON_OK;
    }
    const Place* const own = find_place(*mine, hash_of(key));
    const Place& place = own != nullptr ? *own : mine->shared();
    out.burst = allowed(*mine, place);
    out.available = std::max<std::int64_t>(out.burst - place.in_flight(), 0);
    return true;
}

std::string AdaptiveLimits::level(std::string_view limit) const {
    const std::lock_guard lock{mutex_};
    const auto found = find(limit);
    const Limit* const mine = found ? ours(*found) : nullptr;
    if (!found && !limit.empty()) {
        throw Error{TENON_NOT_FOUND, "there is no limit " + std::string{limit}};
    }
    if (!rates_ || (mine != nullptr && !mine->rate())) {
        return "custom";
    }
    StringSink text;
    ErrorBuffer err;
    require(rates_->level(rates_.self, str(limit), text.sink(), &err), err);
    return text.text();
}

void AdaptiveLimits::set_level(std::string_view limit, std::string_view level) {
    const std::lock_guard lock{mutex_};
    const auto found = find(limit);
    const Limit* const mine = found ? ours(*found) : nullptr;
    if (!found && !limit.empty()) {
        throw Error{TENON_NOT_FOUND, "there is no limit " + std::string{limit}};
    }
    if (!rates_ || (mine != nullptr && !mine->rate())) {
        throw Error{
            TENON_INVALID,
            "limit " + std::string{limit} + " follows its upstream and has no level to set"};
    }
    ErrorBuffer err;
    require(rates_->set_level(rates_.self, str(limit), str(level), &err), err);
}

std::vector<AdaptiveLimits::Totals> AdaptiveLimits::totals() const {
    const std::lock_guard lock{mutex_};
    std::vector<Totals> out;
    table_.each([&](const Limit& limit) {
        Totals each;
        each.name = limit.name();
        each.taken = limit.taken();
        each.limited = limit.limited();
        std::int64_t most = -1;
        for (const auto& place : limit.places) {
            each.keys += place->key() > k_moving ? 1U : 0U;
            const std::int64_t under_way = place->in_flight();
            each.in_flight += under_way;
            if (place->key() > k_moving && under_way > most) {
                most = under_way;
                each.limit = place->limit.load();
                each.unloaded_seconds = static_cast<double>(place->unloaded_ns.load()) / 1e9;
            }
        }
        out.push_back(std::move(each));
    });
    return out;
}

std::string AdaptiveLimits::stats() const {
    std::string out{"{"};
    for (const auto& each : totals()) {
        out.append(out.size() == 1 ? "" : ",");
        append_json(out, each.name);
        out.append(":{\"level\":\"custom\",\"rate_per_second\":0,\"burst\":")
            .append(std::to_string(each.limit))
            .append(",\"keys\":")
            .append(std::to_string(each.keys))
            .append(",\"taken\":")
            .append(std::to_string(each.taken))
            .append(",\"limited\":")
            .append(std::to_string(each.limited))
            .append(",\"in_flight\":")
            .append(std::to_string(each.in_flight))
            .append(",\"unloaded_us\":")
            .append(std::to_string(static_cast<std::int64_t>(each.unloaded_seconds * 1e6)))
            .append("}");
    }
    return out.append("}");
}

}  // namespace tenon::adaptive
