// SPDX-License-Identifier: Apache-2.0
// A stack over tiers in memory, on a fake host.
#pragma once

#include "plugins/cache/stack/stack.hpp"
#include "tests/support/fake_host.hpp"

#include <tenon/cache_tier.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace tenon::test {

// Lets loaders wait until the test says go.
class Gate {
public:
    void open() {
        const std::lock_guard lock{mutex_};
        open_ = true;
        changed_.notify_all();
    }

    void pass() {
        std::unique_lock lock{mutex_};
        ++waiting_;
        changed_.notify_all();
        changed_.wait(lock, [this] { return open_; });
    }

    void wait_for_one() {
        std::unique_lock lock{mutex_};
        changed_.wait(lock, [this] { return waiting_ > 0; });
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool open_ = false;
    int waiting_ = 0;
};

// Within a minute, on whatever machine.
template <class Condition>
bool eventually(Condition condition) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::minutes{1};
    while (!condition()) {
        if (std::chrono::steady_clock::now() > until) {
            return false;
        }
        std::this_thread::yield();
    }
    return true;
}

// A slow obvious tier that can be told to fail, and that gives values in pieces.
class MapTier final : public CacheTier {
public:
    explicit MapTier(bool blocking = false) : CacheTier{blocking} {}

    std::optional<std::int64_t> get(std::string_view key, std::int64_t now_ns, Out out) override {
        const std::lock_guard lock{mutex};
        check_up();
        ++gets;
        const auto found = entries.find(std::string{key});
        if (found == entries.end() || found->second.expires_ns <= now_ns) {
            return std::nullopt;
        }
        for (std::string_view rest = found->second.value; !rest.empty();) {
            out(rest.substr(0, 7));
            rest.remove_prefix(std::min<std::size_t>(rest.size(), 7));
        }
        return found->second.expires_ns;
    }

    void put(std::string_view key, std::string_view value, std::int64_t now_ns, std::int64_t ttl_ns)
        override {
        const std::lock_guard lock{mutex};
        check_up();
        entries[std::string{key}] = {std::string{value}, now_ns + ttl_ns};
    }

    bool erase(std::string_view key) override {
        const std::lock_guard lock{mutex};
        check_up();
        return entries.erase(std::string{key}) != 0;
    }

    void clear(std::string_view prefix) override {
        if (clearing) {
            clearing();
        }
        const std::lock_guard lock{mutex};
        check_up();
        std::erase_if(entries, [&](const auto& entry) { return entry.first.starts_with(prefix); });
    }

    void stats(tenon_cache_tier_stats& out) override {
        const std::lock_guard lock{mutex};
        out.entries = entries.size();
    }

    struct Value {
        std::string value;
        std::int64_t expires_ns;
    };

    std::mutex mutex;
    std::map<std::string, Value> entries;
    int gets = 0;
    std::function<void()> clearing;  // called before it is emptied
    std::atomic<bool> down{false};

private:
    void check_up() const {
        if (down) {
            throw Error{TENON_UNAVAILABLE, "no connection"};
        }
    }
};

inline constexpr std::string_view k_stack_settings = R"({
    "default_ttl_ms":300000,"default_negative_ttl_ms":5000,"refresh_timeout_ms":60000,
    "sweep_interval_ms":300000,
    "caches":[{"name":"balance","ttl_ms":15000},
              {"name":"price","ttl_ms":5000,"stale_ms":10000,"negative_ttl_ms":0}],
    "events":[{"event":"order_placed","caches":["balance"]}]})";

class StackFixture {
public:
    explicit StackFixture(
        FakeReactor::Mode mode = FakeReactor::Mode::threaded,
        std::int64_t real_ahead_ns = 0
    )
        : host{mode}, real_jump_ns{real_ahead_ns} {
        settings.configure(k_stack_settings, false);
        exec_ = *host.exec().table;
        const Host wrapped{host.raw()};
        stack = std::make_unique<cache_stack::Stack>(
            cache_stack::Services{{this, &k_clock}, {host.exec().self, &exec_}, wrapped.log()},
            settings
        );
    }

    ~StackFixture() {
        if (stack) {
            stack->close();
        }
    }

