// SPDX-License-Identifier: Apache-2.0
// Loads of the stack: one flight a key, its waiters, refreshes in the background.
#include "plugins/cache/stack/flight.hpp"
#include "plugins/cache/stack/stack.hpp"

#include <algorithm>
#include <chrono>

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

// A request of fetch_async, owned by whoever will answer it. Everything runs on its reactor.
struct AsyncRequest {
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
        if (timer != 0) {
            exec->cancel_timer(exec.self, std::exchange(timer, 0));
        }
        done.fn(done.ctx, status, bytes(value), &how, err);
    }

    void give_up() noexcept {
        timer = 0;
        ErrorBuffer err;
        fail(&err, TENON_TIMEOUT, "another request's load is not done yet");
        answer(TENON_TIMEOUT, {}, sized<tenon_cache_answer>(), &err);
    }
};

}  // namespace

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

std::pair<std::shared_ptr<Flight>, bool> Stack::join_or_begin(const std::string& tier_key) {
    FlightPart& part = part_of(tier_key);
    const std::lock_guard lock{part.mutex};
    auto& flight = part.flights[tier_key];
    if (flight) {
        return {flight, false};
    }
    try {
        flight = std::make_shared<Flight>();
    } catch (...) {
        part.flights.erase(tier_key);
        throw;
    }
    flight->sequence = next_sequence();
    return {flight, true};
}

void Stack::end_flight(const std::string& tier_key, const std::shared_ptr<Flight>& flight) {
    {
        FlightPart& part = part_of(tier_key);
        const std::lock_guard lock{part.mutex};
        part.flights.erase(tier_key);
    }
    std::vector<Flight::Waiter> waiters;
    {
        const std::lock_guard lock{flight->mutex};
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
    }
    const std::lock_guard lock{flight->mutex};
    flight->spoiled = true;
}

