// SPDX-License-Identifier: Apache-2.0
// Loads of the stack: one flight a key, its waiters, refreshes in the background.
#include "plugins/cache/stack/flight.hpp"
#include "plugins/cache/stack/stack.hpp"

#include <tenon/byte_codec.hpp>

#include <algorithm>
#include <chrono>
#include <tuple>

namespace tenon::cache_stack {
namespace {

constexpr std::int64_t k_slice_ns = 20'000'000;

tenon_status fail_as(const Flight& flight, tenon_err* err) noexcept {
    if (flight.status < 0) {
        return fail(err, flight.status, flight.error.message(), flight.error.flags);
    }
    return flight.status;
}

void answer_of(const Flight& flight, bool joined, tenon_cache_answer& answer) noexcept {
    answer.source = joined ? TENON_CACHE_JOINED : flight.source;
    answer.tier = flight.tier;
    answer.expires_ns = flight.expires_ns;
}

}  // namespace

// A request of fetch_async, owned by whoever will answer it. Everything runs on its reactor.
struct AsyncRequest {
    tenon_cache_request request{};  // its key is not borrowed
    std::string key;
    bool again = false;  // what it joined did not hold
    tenon_cache_done done{};
    Service<tenon_exec_1> exec;
    std::uint32_t reactor = 0;
    std::uint64_t timer = 0;
    bool answered = false;

    void answer(
        tenon_status status,
        std::string_view value,
        const tenon_cache_answer& how,
        const tenon_err* err
    ) noexcept {
        if (std::exchange(answered, true)) {
            return;
        }
        forget_timer();
        done.fn(done.ctx, status, bytes(value), &how, err);
    }

    void forget_timer() noexcept {
        if (timer != 0) {
            exec->cancel_timer(exec.self, std::exchange(timer, 0));
        }
    }

