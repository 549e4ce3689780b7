// SPDX-License-Identifier: Apache-2.0
// Three servers over one shared tier and one database, in an order that a seed decides: what a
// reader was promised is compared with what it got. TENON_SEED repeats a run.
#include "plugins/cache/stack/stack.hpp"
#include "tests/support/fake_host.hpp"
#include "tests/support/fibers.hpp"
#include "tests/unit/cache/stack_fixture.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <cstdlib>
#include <deque>
#include <string>
#include <vector>

using tenon::test::FakeHost;
using tenon::test::FakeReactor;
using tenon::test::Fibers;
using tenon::test::MapTier;

namespace {

constexpr std::size_t k_servers = 3;
constexpr std::size_t k_keys = 24;
constexpr std::size_t k_users = 8;

std::uint64_t seed_or(std::uint64_t fallback) {
    const char* const text = std::getenv("TENON_SEED");
    const std::uint64_t seed = text == nullptr ? fallback : std::strtoull(text, nullptr, 10);
    UNSCOPED_INFO("seed " << seed);
    return seed;
}

// What all servers share. Every call takes a while before and after it has its effect, so that the
// calls of several servers pass each other. It tells every server what the others put.
class SharedTier {
public:
    explicit SharedTier(Fibers& fibers) : fibers_{fibers} {}

    struct Watcher {
        tenon::cache_stack::Stack* stack = nullptr;
        tenon::cache_stack::Tier* tier = nullptr;
    };

    // One server's connection.
    class Port {
    public:
        Port(SharedTier& shared, std::size_t server) : shared_{shared}, server_{server} {}

        [[nodiscard]] tenon::Service<tenon_cache_tier_1> service() { return {this, &k_table}; }

        std::atomic<bool> cut{false};

    private:
        static Port& of(void* self) { return *static_cast<Port*>(self); }

        tenon_status pass(tenon_err* err) {
            shared_.linger();
            return cut ? tenon::fail(err, TENON_UNAVAILABLE, "no connection") : TENON_OK;
        }

        static const tenon_cache_tier_1 k_table;
        SharedTier& shared_;
        std::size_t server_;
    };

    void tell_all() {
        while (!told_.empty()) {
            tell_one();
        }
    }

    // One of the oldest news of one server: those of a server keep their order.
    void tell_one() {
        const auto [server, key] = told_.front();
        told_.pop_front();
        if (watchers[server].stack != nullptr) {
            watchers[server].stack->changed_elsewhere(key);
        }
    }

    [[nodiscard]] bool has_news() const { return !told_.empty(); }

    std::array<Watcher, k_servers> watchers;
    std::uint64_t gets = 0;

private:
    void linger() {
        for (auto left = fibers_.random()() % 3; fibers_.inside() && left > 0; --left) {
            fibers_.give_way();
        }
    }

    // As a store does that is full: anything may be gone.
    void evict_now_and_then() {
        if (!entries_.empty() && fibers_.random()() % 8 == 0) {
            entries_.erase(std::next(
                entries_.begin(), static_cast<std::ptrdiff_t>(fibers_.random()() % entries_.size())
            ));
        }
    }

    struct Value {
        std::string value;
        std::int64_t expires_ns;
    };

