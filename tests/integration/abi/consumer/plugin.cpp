// SPDX-License-Identifier: Apache-2.0
// A host-side user of the contracts, built from today's headers: `tenon INSTANCE round` serves one
// round trip through every provider and answers {"INSTANCE INTERFACE":"ok" or what was wrong}.
#include <tenon/abi/cache_tier.h>
#include <tenon/abi/feed.h>
#include <tenon/abi/probe.h>
#include <tenon/abi/throttle.h>
#include <tenon/abi/trading.h>
#include <tenon/abi/venue.h>
#include <tenon/plugin.hpp>

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <vector>

namespace {

using tenon::bytes;
using tenon::ErrorBuffer;
using tenon::Service;
using tenon::str;

constexpr std::int64_t k_second = 1'000'000'000;

void expect(bool holds, const char* what) {
    if (!holds) {
        throw tenon::Error{TENON_INTERNAL, what};
    }
}

// One subscription on a feed, filled on reactor 0.
struct Listener {
    std::string instance;
    Service<tenon_feed_1> feed;
    std::uint64_t handle = 0;
    std::atomic<std::uint32_t> snapshots{0};
    std::atomic<std::uint32_t> trades{0};
    std::atomic<bool> in_order{true};

    static void on_event(void* ctx, const tenon_feed_event* event) {
        auto& mine = *static_cast<Listener*>(ctx);
        if (event->kind == TENON_FEED_SNAPSHOT) {
            mine.in_order = mine.in_order && mine.trades == 0 && event->bid_count == 1 &&
                            event->bids->price == 9900 && event->asks->quantity == 7;
            ++mine.snapshots;
        } else if (event->kind == TENON_FEED_TRADE) {
            mine.in_order = mine.in_order && mine.snapshots == 1 && event->price == 10000;
            ++mine.trades;
        }
    }
};

void use_tier(Service<tenon_cache_tier_1> tier) {
    ErrorBuffer err;
    tenon::StringSink out;
    std::int64_t expires = 0;
    const auto get = [&](std::int64_t now) {
        out.text().clear();
        return tier->get(tier.self, bytes("key"), now, out.sink(), &expires, &err);
    };
    expect(get(1) == TENON_NOT_FOUND, "an empty tier gave an entry");
    expect(
        tier->put(tier.self, bytes("key"), bytes("value"), 100, 50, &err) == TENON_OK, "put failed"
    );
    expect(get(120) == TENON_OK && out.text() == "value" && expires == 150, "get lost the entry");
    expect(get(150) == TENON_NOT_FOUND, "an entry outlived its time");
    expect(
        tier->put(tier.self, bytes("key"), bytes("x"), 100, 0, &err) == TENON_INVALID &&
            err.len != 0,
        "no time to live was taken, or refused without a message"
    );
    expect(tier->erase(tier.self, bytes("key"), &err) == TENON_OK, "erase lost the entry");
    expect(tier->erase(tier.self, bytes("key"), &err) == TENON_NOT_FOUND, "erased twice");
    (void)tier->put(tier.self, bytes("a:1"), bytes("x"), 0, k_second, &err);
    (void)tier->put(tier.self, bytes("b:1"), bytes("x"), 0, k_second, &err);
    expect(tier->clear(tier.self, bytes("a:"), &err) == TENON_OK, "clear failed");
    auto stats = tenon::sized<tenon_cache_tier_stats>();
    expect(tier->stats(tier.self, &stats) == TENON_OK && stats.entries == 1, "clear kept more");
    expect(tier->clear(tier.self, {}, &err) == TENON_OK, "clear of all failed");
}

void use_throttle(Service<tenon_throttle_1> throttle) {
    ErrorBuffer err;
    tenon_throttle_claim claim{99, 1, str("client")};
    std::int64_t retry = 0;
    const auto take = [&](std::int64_t now) {
        return throttle->take(throttle.self, &claim, 1, now, &retry);
    };
    expect(
        throttle->find(throttle.self, str("nothing"), &claim.limit) == TENON_NOT_FOUND,
        "found a limit that there is not"
    );
    expect(throttle->find(throttle.self, str("golden"), &claim.limit) == TENON_OK, "no limit");
    // Every round is long after the one before.
    static std::atomic<std::int64_t> later{0};
    const std::int64_t now = later += 1000 * k_second;
    expect(take(now) == TENON_OK && take(now) == TENON_OK, "a full budget was refused");
    expect(take(now) == TENON_LIMITED && retry == k_second, "the budget was overdrawn");
    throttle->refund(throttle.self, &claim, 1, now);
    expect(take(now) == TENON_OK, "a refund was lost");
    expect(take(now + k_second) == TENON_OK, "the budget did not fill");
    claim.cost = 3;
    expect(take(now) == TENON_INVALID, "a cost above the burst was taken");
    claim.cost = 1;
    auto state = tenon::sized<tenon_throttle_state>();
    expect(
        throttle->state(throttle.self, claim.limit, claim.key, now + k_second, &state) ==
                TENON_OK &&
            state.burst == 2 && state.available == 0,
        "the state is another"
    );
    if (TENON_HAS(throttle.table, tenon_throttle_1, observe)) {
        const auto feedback = tenon::sized<tenon_throttle_feedback>();
        throttle->observe(throttle.self, claim.limit, claim.key, &feedback, now);
    }
    tenon::StringSink level;
    expect(
        throttle->set_level(throttle.self, str("golden"), str("aggressive"), &err) == TENON_OK &&
            throttle->level(throttle.self, str("golden"), level.sink(), &err) == TENON_OK &&
            level.text() == "aggressive",
        "the level did not change"
    );
    expect(
        throttle->set_level(throttle.self, {}, str("loud"), &err) == TENON_INVALID && err.len != 0,
        "a level that there is not was taken"
    );
    expect(throttle->stats(throttle.self, level.sink(), &err) == TENON_OK, "no stats");
}

void use_probe(Service<tenon_probe_1> probe) {
    ErrorBuffer err;
    expect(probe->check(probe.self, 0, k_second, &err) == TENON_OK, "the shallow check failed");
    expect(
        probe->check(probe.self, 1, k_second, &err) == TENON_UNAVAILABLE &&
            err.message() == "asked to look deep",
        "the deep check did not say why it failed"
    );
    expect(
        probe->check(probe.self, 1, k_second, nullptr) == TENON_UNAVAILABLE, "needs an error's room"
    );
}

void use_feed(const Listener& listener) {
    const auto& feed = listener.feed;
    expect(feed->serves(feed.self, 0) == 1 && feed->serves(feed.self, 7) == 0, "serves another");
    expect(listener.snapshots != 0, "waits for the snapshot");
    expect(listener.trades != 0, "waits for the trade");
    expect(listener.in_order && listener.snapshots == 1 && listener.trades == 1, "out of order");
}

// The engine's side: what the venue reports and commands.
struct Engine {
    static tenon_status command(void* self, tenon_bytes evidence) {
        static_cast<Engine*>(self)->commands.emplace_back(tenon::view(evidence));
        return TENON_OK;
    }