    void add(MapTier& tier, const std::string& name) {
        stack->add_tier(
            name,
            {&tier, static_cast<const tenon_cache_tier_1*>(CacheTier::table(tier))},
            [this](const std::string& of, const std::string& reason) {
                states += of + (reason.empty() ? " up;" : " " + reason + ";");
            }
        );
    }

    struct Answer {
        tenon_status status = TENON_OK;
        std::string value;
        tenon_cache_answer how{};
        std::string message;
    };

    using Loader = std::function<tenon_status(std::string& value, tenon_cache_keep& keep)>;

    static tenon_status load(
        void* ctx,
        std::int64_t,
        tenon_sink value,
        tenon_cache_keep* keep,
        tenon_err* err
    ) noexcept {
        return guard(err, [&] {
            std::string made;
            const tenon_status status = (*static_cast<Loader*>(ctx))(made, *keep);
            return status == TENON_OK ? value.put(value.ctx, bytes(made)) : status;
        });
    }

    Answer fetch(
        std::string_view cache,
        std::string_view key,
        Loader loader,
        std::int64_t wait_ns = 60'000'000'000
    ) {
        auto request = sized<tenon_cache_request>();
        request.cache = stack->open(cache);
        request.key = bytes(key);
        request.deadline_ns = host.reactor().now_ns() + wait_ns;
        request.ctx = &loader;
        request.load = &load;
        Answer answer;
        answer.how = sized<tenon_cache_answer>();
        StringSink out;
        ErrorBuffer err;
        answer.status =
            guard(&err, [&] { return stack->fetch(request, out.sink(), answer.how, &err); });
        answer.value = out.text();
        answer.message = err.message();
        return answer;
    }

    Answer get(std::string_view cache, std::string_view key) {
        Answer answer;
        StringSink out;
        answer.status = stack->get(stack->open(cache), key, out.sink(), answer.how);
        answer.value = out.text();
        return answer;
    }

    // A loader of a constant, counted.
    Loader gives(std::string value) {
        return [this, value](std::string& out, tenon_cache_keep&) {
            ++loads;
            out = value;
            return TENON_OK;
        };
    }

    // From now on what is for the pool is kept for the test, which runs it in its own order.
    void hold_pool() {
        s_held = &held;
        exec_.run_blocking = [](void*, tenon_fn fn, void* ctx) -> tenon_status {
            s_held->emplace_back(fn, ctx);
            return TENON_OK;
        };
    }

    // From now on the pool takes nothing more, or all again.
    void fill_pool(bool full = true) {
        exec_.run_blocking =
            full ? [](void*, tenon_fn, void*) -> tenon_status { return TENON_UNAVAILABLE; }
                 : host.exec().table->run_blocking;
    }

    // The newest first, as a pool of many threads may.
    void run_held_backwards() {
        while (!held.empty()) {
            const auto [fn, ctx] = held.back();
            held.pop_back();
            fn(ctx);
        }
    }

    // No reactor and no threads: the pool runs what it is given at once.
    void run_at_once() {
        exec_.current_reactor = [](void*) -> std::int32_t { return -1; };
        exec_.run_blocking = [](void*, tenon_fn fn, void* ctx) -> tenon_status {
            fn(ctx);
            return TENON_OK;
        };
    }

    void pass(std::int64_t seconds) { host.reactor().advance(seconds * 1'000'000'000); }

    FakeHost host;
    Live<cache_stack::StackSettings> settings;
    std::unique_ptr<cache_stack::Stack> stack;
    std::atomic<int> loads{0};
    std::string states;
    std::atomic<std::int64_t> real_jump_ns;  // of the real time alone
    std::vector<std::pair<tenon_fn, void*>> held;

protected:
    tenon_exec_1 exec_{};

private:
    static StackFixture& of(void* self) noexcept { return *static_cast<StackFixture*>(self); }

    static constexpr tenon_clock_1 k_clock{
        sizeof(tenon_clock_1),
        0,
        [](void* self) noexcept -> std::int64_t { return of(self).host.reactor().now_ns(); },
        [](void* self) noexcept -> std::int64_t {
            return std::chrono::system_clock::now().time_since_epoch().count() +
                   of(self).real_jump_ns;
        }};

    inline static std::vector<std::pair<tenon_fn, void*>>* s_held = nullptr;
};

}  // namespace tenon::test
