// SPDX-License-Identifier: Apache-2.0
// tenon.venue.replay: settings, reactor 0's timer, listeners.
#include "plugins/venue/replay/replay.hpp"

#include <tenon/abi/host.h>
#include <tenon/abi/instruments.h>
#include <tenon/plugin.hpp>

#include <boost/json.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tenon::replay {
namespace {

struct FileSetting {
    std::string symbol;
    std::string file;
};

class ReplayPlugin : public Plugin {
public:
    explicit ReplayPlugin(const tenon_host* raw) : Plugin{raw} {
        provide("tenon.feed/1", this, &k_feed);
    }

    void configure(std::string_view json, bool dry_run) override;
    void start() override;
    void stop() noexcept override;

private:
    struct Listener {
        std::uint64_t handle;
        void* ctx;
        void (*fn)(void* ctx, const tenon_feed_event*);
        bool opened;  // has had its first snapshots
    };

    static ReplayPlugin& of(void* self) noexcept { return *static_cast<ReplayPlugin*>(self); }

    static tenon_status subscribe(
        void* self,
        void* ctx,
        void (*fn)(void*, const tenon_feed_event*),
        std::uint64_t* handle
    ) noexcept {
        return guard(nullptr, [&] { *handle = of(self).add_listener(ctx, fn); });
    }

    static void unsubscribe(void* self, std::uint64_t handle) noexcept {
        (void)guard(nullptr, [&] { of(self).remove_listener(handle); });
    }

    static std::uint32_t serves(void* self, std::uint32_t instrument) noexcept {
        const auto& served = of(self).served_;
        return std::find(served.begin(), served.end(), instrument) != served.end() ? 1 : 0;
    }

    std::uint64_t add_listener(void* ctx, void (*fn)(void*, const tenon_feed_event*));
    void remove_listener(std::uint64_t handle);
    void open_recordings();
    void make_metrics();
    void emit(const tenon_feed_event& event);
    void trouble(const std::string& symbol, const std::string& reason);
    void run();
    void arm(std::int64_t deadline_ns);
    void publish_statistics();

    static constexpr tenon_feed_1
        k_feed{sizeof(tenon_feed_1), 0, &subscribe, &unsubscribe, &serves, nullptr, nullptr};