    void give_up() noexcept {
        timer = 0;
        ErrorBuffer err;
        fail(&err, TENON_TIMEOUT, "another request's load is not done yet");
        answer(TENON_TIMEOUT, {}, sized<tenon_cache_answer>(), &err);
    }
};

void Stack::count_joined(Cache& cache) noexcept {
    cache.counters.joined.fetch_add(1, std::memory_order_relaxed);
    cache.counters.misses.fetch_add(1, std::memory_order_relaxed);
}

void Stack::count_ended(Cache& cache, const Flight& flight) noexcept {
    if (flight.source == TENON_CACHE_LOADED) {
        cache.counters.misses.fetch_add(1, std::memory_order_relaxed);
    }
}

Stack::FlightPart& Stack::part_of(std::string_view tier_key) noexcept {
    return flights_[hash_of(tier_key) >> 60];
}

std::pair<std::shared_ptr<Flight>, bool>
Stack::join_or_begin(const std::string& tier_key, std::int64_t ends_ns, bool refresh) {
    auto fresh = std::make_shared<Flight>();
    fresh->ends_ns = ends_ns;
    std::shared_ptr<Flight> late;
    {
        FlightPart& part = part_of(tier_key);
        const std::lock_guard lock{part.mutex};
        auto& flight = part.flights[tier_key];
        if (flight && (refresh || now_ns() < flight->ends_ns || !flight->late.expired())) {
            ++flight->joined;
            return {flight, false};
        }
        // A loader that hangs does not take its key with it: one more runs beside it, no third.
        late = std::exchange(flight, fresh);
        fresh->late = late;
        fresh->sequence = next_sequence();
    }
    if (late) {
        const std::lock_guard lock{late->mutex};
        late->spoiled = true;  // what it brings in the end is older than what comes now
    }
    return {fresh, true};
}

void Stack::end_flight(const std::string& tier_key, const std::shared_ptr<Flight>& flight) {
    bool joined = false;
    {
        FlightPart& part = part_of(tier_key);
        const std::lock_guard lock{part.mutex};
        const auto found = part.flights.find(tier_key);
        if (found != part.flights.end() && found->second == flight) {
            part.flights.erase(found);
        }
        joined = flight->joined != 0;
    }
    // From here on nobody joins, so that what holds now held for everybody who did.
    bool passed = false;
    if (joined && (flight->status == TENON_OK || flight->status == TENON_NOT_FOUND)) {
        passed = !std::all_of(flight->scopes.begin(), flight->scopes.end(), [&](Scope scope) {
            return tags_.holds(scope, flight->sequence);
        });
        passed = passed || (flight->strict && !held(flight->holds));
    }
    std::vector<Flight::Waiter> waiters;
    {
        const std::lock_guard lock{flight->mutex};
        flight->passed = passed || flight->spoiled;
        flight->done = true;
        waiters.swap(flight->waiters);
        flight->ended.notify_all();
    }
    for (const Flight::Waiter& waiter : waiters) {
        (void)guard(nullptr, [&] { waiter(*flight); });
    }
}

void Stack::spoil_flight(const std::string& tier_key) {
    std::shared_ptr<Flight> flight;
    {
        FlightPart& part = part_of(tier_key);
        const std::lock_guard lock{part.mutex};
        ++part.erasures;
        const auto found = part.flights.find(tier_key);
        if (found == part.flights.end()) {
            return;
        }
        flight = found->second;
        part.flights.erase(found);
    }
    const std::lock_guard lock{flight->mutex};
    flight->spoiled = true;
}

std::int64_t
Stack::jittered(std::int64_t ttl_ns, std::uint32_t percent, std::uint64_t any) noexcept {
    constexpr std::uint64_t k_steps = 1024;
    const auto step = static_cast<std::int64_t>(Hash64::mix(any) % k_steps);
    return ttl_ns - ttl_ns / 100 * percent / static_cast<std::int64_t>(k_steps) * step;
}

void Stack::keep(Cache& cache, std::string_view key, Flight& flight, const Kept& kept) {
    const auto settings = settings_.read();
    const Lifetimes& times = settings->times_of(cache.name);
    const bool negative = flight.status == TENON_NOT_FOUND;
    const std::int64_t full_ns =
        negative ? std::chrono::nanoseconds{times.negative_ttl}.count() *
                       (settings->negative_entries ? 1 : 0)
                 : (kept.ttl_ns != 0 ? kept.ttl_ns : std::chrono::nanoseconds{times.ttl}.count());
    // Entries that were loaded together do not end together.
    const std::int64_t fresh_ns = jittered(
        full_ns,
        settings->jitter_percent,
        hash_of(key) ^ static_cast<std::uint64_t>(flight.sequence)
    );
    if (full_ns <= 0 || kept.ttl_ns < 0) {
        if (cache.refreshes.load()) {
            // What was served while it was stale is known to be gone.
            erase_everywhere(cache, key);
        }
        return;
    }
    const std::int64_t stale_ns = negative ? 0 : std::chrono::nanoseconds{times.stale}.count();
    const TierKey tier_key{cache.name, key};
    Envelope envelope;
    envelope.negative = negative;
    envelope.sequence = flight.sequence;
    envelope.stale_ns = stale_ns;
    envelope.tags = kept.tags;
    envelope.whole_key = tier_key.hashed ? key : std::string_view{};
    envelope.value = flight.value;
    std::string data = encode(envelope);
    const Consistency consistency = consistency_of(cache);
    bool mine = false;
    {
        // Under the flight's lock: an erase comes before it, and nothing is written, or after it,
        // and takes away what was.
        const std::lock_guard lock{flight.mutex};
        if (flight.spoiled || !wanted(cache, key, envelope)) {
            return;
        }
        if (flight.secret) {
            const std::int64_t ttl_ns = fresh_ns + stale_ns;
            if (keep_locked(cache, key, tier_key.text, data, ttl_ns)) {
                flight.expires_ns = now_ns() + ttl_ns;
            }
            return;
        }
        write(false, consistency, tier_key.text, data, fresh_ns + stale_ns);
        flight.expires_ns = now_ns() + fresh_ns + stale_ns;
        if (any_used()) {
            cache.index.add(hash_of(key), flight.expires_ns);
        }
        if (any_blocking_) {
            // Under the lock too: an erase or a put from now on comes after this.
            mine = supersede(
                tier_key.text,
                [this,
                 consistency,
                 held = flight.shared_from_this(),
                 text = tier_key.text,
                 data,
                 ttl_ns = fresh_ns + stale_ns] {
                    write_loaded(consistency, held->tokens, text, data, ttl_ns);
                    bool spoiled = false;
                    {
                        const std::lock_guard inner{held->mutex};
                        spoiled = held->spoiled;
                    }
                    if (spoiled) {  // since
                        erase_blocking(consistency, text);
                    }
                }
            );
        }
    }
    if (mine) {
        settle(tier_key.text);
    }
    write_shared(flight.holds, tier_key.text, data, fresh_ns + stale_ns);
}

void Stack::load_into(
    Cache& cache,
    std::string_view key,
    Flight& flight,
    std::int64_t deadline_ns,
    const Load& load
) {
    cache.counters.loads.fetch_add(1, std::memory_order_relaxed);
    if (Ahead* const ahead = ahead_now_.load()) {
        ahead->by_key.loaded();
        ahead->by_thread.loaded();
    }
    const std::int64_t began_ns = now_ns();
    StringSink value;
    if (flight.secret) {
        value.text().reserve(LockedStore::k_slot_bytes);  // it grows without leaving copies
    }
    auto keep_as = sized<tenon_cache_keep>();
    flight.status = load(deadline_ns, value.sink(), &keep_as, &flight.error);
    flight.source = TENON_CACHE_LOADED;
    const std::int64_t before_ns = cache.load_ns.load(std::memory_order_relaxed);
    const std::int64_t took_ns = now_ns() - began_ns;
    cache.load_ns.store(
        before_ns == 0 ? took_ns : before_ns + (took_ns - before_ns) / 8, std::memory_order_relaxed
    );
    if (flight.status == TENON_OK) {
        flight.value = std::move(value.text());
    } else if (flight.status != TENON_NOT_FOUND) {
        cache.counters.load_errors.fetch_add(1, std::memory_order_relaxed);
        return;
    }
    // A value that cannot be kept is answered all the same.
    ErrorBuffer err;
    const auto kept = guard(&err, [&] {
        const Kept kept_as = copy_keep(&keep_as);
        for (const std::uint64_t tag : kept_as.tags) {
            append_scopes(cache.tag, tag, flight.scopes);
        }
        hold_tags(cache, kept_as.tags, flight.holds);
        keep(cache, key, flight, kept_as);
    });
    if (kept != TENON_OK) {
        services_.log.warn("cache_not_kept", {{"cache", cache.name}, {"reason", err.message()}});
    }
}

void Stack::fly(
    Cache& cache,
    std::string_view key,
    const std::shared_ptr<Flight>& flight,
    bool also_blocking,
    std::int64_t deadline_ns,
    const Load& load
) {
    const TierKey tier_key{cache.name, key};
    const tenon_status status = guard(&flight->error, [&] {
        const Consistency consistency = consistency_of(cache);
        flight->strict = consistency == Consistency::strict;
        flight->secret = cache.locked.load();
        flight->scopes = {cache.tag, key_scope(cache.tag, key)};
        // Somebody else's flight may have ended between the look and the beginning of this one.
        auto entry =
            flight->early
                ? std::nullopt
                : look(cache, key, tier_key, also_blocking || flight->strict, &flight->hint);
        if (!entry || entry->stale) {
            if (consistency != Consistency::timed && !flight->secret) {
                flight->holds = hold(cache, key, flight->hint);
            } else if (!flight->secret && any_shared_) {
                flight->tokens = tokens_of(tier_key.text);
            }
            load_into(cache, key, *flight, deadline_ns, load);
            return;
        }
        StringSink value;
        tenon_cache_answer answer{};
        flight->status = answer_with(cache, *entry, value.sink(), answer);
        flight->value = std::move(value.text());
        flight->source = TENON_CACHE_HIT;
        flight->tier = entry->tier;
        flight->expires_ns = entry->expires_ns;
        for (const std::uint64_t tag : entry->envelope.tags) {
            append_scopes(cache.tag, tag, flight->scopes);
        }
        if (flight->strict) {
            flight->holds = {{tiers_[entry->tier].get(), entry->stamps, {}}};
        }
    });
    if (status != TENON_OK) {
        flight->status = status;
    }
    end_flight(tier_key.text, flight);
}

tenon_status Stack::fetch(
    const tenon_cache_request& request,
    tenon_sink out,
    tenon_cache_answer& answer,
    tenon_err* err
) {
    check_open();
    const std::string_view key = view(request.key);
    check_key(key);
    if (request.load == nullptr) {
        throw Error{TENON_INVALID, "a request without a loader"};
    }
    Cache& cache = cache_at(request.cache);
    const TierKey tier_key{cache.name, key};
    std::shared_ptr<Flight> flight;
    bool mine = false;
    // Twice at most: a flight that is found after another has ended began after this request.
    for (bool again = false;; again = true) {
        std::vector<Scope> hint;
        const auto entry = look(cache, key, tier_key, true, &hint);
        if (!again) {
            asked(request.cache, cache, key, entry ? &*entry : nullptr);
        }
        if (entry) {
            return answer_with(cache, *entry, out, answer);
        }
        std::tie(flight, mine) = join_or_begin(tier_key.text, request.deadline_ns, false);
        if (mine) {
            flight->hint = std::move(hint);
            fly(cache, key, flight, false, request.deadline_ns, [&](auto... args) {
                return request.load(request.ctx, args...);
            });
            count_ended(cache, *flight);
            break;
        }
        count_joined(cache);
        if (!wait_for(*flight, request.deadline_ns)) {
            return fail(err, TENON_TIMEOUT, "another request's load is not done yet");
        }
        if (!flight->passed || again) {
            break;
        }
    }
    answer_of(*flight, !mine, answer);
    if (flight->status != TENON_OK) {
        return fail_as(*flight, err);
    }
    return out.put(out.ctx, bytes(flight->value));
}

bool Stack::wait_for(Flight& flight, std::int64_t deadline_ns) const {
    std::unique_lock lock{flight.mutex};
    while (!flight.done) {
        const std::int64_t left_ns = deadline_ns - now_ns();
        if (left_ns <= 0) {
            return false;
        }
        // In slices: the host's clock need not be the one that this wait goes by.
        flight.ended.wait_for(lock, std::chrono::nanoseconds{std::min(left_ns, k_slice_ns)});
    }
    return true;
}

void Stack::fetch_async(const tenon_cache_request& request, tenon_cache_done done) {
    check_open();
    check_key(view(request.key));
    if (request.load == nullptr) {
        throw Error{TENON_INVALID, "a request without a loader"};
    }
    const std::int32_t reactor = services_.exec->current_reactor(services_.exec.self);
    if (reactor < 0) {
        throw Error{TENON_INVALID, "fetch_async is for reactors"};
    }
    auto mine = std::make_shared<AsyncRequest>();
    mine->request = request;
    mine->key = view(request.key);
    mine->done = done;
    mine->exec = services_.exec;
    mine->reactor = static_cast<std::uint32_t>(reactor);
    begin_async(mine);
}

void Stack::ask_again(const std::shared_ptr<AsyncRequest>& mine) {
    mine->again = true;
    mine->forget_timer();
    ErrorBuffer err;
    const tenon_status status = guard(&err, [&] { begin_async(mine); });
    if (status != TENON_OK) {
        mine->answer(status, {}, sized<tenon_cache_answer>(), &err);
    }
}

void Stack::begin_async(const std::shared_ptr<AsyncRequest>& mine) {
    Cache& cache = cache_at(mine->request.cache);
    const TierKey tier_key{cache.name, mine->key};
    auto entry = look(cache, mine->key, tier_key, false);
    if (!mine->again) {
        asked(mine->request.cache, cache, mine->key, entry ? &*entry : nullptr);
    }
    if (entry) {
        tenon_cache_answer answer = sized<tenon_cache_answer>();
        const tenon_sink nowhere{
            nullptr, [](void*, tenon_bytes) { return tenon_status{TENON_OK}; }};
        const tenon_status status = answer_with(cache, *entry, nowhere, answer);
        const auto kept = std::make_shared<const Entry>(std::move(*entry));
        deliver(mine->reactor, [mine, status, answer, kept] {
            mine->answer(status, kept->envelope.value, answer, nullptr);
        });
        return;
    }
    const auto [flight, begun] = join_or_begin(tier_key.text, mine->request.deadline_ns, false);
    const bool joined = !begun;
    const Flight::Waiter waiter = [this, mine, joined, held = flight](const Flight&) {
        deliver(mine->reactor, [this, mine, joined, held] {
            if (joined && held->passed && !mine->again && !mine->answered) {
                ask_again(mine);
                return;
            }
            tenon_cache_answer answer = sized<tenon_cache_answer>();
            answer_of(*held, joined, answer);
            const bool ok = held->status == TENON_OK;
            mine->answer(held->status, ok ? held->value : "", answer, ok ? nullptr : &held->error);
        });
    };
    bool over = false;
    std::size_t own = 0;  // waiters are only appended until the flight ends
    {
        const std::lock_guard lock{flight->mutex};
        over = flight->done;
        if (!over) {
            own = flight->waiters.size();
            flight->waiters.push_back(waiter);
        }
    }
    if (over) {
        waiter(*flight);
        return;
    }
    if (joined) {
        count_joined(cache);
        // Only who joined may give up: the loader of who began still uses its request.
        // The flight's waiter keeps the request until it has been answered on this reactor, which
        // also takes the timer back.
        mine->timer = services_.exec->timer(
            services_.exec.self,
            mine->request.deadline_ns,
            [](void* ctx) noexcept { static_cast<AsyncRequest*>(ctx)->give_up(); },
            mine.get()
        );
        return;
    }
    fly_on_pool(cache, flight, mine, own);
}

void Stack::fly_on_pool(
    Cache& cache,
    const std::shared_ptr<Flight>& flight,
    const std::shared_ptr<AsyncRequest>& mine,
    std::size_t own
) {
    background_.enter();
    try {
        run_blocking(services_.exec, [this, &cache, flight, mine] {
            const Leaving leaving{background_};
            const tenon_cache_request& request = mine->request;
            fly(cache, mine->key, flight, true, request.deadline_ns, [&](auto... args) {
                return request.load(request.ctx, args...);
            });
            count_ended(cache, *flight);
        });
    } catch (...) {
        background_.leave();
        {
            const std::lock_guard lock{flight->mutex};
            // This request is refused; others may have joined before it was added.
            flight->waiters.erase(flight->waiters.begin() + static_cast<std::ptrdiff_t>(own));
            flight->status = guard(&flight->error, []() -> tenon_status { throw; });
        }
        end_flight(TierKey{cache.name, mine->key}.text, flight);
        throw;
    }
}

void Stack::refresh(std::uint32_t id, void* ctx, RefreshFn load) {
    Cache& cache = cache_at(id);
    {
        const std::lock_guard lock{cache.refresh_mutex};
        cache.refresh_ctx = ctx;
        cache.refresh = load;
        cache.refreshes.store(load != nullptr);
    }
    if (load == nullptr) {
        cache.refreshing.wait();
    } else {
        want_warm(id);
    }
}

}  // namespace tenon::cache_stack