    Fibers& fibers_;
    std::map<std::string, Value> entries_;
    std::deque<std::pair<std::size_t, std::string>> told_;
};

const tenon_cache_tier_1 SharedTier::Port::k_table{
    sizeof(tenon_cache_tier_1),
    TENON_CACHE_TIER_BLOCKING | TENON_CACHE_TIER_SHARED,
    [](void* self,
       tenon_bytes key,
       std::int64_t now_ns,
       tenon_sink out,
       std::int64_t* expires_ns,
       tenon_err* err) -> tenon_status {
        Port& port = of(self);
        if (port.pass(err) != TENON_OK) {
            return TENON_UNAVAILABLE;
        }
        ++port.shared_.gets;
        const auto found = port.shared_.entries_.find(std::string{tenon::view(key)});
        if (found == port.shared_.entries_.end() || found->second.expires_ns <= now_ns) {
            return TENON_NOT_FOUND;
        }
        const std::string value = found->second.value;
        *expires_ns = found->second.expires_ns;
        port.shared_.linger();
        return out.put(out.ctx, tenon::bytes(value));
    },
    [](void* self,
       tenon_bytes key,
       tenon_bytes value,
       std::int64_t now_ns,
       std::int64_t ttl_ns,
       tenon_err* err) -> tenon_status {
        Port& port = of(self);
        if (port.pass(err) != TENON_OK) {
            return TENON_UNAVAILABLE;
        }
        const std::string name{tenon::view(key)};
        port.shared_.evict_now_and_then();
        port.shared_.entries_[name] = {std::string{tenon::view(value)}, now_ns + ttl_ns};
        for (std::size_t server = 0; server < k_servers; ++server) {
            if (server != port.server_) {
                port.shared_.told_.emplace_back(server, name);
            }
        }
        port.shared_.linger();
        return TENON_OK;
    },
    [](void* self, tenon_bytes key, tenon_err* err) -> tenon_status {
        Port& port = of(self);
        if (port.pass(err) != TENON_OK) {
            return TENON_UNAVAILABLE;
        }
        return port.shared_.entries_.erase(std::string{tenon::view(key)}) != 0 ? TENON_OK
                                                                               : TENON_NOT_FOUND;
    },
    [](void* self, tenon_bytes, tenon_err* err) -> tenon_status {
        Port& port = of(self);  // without lingering: the stack waits for it under a lock
        if (port.cut) {
            return tenon::fail(err, TENON_UNAVAILABLE, "no connection");
        }
        port.shared_.entries_.clear();
        return TENON_OK;
    },
    [](void*, tenon_cache_tier_stats*) -> tenon_status { return TENON_OK; },
    nullptr,
    nullptr,
    nullptr,
    nullptr,
    nullptr};

constexpr std::string_view k_settings = R"({
    "default_ttl_ms":300000,"default_negative_ttl_ms":5000,"refresh_timeout_ms":1000,
    "sweep_interval_ms":300000,
    "caches":[{"name":"balance","ttl_ms":15000,"consistency":"strict"},
              {"name":"order","ttl_ms":5000,"consistency":"pushed"}],
    "events":[{"event":"order_placed","caches":["balance","order"]}]})";

// The world: servers, the database, its history.
class World {
public:
    explicit World(std::uint64_t seed)
        : fibers{seed}, shared{fibers}, host{FakeReactor::Mode::manual} {
        settings.configure(k_settings, false);
        const tenon::Host wrapped{host.raw()};
        for (std::size_t i = 0; i < k_servers; ++i) {
            Server& server = servers.emplace_back(*this, i);
            server.stack = std::make_unique<tenon::cache_stack::Stack>(
                tenon::cache_stack::Services{
                    {&server, &k_clock}, {&server, &k_exec}, wrapped.log()},
                settings
            );
            const auto quiet = [](const std::string&, const std::string&) {};
            server.stack->add_tier(
                "memory",
                {&server.memory,
                 static_cast<const tenon_cache_tier_1*>(tenon::CacheTier::table(server.memory))},
                quiet
            );
            server.stack->add_tier("shared", server.port.service(), quiet);
            (void)server.stack->open("balance");
            (void)server.stack->open("order");
            shared.watchers[i] = {server.stack.get(), server.stack->tiers()[1].get()};
        }
    }

    ~World() {
        while (turn()) {}
        for (Server& server : servers) {
            server.stack->close();
        }
    }

    // One step of something. False: there is nothing to do.
    bool turn() {
        now_ns += 20'000;
        const auto pick = fibers.random()() % 8;
        if (pick == 0 && !callbacks.empty()) {
            return run_callback();
        }
        if (pick == 1 && shared.has_news()) {
            shared.tell_one();
            return true;
        }
        if (fibers.step()) {
            return true;
        }
        if (!callbacks.empty()) {
            return run_callback();
        }
        if (shared.has_news()) {
            shared.tell_one();
            return true;
        }
        return false;
    }

    struct Read {
        World* world;
        std::size_t server, key;
        std::uint64_t floor;  // nothing older may be answered
    };

    // The key's value in the database, after a while.
    static tenon_status
    load(void* ctx, std::int64_t, tenon_sink value, tenon_cache_keep* keep, tenon_err*) noexcept {
        const Read& read = *static_cast<Read*>(ctx);
        World& world = *read.world;
        ++world.loads;
        world.linger(4);
        const std::string text = std::to_string(world.database[read.key]);
        world.linger(40);
        static std::array<std::string, k_users> names;
        static std::array<tenon_str, k_users> tags;
        const std::size_t user = read.key % k_users;
        names[user] = "user:" + std::to_string(user);
        tags[user] = tenon::str(names[user]);
        keep->tags = &tags[user];
        keep->tag_count = 1;
        return value.put(value.ctx, tenon::bytes(text));
    }

