// SPDX-License-Identifier: Apache-2.0
// tenon.monitor.advisor: recommendations from measurements, tried in interleaved windows, kept when
// proven and else rolled back. At GET /api/advice, by `tenon advice …`, in DATA_DIR/advice.log.
#include "plugins/monitor/advisor/tuner.hpp"
#include "sdk/admin/own_line.hpp"
#include "sdk/machine/page.hpp"
#include "sdk/series/samples.hpp"

#include <tenon/admin.hpp>
#include <tenon/background_job.hpp>
#include <tenon/http.hpp>
#include <tenon/metrics.hpp>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <charconv>
#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace tenon::advisor {
namespace {

namespace json = boost::json;

constexpr std::int64_t k_ns_per_ms = 1'000'000, k_ms_per_s = 1'000;
constexpr std::int64_t k_settle_ms = 500, k_day_ms = 86'400'000;
constexpr std::chrono::milliseconds k_turn{500};
constexpr std::chrono::seconds k_index_turn{60};
constexpr std::size_t k_history_told = 100;

struct BoundSetting {
    explicit BoundSetting(const Settings& s)
        : bound{
              s.get<std::string>("setting"),
              s.get<std::optional<std::int64_t>>("min"),
              s.get<std::optional<std::int64_t>>("max"),
              s.get<std::vector<std::string>>("values", {})} {
        if (bound.values.empty() && !bound.min && !bound.max) {
            s.refuse("expected min, max or values");
        }
        if (bound.min && bound.max && *bound.min > *bound.max) {
            s.refuse("min is above max");
        }
    }

    Bound bound;
};

TunerOptions options_of(const Settings& s) {
    TunerOptions out;
    out.automatic = s.get<bool>("auto");
    out.kinds = s.get<std::vector<std::string>>("auto_kinds");
    for (const auto& each : s.get<std::vector<BoundSetting>>("bounds")) {
        out.bounds.push_back(each.bound);
    }
    out.settle_ms = k_settle_ms;
    out.window_ms = s.get<std::int64_t>("window_s") * k_ms_per_s - k_settle_ms;
    out.windows = s.get<std::uint32_t>("windows");
    if (out.windows % 2 != 0) {
        s.refuse("windows: expected an even number, half of them have the new value");
    }
    out.cool_down_ms = s.get<std::int64_t>("cool_down_s") * k_ms_per_s;
    out.evaluate_every_ms = s.get<std::int64_t>("evaluate_every_s") * k_ms_per_s;
    out.look_every_ms = std::min<std::int64_t>(5'000, out.evaluate_every_ms / 5);
    out.indexes_every_ms = s.get<std::int64_t>("indexes_every_s") * k_ms_per_s;
    out.dismissed_for_ms = s.get<std::int64_t>("dismiss_days") * k_day_ms;
    return out;
}

// As a JSON value where it is one, else as a text: the command line knows only texts.
json::value value_of(const std::string& text) {
    boost::system::error_code failed;
    json::value parsed = json::parse(text, failed);
    return failed ? json::value(json::string{text}) : parsed;
}

std::size_t limit_of(const std::string& text) {
    std::size_t limit = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, limit);
    if (error != std::errc{} || stop != end) {
        throw Error{TENON_INVALID, "limit: expected a number, found " + text};
    }
    return limit;
}

// The server's own admin socket.
struct OwnSteering final : Steering {
    template <class... Args>
    explicit OwnSteering(Args&&... args) : line{std::forward<Args>(args)...} {}

    boost::json::value
    ask(std::string_view command, boost::json::object args, std::int64_t patience_ms) override {
        return line.ask(command, std::move(args), patience_ms);
    }

    OwnLine line;
};

class AdvisorPlugin final : public Plugin {
public:
    using Plugin::Plugin;

    void configure(std::string_view text, bool dry_run) override {
        TunerOptions options = options_of(Settings{text});
        if (dry_run) {
            return;
        }
        if (tuner_) {
            tuner_->set_options(options);
        }
        options_ = std::move(options);
    }