    static void put(void* self, const tenon_venue_report* report) {
        static_cast<Engine*>(self)->reports.push_back(*report);
    }

    [[nodiscard]] std::string kinds() {
        std::string out;
        for (const tenon_venue_report& report : reports) {
            out.push_back(static_cast<char>('0' + report.kind));
        }
        reports.clear();
        return out;
    }

    std::vector<std::string> commands;
    std::vector<tenon_venue_report> reports;
};

void use_venue(Service<tenon_venue_1> venue) {
    static constexpr tenon_venue_input_1 k_input{sizeof(tenon_venue_input_1), 0, &Engine::command};
    ErrorBuffer err;
    Engine engine;
    const tenon_venue_reports out{&engine, &Engine::put};
    expect(venue->attach(venue.self, {&engine, &k_input}, &err) == TENON_OK, "attach failed");
    venue->live(venue.self);
    expect(engine.commands.size() == 1, "the venue did not come alive");
    expect(
        venue->apply(venue.self, bytes(engine.commands.at(0)), 1, out) == TENON_OK, "apply failed"
    );
    expect(venue->apply(venue.self, bytes("?"), 1, out) == TENON_INVALID, "took other bytes");
    auto order = tenon::sized<tenon_venue_order>();
    order.order_id = 1;
    order.type = TENON_ORDER_LIMIT;
    order.price = 10000;
    order.quantity = 3;
    tenon::StringSink evidence;
    expect(venue->evidence(venue.self, &order, 1, evidence.sink()) == TENON_OK, "no evidence");
    const auto submit = [&] { venue->submit(venue.self, &order, bytes(evidence.text()), 1, out); };
    submit();
    expect(engine.reports.size() == 2 && engine.reports.at(1).price == 10000, "no trade");
    expect(engine.kinds() == "13", "a limit order did not trade");
    order.order_id = 2;
    order.type = TENON_ORDER_LIMIT_MAKER;
    submit();
    expect(engine.kinds() == "1", "a post-only order did not rest");
    order.type = TENON_ORDER_MARKET;
    submit();
    expect(engine.kinds() == "2", "a market order was not refused");
    tenon::StringSink state;
    const std::uint64_t hash = venue->hash(venue.self);
    expect(venue->snapshot_write(venue.self, state.sink(), &err) == TENON_OK, "no snapshot");
    venue->cancel(venue.self, 2, 0, 1, out);
    expect(engine.kinds() == "4" && venue->hash(venue.self) != hash, "nothing was cancelled");
    expect(
        venue->snapshot_read(venue.self, bytes(state.text()), &err) == TENON_OK &&
            venue->hash(venue.self) == hash,
        "the snapshot is of another state"
    );
    expect(
        venue->snapshot_read(venue.self, bytes("cut"), &err) == TENON_CORRUPT && err.len != 0,
        "took a cut snapshot"
    );
    if (TENON_HAS(venue.table, tenon_venue_1, durable)) {
        venue->durable(venue.self);
    }
    if (TENON_HAS(venue.table, tenon_venue_1, reference_price)) {
        expect(venue->reference_price(venue.self, 0, bytes("seen")) == 0, "has a price");
    }
    expect(venue->attach(venue.self, {}, &err) == TENON_OK, "would not be let go");
}

class Consumer final : public tenon::Plugin {
public:
    using Plugin::Plugin;