void Stack::keep(Cache& cache, std::string_view key, Flight& flight, const Kept& kept) {
    const auto settings = settings_.read();
    const Lifetimes& times = settings->times_of(cache.name);
    const bool negative = flight.status == TENON_NOT_FOUND;
    const std::int64_t fresh_ns =
        negative ? std::chrono::nanoseconds{times.negative_ttl}.count()
                 : (kept.ttl_ns != 0 ? kept.ttl_ns : std::chrono::nanoseconds{times.ttl}.count());
    if (fresh_ns <= 0 || kept.ttl_ns < 0) {
        if (cache.refreshes.load()) {
            // What was served while it was stale is known to be gone.
            erase_everywhere(TierKey{cache.name, key}.text);
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
    const std::string data = encode(envelope);
    bool mine = false;
    {
        // Under the flight's lock: an erase comes before it, and nothing is written, or after it,
        // and takes away what was.
        const std::lock_guard lock{flight.mutex};
        if (flight.spoiled || !wanted(cache, key, envelope)) {
            return;
        }
        write(false, tier_key.text, data, fresh_ns + stale_ns);
        flight.expires_ns = now_ns() + fresh_ns + stale_ns;
        cache.index.add(hash_of(key), flight.expires_ns);
        if (any_blocking_) {
            // Under the lock too: an erase or a put from now on comes after this.
            mine = supersede(
                tier_key.text,
                [this,
                 held = flight.shared_from_this(),
                 text = tier_key.text,
                 data,
                 ttl_ns = fresh_ns + stale_ns] {
                    write(true, text, data, ttl_ns);
                    bool spoiled = false;
                    {
                        const std::lock_guard inner{held->mutex};
                        spoiled = held->spoiled;
                    }
                    if (spoiled) {  // since, perhaps by another server
                        erase_blocking(text);
                    }
                }
            );
        }
    }
    if (mine) {
        settle(tier_key.text);
    }
}

void Stack::load_into(
    Cache& cache,
    std::string_view key,
    Flight& flight,
    std::int64_t deadline_ns,
    const Load& load
) {
    cache.counters.loads.fetch_add(1, std::memory_order_relaxed);
    StringSink value;
    auto keep_as = sized<tenon_cache_keep>();
    flight.status = load(deadline_ns, value.sink(), &keep_as, &flight.error);
    flight.source = TENON_CACHE_LOADED;
    if (flight.status == TENON_OK) {
        flight.value = std::move(value.text());
    } else if (flight.status != TENON_NOT_FOUND) {
        cache.counters.load_errors.fetch_add(1, std::memory_order_relaxed);
        return;
    }
    // A value that cannot be kept is answered all the same.
    ErrorBuffer err;
    if (guard(&err, [&] { keep(cache, key, flight, copy_keep(&keep_as)); }) != TENON_OK) {
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
        // Somebody else's flight may have ended between the look and the beginning of this one.
        auto entry = look(cache, key, tier_key, also_blocking);
        if (!entry || entry->stale) {
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
    if (const auto entry = look(cache, key, tier_key, true)) {
        if (entry->stale) {
            refresh_later(request.cache, key);
        }
        return answer_with(cache, *entry, out, answer);
    }
    const auto [flight, mine] = join_or_begin(tier_key.text);
    if (mine) {
        fly(cache, key, flight, false, request.deadline_ns, [&](auto... args) {
            return request.load(request.ctx, args...);
        });
        count_ended(cache, *flight);
    } else {
        count_joined(cache);
        std::unique_lock lock{flight->mutex};
        while (!flight->done) {
            const std::int64_t left_ns = request.deadline_ns - now_ns();
            if (left_ns <= 0) {
                return fail(err, TENON_TIMEOUT, "another request's load is not done yet");
            }
            // In slices: the host's clock need not be the one that this wait goes by.
            flight->ended.wait_for(lock, std::chrono::nanoseconds{std::min(left_ns, k_slice_ns)});
        }
    }
    answer_of(*flight, !mine, answer);
    if (flight->status != TENON_OK) {
        return fail_as(*flight, err);
    }
    return out.put(out.ctx, bytes(flight->value));
}

void Stack::fetch_async(const tenon_cache_request& request, tenon_cache_done done) {
    check_open();
    const std::string_view key = view(request.key);
    check_key(key);
    if (request.load == nullptr) {
        throw Error{TENON_INVALID, "a request without a loader"};
    }
    Cache& cache = cache_at(request.cache);
    const std::int32_t reactor = services_.exec->current_reactor(services_.exec.self);
    if (reactor < 0) {
        throw Error{TENON_INVALID, "fetch_async is for reactors"};
    }
    auto mine = std::make_shared<AsyncRequest>();
    mine->done = done;
    mine->exec = services_.exec;
    mine->reactor = static_cast<std::uint32_t>(reactor);
    const TierKey tier_key{cache.name, key};
    if (const auto entry = look(cache, key, tier_key, false)) {
        if (entry->stale) {
            refresh_later(request.cache, key);
        }
        StringSink value;
        tenon_cache_answer answer = sized<tenon_cache_answer>();
        const tenon_status status = answer_with(cache, *entry, value.sink(), answer);
        deliver(mine->reactor, [mine, status, answer, text = value.text()] {
            mine->answer(status, text, answer, nullptr);
        });
        return;
    }
    const auto [flight, begun] = join_or_begin(tier_key.text);
    const bool joined = !begun;
    const Flight::Waiter waiter = [this, mine, joined, held = flight](const Flight&) {
        deliver(mine->reactor, [mine, joined, held] {
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
            request.deadline_ns,
            [](void* ctx) noexcept { static_cast<AsyncRequest*>(ctx)->give_up(); },
            mine.get()
        );
        return;
    }
    background_.enter();
    try {
        run_blocking(
            services_.exec,
            [this, &cache, flight = flight, text = std::string{key}, request] {
                fly(cache, text, flight, true, request.deadline_ns, [&](auto... args) {
                    return request.load(request.ctx, args...);
                });
                count_ended(cache, *flight);
                background_.leave();
            }
        );
    } catch (...) {
        background_.leave();
        {
            const std::lock_guard lock{flight->mutex};
            // This request is refused; others may have joined before it was added.
            flight->waiters.erase(flight->waiters.begin() + static_cast<std::ptrdiff_t>(own));
            flight->status = guard(&flight->error, []() -> tenon_status { throw; });
        }
        end_flight(tier_key.text, flight);
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
    }
}

void Stack::refresh_later(std::uint32_t id, std::string_view key) {
    Cache& cache = cache_at(id);
    const TierKey tier_key{cache.name, key};
    void* ctx = nullptr;
    RefreshFn load = nullptr;
    {
        const std::lock_guard lock{cache.refresh_mutex};
        if (!cache.refreshes.load()) {
            return;
        }
        ctx = cache.refresh_ctx;
        load = cache.refresh;
        cache.refreshing.enter();
    }
    const auto [flight, mine] = join_or_begin(tier_key.text);
    if (!mine) {
        cache.refreshing.leave();
        return;
    }
    const std::int64_t deadline_ns =
        now_ns() + std::chrono::nanoseconds{settings_->refresh_timeout}.count();
    const auto refused = guard(&flight->error, [&, held = flight] {
        run_blocking(
            services_.exec,
            [this, &cache, held, ctx, load, deadline_ns, text = std::string{key}] {
                fly(cache, text, held, false, deadline_ns, [&](auto... args) {
                    return load(ctx, bytes(text), args...);
                });
                cache.refreshing.leave();
            }
        );
    });
    if (refused != TENON_OK) {  // the pool is full: the next request tries again
        flight->status = refused;
        end_flight(tier_key.text, flight);
        cache.refreshing.leave();
    }
}

bool Stack::supersede(const std::string& tier_key, std::function<void()> body) {
    FlightPart& part = part_of(tier_key);
    const std::lock_guard lock{part.mutex};
    const auto [next, first] = part.blocking.try_emplace(tier_key);
    next->second = std::move(body);
    return first;
}

void Stack::settle(const std::string& tier_key) {
    FlightPart& part = part_of(tier_key);
    for (;;) {
        std::function<void()> body;
        {
            const std::lock_guard lock{part.mutex};
            const auto next = part.blocking.find(tier_key);
            if (!next->second) {
                part.blocking.erase(next);
                return;
            }
            body.swap(next->second);
        }
        (void)guard(nullptr, [&] { body(); });
    }
}

void Stack::settle_later(const std::string& tier_key, std::function<void()> body) {
    if (supersede(tier_key, std::move(body)) &&
        guard(nullptr, [&] { later([this, tier_key] { settle(tier_key); }); }) != TENON_OK) {
        settle(tier_key);
    }
}

void Stack::later(std::function<void()> body) {
    background_.enter();
    const auto run = [this, body] {
        (void)guard(nullptr, [&] { body(); });
        background_.leave();
    };
    if (guard(nullptr, [&] { run_blocking(services_.exec, run); }) != TENON_OK) {
        run();
    }
}

void Stack::deliver(std::uint32_t reactor, std::function<void()> body) {
    background_.enter();
    auto counted = [this, body = std::move(body)] {
        (void)guard(nullptr, [&] { body(); });
        background_.leave();
    };
    const auto exec = services_.exec;
    if (exec->current_reactor(exec.self) == static_cast<std::int32_t>(reactor)) {
        // On its own reactor a timer has no queue that could be full.
        auto owned = std::make_unique<std::function<void()>>(std::move(counted));
        exec->timer(
            exec.self,
            now_ns(),
            [](void* ctx) noexcept {
                const std::unique_ptr<std::function<void()>> mine{
                    static_cast<std::function<void()>*>(ctx)};
                (void)guard(nullptr, [&] { (*mine)(); });
            },
            owned.release()
        );
        return;
    }
    constexpr int k_tries = 5000;
    std::mutex mutex;
    std::condition_variable never;
    for (int i = 0; i < k_tries; ++i) {
        if (guard(nullptr, [&] { post(exec, reactor, counted); }) == TENON_OK) {
            return;
        }
        std::unique_lock lock{mutex};
        never.wait_for(lock, std::chrono::milliseconds{1});
    }
    services_.log.error("cache_answer_lost", {{"reason", "the reactor takes nothing"}});
    const std::lock_guard lock{lost_mutex_};
    lost_.push_back(std::move(counted));  // a timer of it may still be set
    background_.leave();
}

}  // namespace tenon::cache_stack