    void start() override {
        clock_ = host().service<tenon_clock_1>("tenon.clock/1");
        metrics_ = host().service<tenon_metrics_1>("tenon.metrics/1");
        health_ = host().service<tenon_health_1>("tenon.health/1");
        data_dir_ = host().environment("data_dir");
        // Wall time without its steps.
        real_offset_ns_ = clock_->now_real_ns(clock_.self) - clock_->now_ns(clock_.self);
        make_metrics();
        for (const std::string& family : wanted_families()) {
            samples_.want(family, 0);
        }
        chronicle_ = std::make_unique<Chronicle>(std::filesystem::path{data_dir_} / "advice.log");
        if (chronicle_->broken() != 0) {
            host().log().error("advice_log_broken", {{"lines", chronicle_->broken()}});
        }
        line_ = std::make_unique<OwnSteering>(
            host().service<tenon_exec_1>("tenon.exec/1"), clock_, data_dir_
        );
        tuner_ = std::make_unique<Tuner>(
            *line_,
            *chronicle_,
            [this] { return now_ms(); },
            [this] { return look(); },
            [this](const Entry& entry) { tell(entry); }
        );
        tuner_->set_options(options_);
        add_commands();
        if (const auto routes = host().find<tenon_http_routes_1>("tenon.http_routes/1")) {
            routes_ = std::make_unique<HttpRoutes>(routes);
            routes_->mount("GET", "/api/advice", [this](const tenon_http_request& request) {
                const std::string body = tuner_->list();
                (void)routes_->respond(request.handle, {200, "application/json", body});
            });
        }
        // Both wait for the server's own answers, which need the pool.
        JobOptions exact;
        exact.own_thread = true;
        exact.jitter = 0;
        exact.backoff_max = std::chrono::seconds{5};
        exact.degraded_after = 20;
        job_ = every(
            host(), "advice", k_turn, [this] { turn(); }, exact
        );
        JobOptions apart;
        apart.own_thread = true;
        index_job_ = every(
            host(), "advice-indexes", k_index_turn, [this] { tuner_->look_for_indexes(); }, apart
        );
    }

    void stop() noexcept override {
        if (line_) {
            line_->line.close();  // what waits for an answer would hold up the rest
        }
        commands_.clear();
        routes_.reset();
        job_.stop();
        index_job_.stop();
        tuner_.reset();
        line_.reset();
        chronicle_.reset();
    }

private:
    [[nodiscard]] std::int64_t now_ms() const {
        return (clock_->now_ns(clock_.self) + real_offset_ns_) / k_ns_per_ms;
    }

    // Of the job, one after the other.
    [[nodiscard]] Snapshot look() {
        const std::string page = machine::metrics_page(metrics_, data_dir_);
        Snapshot out;
        out.at_ms = now_ms();
        samples_.add(page, out.at_ms);
        for (const std::string& family : wanted_families()) {
            for (const series::Series* const one : samples_.of(family)) {
                out.families[family].push_back({one->labels, one->samples.back().value});
            }
        }
        return out;
    }

    void turn() {
        tuner_->tick();
        const Tuner::State state = tuner_->state();
        open_.set(static_cast<std::int64_t>(state.open));
        trial_.set(state.is_trying ? 1 : 0);
        if (state.trouble != told_trouble_) {
            told_trouble_ = state.trouble;
            health_->set(
                health_.self,
                str("advice"),
                state.trouble.empty() ? TENON_HEALTHY : TENON_DEGRADED,
                str(state.trouble)
            );
        }
    }

    void make_metrics() {
        const Metrics metrics{metrics_};
        open_ = metrics.gauge("tenon_advice_open", "Recommendations that are open");
        trial_ = metrics.gauge("tenon_advice_trial", "1 while a change is tried");
        for (const std::string_view outcome : {"kept", "rolled_back", "failed", "recovered"}) {
            trials_[std::string{outcome}] = metrics.counter(
                "tenon_advice_trials_total", "Trials that have ended", {{"outcome", outcome}}
            );
        }
    }