    // A client of a server asks; the answer is compared when it comes.
    void read(std::size_t server, std::size_t key, std::string_view cache) {
        auto* const read = new Read{
            this, server, key, std::max(acknowledged[key], servers[server].acknowledged[key])};
        tenon::cache_stack::Stack& stack = *servers[server].stack;
        const std::string name = "k" + std::to_string(key);
        auto request = tenon::sized<tenon_cache_request>();
        request.cache = stack.open(cache);
        request.key = tenon::bytes(name);
        request.deadline_ns = INT64_MAX / 2;
        request.ctx = read;
        request.load = &load;
        ++asked;
        stack.fetch_async(request, {read, &answered});
    }

    static void
    answered(void* ctx, tenon_status status, tenon_bytes value, const tenon_cache_answer* answer, const tenon_err*) {
        const std::unique_ptr<Read> read{static_cast<Read*>(ctx)};
        World& world = *read->world;
        ++world.answers;
        world.hits += answer->source == TENON_CACHE_HIT ? 1U : 0U;
        world.failures += status == TENON_OK ? 0U : 1U;
        const std::uint64_t got =
            std::strtoull(std::string{tenon::view(value)}.c_str(), nullptr, 10);
        world.stale += got < read->floor ? 1U : 0U;
    }

    // An order: written to the database, told to the caches, acknowledged. On a reactor the caches
    // of other servers learn of it a little later than the caller; its own have it at once.
    void order(std::size_t server, std::size_t key, bool by_tag, bool on_reactor) {
        const std::uint64_t version = ++database[key];
        if (!on_reactor) {
            linger(3);
        }
        tenon::cache_stack::Stack& stack = *servers[server].stack;
        if (by_tag) {
            stack.event("order_placed", "user:" + std::to_string(key % k_users));
        } else {
            stack.erase(stack.open("balance"), "k" + std::to_string(key));
            stack.erase(stack.open("order"), "k" + std::to_string(key));
        }
        auto& promised = on_reactor ? servers[server].acknowledged[key] : acknowledged[key];
        promised = std::max(promised, version);
    }

    void linger(std::uint64_t most) {
        for (auto left = fibers.random()() % most; fibers.inside() && left > 0; --left) {
            fibers.give_way();
        }
    }

    struct Server {
        Server(World& of, std::size_t index)
            : world{of},
              port{of.shared, index},
              clock_skew_ns{(static_cast<std::int64_t>(index) - 1) * 90'000'000'000} {}

        World& world;
        MapTier memory;
        SharedTier::Port port;
        std::int64_t clock_skew_ns;
        std::array<std::uint64_t, k_keys> acknowledged{};
        std::unique_ptr<tenon::cache_stack::Stack> stack;
    };

    Fibers fibers;
    SharedTier shared;
    FakeHost host;
    tenon::Live<tenon::cache_stack::StackSettings> settings;
    std::int64_t now_ns = 1'000'000'000;
    std::deque<std::pair<tenon_fn, void*>> callbacks;
    std::deque<Server> servers;
    std::array<std::uint64_t, k_keys> database{};
    std::array<std::uint64_t, k_keys> acknowledged{};
    std::uint64_t asked = 0, answers = 0, stale = 0, hits = 0, loads = 0, failures = 0;

private:
    bool run_callback() {
        const auto [fn, ctx] = callbacks.front();
        callbacks.pop_front();
        fn(ctx);
        return true;
    }

    static World& world_of(void* self) { return static_cast<Server*>(self)->world; }

    static constexpr tenon_clock_1 k_clock{
        sizeof(tenon_clock_1),
        0,
        [](void* self) noexcept -> std::int64_t { return world_of(self).now_ns; },
        [](void* self) noexcept -> std::int64_t {
            return world_of(self).now_ns + static_cast<Server*>(self)->clock_skew_ns;
        }};