    ReplaySettings settings_;
    std::vector<FileSetting> files_;
    Service<tenon_exec_1> exec_;
    Service<tenon_clock_1> clock_;
    Service<tenon_health_1> health_;
    Log log_;
    std::vector<std::uint32_t> served_;  // fixed between start and stop
    std::array<std::uint64_t*, 6> events_{};
    std::uint64_t* damaged_ = nullptr;
    std::uint64_t* gaps_ = nullptr;
    std::uint64_t* loops_ = nullptr;
    ReplayStatistics published_;
    // Reactor 0's from here on.
    std::unique_ptr<Replay> replay_;
    std::vector<Listener> listeners_;
    std::uint64_t next_handle_ = 1;
    std::uint64_t timer_ = 0;
    std::vector<std::pair<std::string, std::string>> troubles_;
};

void add(std::uint64_t* cell, std::uint64_t amount) noexcept {
    if (cell != nullptr && amount != 0) {
        std::atomic_ref{*cell}.fetch_add(amount, std::memory_order_relaxed);
    }
}

void ReplayPlugin::configure(std::string_view json, bool dry_run) {
    const boost::json::value parsed = boost::json::parse({json.data(), json.size()});
    const boost::json::object& object = parsed.as_object();
    ReplaySettings settings;
    settings.speed = object.at("speed").to_number<double>();
    settings.paused = object.at("paused").as_bool();
    settings.loop = object.at("loop").as_bool();
    std::vector<FileSetting> files;
    for (const boost::json::value& entry : object.at("files").as_array()) {
        FileSetting file{
            std::string{entry.at("symbol").as_string()}, std::string{entry.at("file").as_string()}};
        const bool twice = std::any_of(files.begin(), files.end(), [&](const FileSetting& have) {
            return have.symbol == file.symbol;
        });
        if (twice) {
            throw Error{TENON_INVALID, "files: " + file.symbol + " is named twice"};
        }
        files.push_back(std::move(file));
    }
    if (!dry_run) {
        settings_ = settings;
        files_ = std::move(files);
    }
}

void ReplayPlugin::open_recordings() {
    const auto instruments = host().require<tenon_instruments_1>("tenon.instruments/1");
    const std::filesystem::path folder{host().environment("deployment_dir")};
    replay_ = std::make_unique<Replay>(
        settings_,
        [this](const tenon_feed_event& event) { emit(event); },
        [this](const std::string& symbol, const std::string& reason) { trouble(symbol, reason); }
    );
    served_.clear();
    for (const FileSetting& setting : files_) {
        std::uint32_t id = 0;
        if (instruments->find_instrument(instruments.self, str(setting.symbol), &id) != TENON_OK) {
            throw Error{TENON_INVALID, "files: " + setting.symbol + " is not a listed instrument"};
        }
        const tenon_instrument& instrument = *instruments->instrument(instruments.self, id);
        Recording recording{
            (folder / setting.file).lexically_normal().string(),
            {setting.symbol, instrument.price_scale, instrument.quantity_scale}};
        const auto exec = exec_;
        replay_->add(
            id,
            setting.symbol,
            std::make_unique<Prefetch>(
                std::move(recording),
                [exec](std::function<void()> fill) {
                    try {
                        run_blocking(exec, std::move(fill));
                        return true;
                    } catch (const Error&) {
                        return false;  // the pool's queue is full: asked again in a moment
                    }
                }
            )
        );
        served_.push_back(id);
    }
}

void ReplayPlugin::make_metrics() {
    const auto metrics = host().service<tenon_metrics_1>("tenon.metrics/1");
    const auto counter = [&](std::string_view name, std::string_view help) {
        return metrics->counter(metrics.self, str(name), str(help), nullptr, 0);
    };
    constexpr std::array<std::string_view, 6> k_kinds{
        "", "snapshot", "diff", "trade", "book_ticker", "gap"};
    for (std::size_t kind = 1; kind < k_kinds.size(); ++kind) {
        const tenon_label label{str("kind"), str(k_kinds[kind])};
        events_[kind] = metrics->counter(
            metrics.self, str("tenon_replay_events_total"), str("Events sent"), &label, 1
        );
    }
    damaged_ = counter("tenon_replay_damaged_lines_total", "Recorded lines that cannot be read");
    gaps_ = counter("tenon_replay_gaps_total", "Places where recorded update ids do not join");
    loops_ = counter("tenon_replay_loops_total", "Loops begun");
}

void ReplayPlugin::start() {
    exec_ = host().service<tenon_exec_1>("tenon.exec/1");
    clock_ = host().service<tenon_clock_1>("tenon.clock/1");
    health_ = host().service<tenon_health_1>("tenon.health/1");
    log_ = host().log();
    published_ = {};
    make_metrics();
    open_recordings();
    for (const FileSetting& file : files_) {
        health_->set(health_.self, str(file.symbol), TENON_HEALTHY, str(""));
    }
    call_on_reactor(exec_, 0, [this] { run(); });
    log_.info(
        "replay_started",
        {{"symbols", served_.size()}, {"speed", settings_.speed}, {"paused", settings_.paused}}
    );
}

void ReplayPlugin::stop() noexcept {
    (void)guard(nullptr, [&] {
        if (!replay_) {
            return;
        }
        call_on_reactor(exec_, 0, [this] {
            if (timer_ != 0) {
                exec_->cancel_timer(exec_.self, timer_);
                timer_ = 0;
            }
            listeners_.clear();
        });
        replay_->finish();
        replay_.reset();
    });
}

std::uint64_t ReplayPlugin::add_listener(void* ctx, void (*fn)(void*, const tenon_feed_event*)) {
    std::uint64_t handle = 0;
    call_on_reactor(exec_, 0, [&] {
        handle = next_handle_++;
        listeners_.push_back({handle, ctx, fn, false});
        arm(0);  // the next turn opens it
    });
    return handle;
}

void ReplayPlugin::remove_listener(std::uint64_t handle) {
    call_on_reactor(exec_, 0, [&] {
        std::erase_if(listeners_, [&](const Listener& have) { return have.handle == handle; });
    });
}

void ReplayPlugin::emit(const tenon_feed_event& event) {
    add(events_[event.kind], 1);
    for (const Listener& listener : listeners_) {
        if (listener.opened) {
            listener.fn(listener.ctx, &event);
        }
    }
}

// Called in the middle of a step: said when the step is done.
void ReplayPlugin::trouble(const std::string& symbol, const std::string& reason) {
    troubles_.emplace_back(symbol, reason);
}

void ReplayPlugin::run() {
    timer_ = 0;
    for (std::size_t i = 0; i < listeners_.size(); ++i) {
        if (!listeners_[i].opened) {
            listeners_[i].opened = true;
            const Listener listener = listeners_[i];
            replay_->snapshots([&](const tenon_feed_event& event) {
                listener.fn(listener.ctx, &event);
            });
        }
    }
    const std::int64_t next =
        replay_->step(clock_->now_ns(clock_.self), clock_->now_real_ns(clock_.self));
    publish_statistics();
    if (next != Replay::k_never) {
        arm(next);
    }
}

void ReplayPlugin::arm(std::int64_t deadline_ns) {
    if (timer_ != 0) {
        exec_->cancel_timer(exec_.self, timer_);
    }
    const auto fire = [](void* ctx) noexcept {
        (void)guard(nullptr, [&] { static_cast<ReplayPlugin*>(ctx)->run(); });
    };
    timer_ = exec_->timer(exec_.self, deadline_ns, fire, this);
}

void ReplayPlugin::publish_statistics() {
    const ReplayStatistics& now = replay_->statistics();
    add(damaged_, now.damaged_lines - published_.damaged_lines);
    add(gaps_, now.gaps - published_.gaps);
    add(loops_, now.loops - published_.loops);
    published_ = now;
    for (const auto& [symbol, reason] : troubles_) {
        health_->set(
            health_.self, str(symbol), reason.empty() ? TENON_HEALTHY : TENON_DEGRADED, str(reason)
        );
        if (!reason.empty()) {
            log_.warn("recording_damaged", {{"symbol", symbol}, {"reason", reason}});
        }
    }
    troubles_.clear();
}

}  // namespace
}  // namespace tenon::replay

TENON_EXPORT_PLUGIN(tenon::replay::ReplayPlugin)