    void tell(const Entry& entry) {
        if (const auto counted = trials_.find(entry.event); counted != trials_.end()) {
            counted->second.add();
        }
        const json::value* const reason = entry.detail.if_contains("reason");
        host().log().info(
            "advice_" + entry.event,
            {{"id", entry.id},
             {"by", entry.by},
             {"reason",
              reason != nullptr && reason->is_string() ? std::string_view{reason->get_string()}
                                                       : std::string_view{}}}
        );
    }

    void add_commands() {
        commands_.open(host());
        commands_.add(
            "advice.list",
            "{}: what is recommended, and the trial that is under way",
            [this](const Settings&) { return tuner_->list(); }
        );
        commands_.add(
            "advice.show",
            "{\"id\"}: one recommendation and its history",
            [this](const Settings& args) { return tuner_->show(args.get<std::string>("id")); }
        );
        commands_.add(
            "advice.apply",
            "{\"id\",\"by\"}: tries it; kept when proven, else taken back",
            [this](const Settings& args) {
                return tuner_->apply(args.get<std::string>("id"), by(args));
            }
        );
        commands_.add(
            "advice.rollback",
            "{\"id\",\"by\",\"reason\"}: ends the trial, or takes a kept change back",
            [this](const Settings& args) {
                return tuner_->roll_back(
                    args.get<std::string>("id", ""), by(args), args.get<std::string>("reason", "")
                );
            }
        );
        commands_.add(
            "advice.dismiss",
            "{\"id\",\"by\",\"reason\"}: not told again for dismiss_days",
            [this](const Settings& args) {
                return tuner_->dismiss(
                    args.get<std::string>("id"), by(args), args.get<std::string>("reason", "")
                );
            }
        );
        commands_.add(
            "advice.history",
            "{\"limit\":\"100\"}: what was tried and what came of it, the newest first",
            [this](const Settings& args) {
                const std::size_t limit =
                    args.has("limit") ? limit_of(args.get<std::string>("limit")) : k_history_told;
                return json::serialize(json::object{{"entries", chronicle_->json(limit)}});
            }
        );
        commands_.add(
            "advice.drill",
            "{\"plugin\",\"pointer\",\"value\",\"element\",\"field\",\"by\"}: tries any value "
            "within "
            "the bounds, to see that what is bad is taken back",
            [this](const Settings& args) {
                const Knob knob{
                    args.get<std::string>("plugin"),
                    args.get<std::string>("pointer"),
                    args.get<std::string>("element", ""),
                    args.get<std::string>("field", "")};
                return tuner_->drill(knob, value_of(args.get<std::string>("value")), by(args));
            }
        );
    }

    [[nodiscard]] static std::string by(const Settings& args) {
        return args.get<std::string>("by", "cli");
    }

    TunerOptions options_;  // the control thread's
    std::string data_dir_;
    std::int64_t real_offset_ns_ = 0;
    Service<tenon_clock_1> clock_;
    Service<tenon_metrics_1> metrics_;
    Service<tenon_health_1> health_;
    series::Samples samples_;   // guarded by the tuner's turn
    std::string told_trouble_;  // the job's
    Gauge open_, trial_;
    std::map<std::string, Counter, std::less<>> trials_;
    std::unique_ptr<Chronicle> chronicle_;
    std::unique_ptr<OwnSteering> line_;
    std::unique_ptr<Tuner> tuner_;
    std::unique_ptr<HttpRoutes> routes_;
    AdminCommands commands_;
    BackgroundJob job_, index_job_;
};

}  // namespace
}  // namespace tenon::advisor

TENON_EXPORT_PLUGIN(tenon::advisor::AdvisorPlugin)