    static const tenon_exec_1 k_exec;
};

// Flows are the pool's threads; everything else is the reactor. Deadlines are far away: a timer
// that is due is called soon, another never.
const tenon_exec_1 World::k_exec = [] {
    tenon_exec_1 exec{};
    exec.size = sizeof exec;
    exec.reactor_count = [](void*) -> std::uint32_t { return 1; };
    exec.current_reactor = [](void* self) -> std::int32_t {
        return world_of(self).fibers.inside() ? -1 : 0;
    };
    exec.post = [](void* self, std::uint32_t, tenon_fn fn, void* ctx) -> tenon_status {
        world_of(self).callbacks.emplace_back(fn, ctx);
        return TENON_OK;
    };
    exec.timer = [](void* self, std::int64_t deadline_ns, tenon_fn fn, void* ctx) -> std::uint64_t {
        if (deadline_ns < INT64_MAX / 4) {
            world_of(self).callbacks.emplace_back(fn, ctx);
        }
        return 1;
    };
    exec.cancel_timer = [](void*, std::uint64_t) {};
    exec.run_blocking = [](void* self, tenon_fn fn, void* ctx) -> tenon_status {
        world_of(self).fibers.spawn([fn, ctx] { fn(ctx); });
        return TENON_OK;
    };
    return exec;
}();

// Readers and writers until `operations` are done.
void run(World& world, std::uint64_t operations, std::string_view cache, bool reactor_orders) {
    auto& random = world.fibers.random();
    for (std::uint64_t done = 0; done < operations;) {
        if (world.fibers.count() < 64 && random() % 3 != 0) {
            const std::size_t server = random() % k_servers;
            const std::size_t key = random() % k_keys;
            const auto kind = random() % 20;
            if (kind < 18) {
                world.read(server, key, cache);
            } else if (kind == 18 || !reactor_orders) {
                world.fibers.spawn([&world, server, key, by_tag = random() % 2 == 0] {
                    world.order(server, key, by_tag, false);
                });
            } else {
                world.order(server, key, random() % 2 == 0, true);
            }
            ++done;
        }
        (void)world.turn();
    }
    while (world.turn()) {}
}

}  // namespace

TEST_CASE(
    "after an acknowledged order no reader of any server sees what was before it",
    "[cache][C3]"
) {
    for (const std::uint64_t seed : {seed_or(1), seed_or(1) + 1}) {
        CAPTURE(seed);
        World world{seed};
        run(world, 50'000, "balance", true);
        CHECK(world.stale == 0);
        CHECK(world.failures == 0);
        CHECK(world.answers == world.asked);
        CHECK(world.hits > world.asked / 50);  // it is a cache all the same
        CHECK(world.loads < world.asked / 2);
    }
}

TEST_CASE("what was invalidated anywhere is gone from memory once it is told", "[cache][C3]") {
    World world{seed_or(3)};
    auto& random = world.fibers.random();
    for (int round = 0; round < 300; ++round) {
        for (int i = 0; i < 20; ++i) {
            world.read(random() % k_servers, random() % k_keys, "order");
            (void)world.turn();
        }
        for (int i = 0; i < 4; ++i) {
            world.fibers.spawn([&world, server = random() % k_servers, key = random() % k_keys] {
                world.order(server, key, true, false);
            });
        }
        while (world.turn()) {  // until everything is told
        }
        for (std::size_t key = 0; key < k_keys; ++key) {
            world.read(random() % k_servers, key, "order");
        }
        while (world.turn()) {}
    }
    CHECK(world.stale == 0);
    CHECK(world.hits > world.asked / 8);
}

TEST_CASE("a shared tier that comes back with old entries is not believed", "[cache][C3]") {
    World world{seed_or(4)};
    for (int round = 0; round < 50; ++round) {
        run(world, 200, "balance", false);
        for (auto& server : world.servers) {
            server.port.cut = true;
            auto event = tenon::sized<tenon_cache_tier_event>();
            event.kind = TENON_CACHE_TIER_SUSPECT;
            server.stack->heard(*server.stack->tiers()[1], event);
        }
        run(world, 100, "balance", false);
        for (auto& server : world.servers) {  // what is in it is from before the break
            server.port.cut = false;
            auto event = tenon::sized<tenon_cache_tier_event>();
            event.kind = TENON_CACHE_TIER_TRUSTED;
            server.stack->heard(*server.stack->tiers()[1], event);
        }
        world.now_ns += 60'000'000'000 * (round % 2);
    }
    CHECK(world.stale == 0);
    CHECK(world.failures == 0);
    CHECK(world.hits > 0);
}