    void configure(std::string_view, bool dry_run) override {
        if (!dry_run) {
            admin_ = host().service<tenon_admin_1>("tenon.admin/1");
            name_ = host().environment("instance") + ".round";
            (void)admin_->command(admin_.self, str(name_), str("use all"), this, &round);
        }
    }

    void start() override {
        each<tenon_feed_1>("tenon.feed/1", [&](const std::string& instance, auto feed) {
            Listener& listener = listeners_.emplace_back();
            listener.instance = instance;
            listener.feed = feed;
            tenon::check(
                feed->subscribe(feed.self, &listener, &Listener::on_event, &listener.handle),
                ErrorBuffer{},
                "subscribe"
            );
        });
    }

    void stop() noexcept override {
        for (const Listener& listener : listeners_) {
            listener.feed->unsubscribe(listener.feed.self, listener.handle);
        }
        admin_->remove(admin_.self, str(name_));
    }

private:
    template <class Table, class Body>
    void each(std::string_view id, Body body) const {
        const auto row = [](void* ctx, tenon_str instance, tenon_iface iface) noexcept {
            return tenon::guard(nullptr, [&] {
                auto& call = *static_cast<Body*>(ctx);
                call(std::string{tenon::view(instance)}, tenon::service_from<Table>(iface));
            });
        };
        const auto services = host().service<tenon_services_1>("tenon.services/1");
        tenon::check(
            services->each(services.self, str(id), &body, row), ErrorBuffer{}, std::string{id}
        );
    }

    static tenon_status round(void* self, tenon_str, tenon_sink out, tenon_err* err) noexcept {
        return tenon::guard(err, [&] {
            const std::string text = static_cast<Consumer*>(self)->use_all();
            return out.put(out.ctx, bytes(text));
        });
    }

    template <class Table>
    void use(std::string_view id, void (*body)(Service<Table>), std::string& out) const {
        each<Table>(id, [&](const std::string& instance, Service<Table> service) {
            add(
                instance, id, [&] { body(service); }, out
            );
        });
    }

    static void add(
        const std::string& instance,
        std::string_view id,
        const std::function<void()>& body,
        std::string& out
    ) {
        ErrorBuffer err;
        const tenon_status status = tenon::guard(&err, body);
        out.append(out.size() > 1 ? ",\"" : "\"").append(instance).append(" ").append(id);
        out.append("\":\"").append(status == TENON_OK ? "ok" : err.message()).append("\"");
    }

    std::string use_all() const {
        std::string out = "{";
        use<tenon_cache_tier_1>("tenon.cache_tier/1", &use_tier, out);
        use<tenon_throttle_1>("tenon.throttle/1", &use_throttle, out);
        use<tenon_probe_1>("tenon.probe/1", &use_probe, out);
        use<tenon_venue_1>("tenon.venue/1", &use_venue, out);
        for (const Listener& listener : listeners_) {
            add(
                listener.instance, "tenon.feed/1", [&] { use_feed(listener); }, out
            );
        }
        return out.append("}");
    }

    Service<tenon_admin_1> admin_;
    std::string name_;
    std::deque<Listener> listeners_;
};

}  // namespace

TENON_EXPORT_PLUGIN(Consumer)
