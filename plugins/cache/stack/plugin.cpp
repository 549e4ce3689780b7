// SPDX-License-Identifier: Apache-2.0
// tenon.cache.stack: tiers, settings, metrics, health, commands, the page of statistics.
#include "plugins/cache/stack/stack.hpp"

#include <tenon/abi/throttle.h>
#include <tenon/admin.hpp>
#include <tenon/background_job.hpp>
#include <tenon/cache_provider.hpp>
#include <tenon/http.hpp>
#include <tenon/metrics.hpp>

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace tenon::cache_stack {
namespace {

class StackPlugin final : public Plugin, public CacheProvider {
public:
    explicit StackPlugin(const tenon_host* raw) : Plugin{raw} { provide<CacheProvider>(this); }

    // Lifetimes, events and the sweep are live: entries that are kept stay as they are.
    void configure(std::string_view json, bool dry_run) override {
        settings_.configure(json, dry_run);
        if (!dry_run && stack_) {
            open_named();
            stack_->apply();
            begin_sweeps();
        }
    }

    void start() override {
        try {
            begin();
        } catch (...) {
            stop();
            throw;
        }
    }

    void drain(std::int64_t) override {
        if (stack_) {
            stack_->refuse();
        }
    }

    void stop() noexcept override {
        routes_.reset();
        commands_.clear();
        sweep_.stop();
        warm_.stop();
        if (collect_ != 0) {
            metrics_->remove_on_collect(metrics_.self, std::exchange(collect_, 0));
        }
        if (stack_) {
            listen_to_tiers(false);
            watched_.clear();
            stack_->close();
            stack_.reset();
        }
        series_.clear();
    }

    std::uint32_t open(std::string_view name) override { return stack().open(name); }

    tenon_status
    get(std::uint32_t cache, std::string_view key, tenon_sink out, tenon_cache_answer& answer
    ) override {
        return stack().get(cache, key, out, answer);
    }

    tenon_status fetch(
        const tenon_cache_request& request,
        tenon_sink out,
        tenon_cache_answer& answer,
        tenon_err* err
    ) override {
        return stack().fetch(request, out, answer, err);
    }

    void fetch_async(const tenon_cache_request& request, tenon_cache_done done) override {
        stack().fetch_async(request, done);
    }

    void refresh(std::uint32_t cache, void* ctx, Refresh load) override {
        stack().refresh(cache, ctx, load);
    }

    void put(
        std::uint32_t cache,
        std::string_view key,
        std::string_view value,
        const tenon_cache_keep* keep
    ) override {
        stack().put(cache, key, value, keep);
    }

    void erase(std::uint32_t cache, std::string_view key) override { stack().erase(cache, key); }

    void invalidate_tag(std::string_view tag) override { stack().invalidate_tag(tag); }

    void event(std::string_view event, std::string_view tag) override { stack().event(event, tag); }

    std::string stats() override { return stack().stats(); }

private:
    void begin() {
        health_ = host().service<tenon_health_1>("tenon.health/1");
        stack_ = std::make_unique<Stack>(
            cache_stack::Services{
                host().service<tenon_clock_1>("tenon.clock/1"),
                host().service<tenon_exec_1>("tenon.exec/1"),
                host().log()},
            settings_
        );
        throttle_ = host().find<tenon_throttle_1>("tenon.throttle/1");
        stack_->when_free([this] { return upstream_free(); });
        find_tiers();
        open_named();
        stack_->apply();
        begin_sweeps();
        warm_ = every(host(), "warm", std::chrono::seconds{1}, [this] {
            stack_->warm_some(settings_->warm_per_second);
        });
        metrics_ = host().service<tenon_metrics_1>("tenon.metrics/1");
        collect_ = metrics_->on_collect(
            metrics_.self,
            [](void* self) noexcept {
                (void)guard(nullptr, [&] { static_cast<StackPlugin*>(self)->publish(); });
            },
            this
        );
        add_commands();
        if (const auto routes = host().find<tenon_http_routes_1>("tenon.http_routes/1")) {
            routes_ = std::make_unique<HttpRoutes>(routes);
            routes_->mount("GET", "/api/stats/cache", [this](const tenon_http_request& request) {
                const std::string body = stack_->stats();
                const tenon_http_header fresh{str("Cache-Control"), str("no-store")};
                (void)routes_->respond(request.handle, {200, "application/json", body, {fresh}});
            });
        }
    }

    // A counter that follows what the stack has counted since its start.
    struct Followed {
        Counter cell;
        std::uint64_t published = 0;

        void follow(std::uint64_t total) { cell.add(total - std::exchange(published, total)); }
    };

    struct Series {
        Followed hits, misses, evictions, loads, load_errors;
        Gauge entries;
    };

    // Whether prefetching may use what is loaded from: more than 30 % of the limit is free.
    [[nodiscard]] bool upstream_free() const {
        const std::string limit = settings_->prefetch_limit;
        if (limit.empty()) {
            return true;
        }
        std::uint32_t id = 0;
        auto state = sized<tenon_throttle_state>();
        const auto clock = host().service<tenon_clock_1>("tenon.clock/1");
        if (!throttle_ || throttle_->find(throttle_.self, str(limit), &id) != TENON_OK ||
            throttle_->state(throttle_.self, id, {}, clock->now_ns(clock.self), &state) !=
                TENON_OK) {
            return false;  // nobody knows
        }
        return state.blocked_ns <= 0 && state.available * 10 > state.burst * 3;
    }

    [[nodiscard]] Stack& stack() const {
        if (!stack_) {
            throw Error{TENON_UNAVAILABLE, "the cache is not started"};
        }
        return *stack_;
    }

    void find_tiers() {
        const auto services = host().service<tenon_services_1>("tenon.services/1");
        const auto row = [](void* ctx, tenon_str instance, tenon_iface iface) noexcept {
            return guard(nullptr, [&] {
                auto& plugin = *static_cast<StackPlugin*>(ctx);
                plugin.stack_->add_tier(
                    std::string{view(instance)},
                    service_from<tenon_cache_tier_1>(iface),
                    [&plugin](const std::string& tier, const std::string& reason) {
                        plugin.tier_changed(tier, reason);
                    }
                );
            });
        };
        (void)services->each(services.self, str("tenon.cache_tier/1"), this, row);
        listen_to_tiers(true);
        note_deaf();
    }

    // Shared tiers tell what other servers have changed.
    void listen_to_tiers(bool begin) {
        for (const auto& tier : stack_->tiers()) {
            const auto service = tier->service();
            if (TENON_HAS(service.table, tenon_cache_tier_1, watch)) {
                watch(*tier, begin);
                continue;
            }
            if (!TENON_HAS(service.table, tenon_cache_tier_1, on_invalidate)) {
                continue;
            }
            const auto changed = [](void* ctx, tenon_bytes key) noexcept {
                (void
                )guard(nullptr, [&] { static_cast<Stack*>(ctx)->changed_elsewhere(view(key)); });
            };
            ErrorBuffer err;
            (void)service->on_invalidate(
                service.self, begin ? stack_.get() : nullptr, begin ? +changed : nullptr, &err
            );
        }
    }

    // Where no shared tier can tell what others change, nothing in memory is sure.
    void note_deaf() {
        bool any_shared = false;
        bool any_tells = false;
        for (const auto& tier : stack_->tiers()) {
            const auto* const table = tier->service().table;
            any_shared = any_shared || tier->shared();
            any_tells = any_tells || TENON_HAS(table, tenon_cache_tier_1, watch) ||
                        TENON_HAS(table, tenon_cache_tier_1, on_invalidate);
        }
        if (!any_shared || any_tells) {
            return;
        }
        for (const auto& tier : stack_->tiers()) {
            tier->set_suspect(tier->shared());
        }
        host().log().info("cache_tiers_deaf", {{"pushed_caches", "suspect_ms in memory at most"}});
    }

    void watch(Tier& tier, bool begin) {
        watched_.push_back({stack_.get(), &tier});
        const auto told = [](void* ctx, const tenon_cache_tier_event* event) noexcept {
            auto& watched = *static_cast<Watched*>(ctx);
            (void)guard(nullptr, [&] { watched.stack->heard(*watched.tier, *event); });
        };
        const auto service = tier.service();
        ErrorBuffer err;
        const tenon_status status = service->watch(
            service.self, begin ? &watched_.back() : nullptr, begin ? +told : nullptr, &err
        );
        if (begin && status != TENON_OK) {
            tier.set_suspect(true);
            host().log().warn(
                "cache_tier_unheard", {{"tier", tier.name()}, {"reason", err.message()}}
            );
        }
    }

    void tier_changed(const std::string& tier, const std::string& reason) {
        const bool up = reason.empty();
        health_->set(
            health_.self, str("tier-" + tier), up ? TENON_HEALTHY : TENON_DEGRADED, str(reason)
        );
        if (up) {
            host().log().info("cache_tier_back", {{"tier", tier}});
        } else {
            host().log().warn("cache_tier_left_out", {{"tier", tier}, {"reason", reason}});
        }
    }

    // The configured caches are there from the start, so that statistics show them.
    void open_named() {
        const auto settings = settings_.read();
        for (const auto& [name, times] : settings->caches) {
            (void)stack_->open(name);
        }
    }

    void begin_sweeps() {
        sweep_ = every(host(), "sweep", settings_->sweep_interval, [this] { stack_->sweep(); });
    }

    void add_commands() {
        commands_.open(host());
        commands_.add(
            "cache.stats",
            "{}: hits and sizes by cache and tier",
            [this](const Settings&) { return stack().stats(); }
        );
        commands_.add(
            "cache.prefetch",
            "{}: what was predicted, and whether it pays",
            [this](const Settings&) { return stack().prefetch_stats(); }
        );
        commands_.add(
            "cache.invalidate",
            R"({"tag":"kind:value"} | {"cache":NAME,"key":KEY} | {"cache":NAME} | {"all":true})",
            [this](const Settings& args) { return invalidate(args); }
        );
    }

    std::string invalidate(const Settings& args) {
        Stack& stack = this->stack();
        if (args.has("tag")) {
            stack.invalidate_tag(args.get<std::string>("tag"));
        } else if (args.has("cache") && args.has("key")) {
            stack.erase(stack.open(args.get<std::string>("cache")), args.get<std::string>("key"));
        } else if (args.has("cache")) {
            stack.invalidate_cache(args.get<std::string>("cache"));
        } else if (args.get("all", false)) {
            stack.clear();
        } else {
            throw Error{TENON_INVALID, "expected tag, cache with key, cache, or all"};
        }
        return R"({"invalidated":true})";
    }

    void publish() {
        const Metrics metrics{metrics_};
        std::size_t i = 0;
        stack_->each_cache([&](const std::string& name, const CacheCounters& now, auto entries) {
            if (i == series_.size()) {
                const auto counter = [&](std::string_view series, std::string_view help) {
                    return Followed{metrics.counter(series, help, {{"cache", name}})};
                };
                series_.push_back(
                    {counter("tenon_cache_hits_total", "Answers from a tier"),
                     counter("tenon_cache_misses_total", "Requests that no tier could answer"),
                     counter("tenon_cache_evictions_total", "Entries found gone before their time"),
                     counter("tenon_cache_loads_total", "Loads"),
                     counter("tenon_cache_load_errors_total", "Loads that failed"),
                     metrics.gauge("tenon_cache_entries", "Entries kept", {{"cache", name}})}
                );
            }
            Series& series = series_[i++];
            series.hits.follow(now.hits.load());
            series.misses.follow(now.misses.load());
            series.evictions.follow(now.evictions.load());
            series.loads.follow(now.loads.load());
            series.load_errors.follow(now.load_errors.load());
            series.entries.set(static_cast<std::int64_t>(entries));
        });
    }

    struct Watched {
        Stack* stack;
        Tier* tier;
    };

    Live<StackSettings> settings_;
    std::deque<Watched> watched_;  // what tiers call back with
    Service<tenon_health_1> health_;
    Service<tenon_metrics_1> metrics_;
    std::uint64_t collect_ = 0;
    std::vector<Series> series_;  // the collector's
    std::unique_ptr<Stack> stack_;
    AdminCommands commands_;
    BackgroundJob sweep_, warm_;
    Service<tenon_throttle_1> throttle_;
    std::unique_ptr<HttpRoutes> routes_;
};

}  // namespace
}  // namespace tenon::cache_stack

TENON_EXPORT_PLUGIN(tenon::cache_stack::StackPlugin)
