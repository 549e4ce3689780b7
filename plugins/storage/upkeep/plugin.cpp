// SPDX-License-Identifier: Apache-2.0
// tenon.storage.upkeep: settings, the schedule, the commands of `tenon views` and `tenon
// integrity`.
#include "plugins/storage/upkeep/maintenance.hpp"
#include "plugins/storage/upkeep/rounds.hpp"
#include "plugins/storage/upkeep/schedule_file.hpp"

#include <tenon/admin.hpp>
#include <tenon/background_job.hpp>
#include <tenon/metrics.hpp>
#include <tenon/quiet_schedule.hpp>

#include <atomic>
#include <chrono>
#include <optional>

namespace tenon::upkeep {
namespace {

constexpr std::int64_t k_s = 1'000'000'000;
// The first round after a start, where the interval is longer.
constexpr std::int64_t k_first_ns = 60 * k_s;

// When something is next due. On the job's thread only.
class Due {
public:
    void begin(std::int64_t now_ns, std::int64_t every_s) noexcept {
        at_ns_ = now_ns + std::min(every_s * k_s, k_first_ns);
    }

    // every_s 0: never.
    [[nodiscard]] bool take(std::int64_t now_ns, std::int64_t every_s) noexcept {
        if (every_s == 0 || now_ns < at_ns_) {
            return false;
        }
        at_ns_ = now_ns + every_s * k_s;
        return true;
    }

private:
    std::int64_t at_ns_ = 0;
};

class UpkeepPlugin final : public Plugin {
public:
    explicit UpkeepPlugin(const tenon_host* raw) : Plugin{raw} {}

    void configure(std::string_view json, bool dry_run) override {
        const Settings settings{json};
        const auto step_ms = settings.get<std::int64_t>("step_ms");
        const auto timeout_ms = settings.get<std::int64_t>("step_timeout_ms");
        const auto views_s = settings.get<std::int64_t>("views_every_s");
        const auto integrity_s = settings.get<std::int64_t>("integrity_every_s");
        const auto maintenance_s = settings.get<std::int64_t>("maintenance_every_s");
        const auto latest_s = settings.get<std::int64_t>("maintenance_latest_s");
        if (!dry_run) {
            maintenance_every_s_ = maintenance_s;
            maintenance_latest_s_ = latest_s;
            step_ms_ = step_ms;
            timeout_ms_ = timeout_ms;
            views_every_s_ = views_s;
            integrity_every_s_ = integrity_s;
        }
    }

    void start() override {
        stopping_ = false;
        clock_ = host().service<tenon_clock_1>("tenon.clock/1");
        health_ = host().service<tenon_health_1>("tenon.health/1");
        storage_ = Storage{host().require<tenon_storage_1>("tenon.storage/1")};
        make_metrics();
        add_commands();
        views_due_.begin(now_ns(), views_every_s_);
        integrity_due_.begin(now_ns(), integrity_every_s_);
        open_schedule();
        JobOptions options;
        options.jitter = 0;
        job_ = every(
            host(), "upkeep", std::chrono::milliseconds{step_ms_}, [this] { tick(); }, options
        );
    }

    void stop() noexcept override {
        stopping_ = true;  // a command ends with its step
        commands_.clear();
        job_.stop();
        views_.reset();
        integrity_.reset();
        maintenance_.reset();
        storage_ = {};
    }

private:
    [[nodiscard]] std::int64_t now_ns() const { return clock_->now_ns(clock_.self); }

    [[nodiscard]] RoundContext context() const {
        return {storage_, [this] { return now_ns(); }, timeout_ms_ * 1'000'000};
    }

    void make_metrics() {
        const Metrics metrics{host()};
        steps_ = metrics.counter("tenon_upkeep_steps_total", "Steps of scheduled checks");
        views_different_ = metrics.gauge(
            "tenon_upkeep_view_differences", "Keys of summaries that differed from their rows"
        );
        integrity_problems_ = metrics.gauge(
            "tenon_upkeep_integrity_problems", "What the last look at the database found wrong"
        );
        maintenance_failures_ = metrics.counter(
            "tenon_upkeep_maintenance_failures_total", "Tables whose maintenance failed"
        );
        maintenance_time_ = metrics.gauge(
            "tenon_upkeep_maintenance_time_seconds", "When all tables were last looked after"
        );
        views_time_ = metrics.gauge(
            "tenon_upkeep_views_checked_time_seconds", "When the summaries were last checked whole"
        );
        integrity_time_ = metrics.gauge(
            "tenon_upkeep_integrity_checked_time_seconds",
            "When the database was last checked whole"
        );
    }

    // One step of whatever round is under way; a round begins when it is due.
    void tick() {
        const std::int64_t now = now_ns();
        watch_traffic(now);
        if (!views_ && !integrity_) {
            if (views_due_.take(now, views_every_s_)) {
                views_.emplace(context());
            } else if (integrity_due_.take(now, integrity_every_s_)) {
                integrity_.emplace(context(), false);
            }
        }
        if (views_) {
            steps_.add();
            if (!views_->step()) {
                tell(*views_);
                views_.reset();
            }
        } else if (integrity_) {
            steps_.add();
            if (!integrity_->step()) {
                tell(*integrity_);
                integrity_.reset();
            }
        } else {
            maintain(now);
        }
    }

    [[nodiscard]] std::int64_t now_real_ns() const { return clock_->now_real_ns(clock_.self); }

    // Where there is no data folder it is in memory only.
    void open_schedule() {
        const std::string folder = host().environment("data_dir");
        file_ = folder.empty() ? "" : folder + "/upkeep.schedule";
        const std::int64_t every_ns = maintenance_every_s_ * k_s;
        try {
            schedule_.begin(read_schedule(file_), now_ns(), now_real_ns(), every_ns);
        } catch (const Error& e) {
            schedule_.begin("", now_ns(), now_real_ns(), every_ns);
            host().log().warn("schedule_lost", {{"file", file_}, {"reason", e.what()}});
        }
        save_schedule(now_ns());
    }

    void save_schedule(std::int64_t now) {
        if (!schedule_.take_unsaved(now) || file_.empty()) {
            return;
        }
        try {
            save_schedule_file(file_, schedule_.text());
        } catch (const Error& e) {
            host().log().warn("schedule_not_saved", {{"reason", e.what()}});
        }
    }

    void watch_traffic(std::int64_t now) {
        schedule_.observe(now, now_real_ns(), storage_.stats().transactions);
        save_schedule(now);
    }

    // While it is quiet, a table each time.
    void maintain(std::int64_t now) {
        if (maintenance_every_s_ == 0 || !schedule_.may_begin(now, maintenance_latest_s_ * k_s)) {
            return;
        }
        if (!maintenance_) {
            maintenance_.emplace(context());
        }
        steps_.add();
        try {
            if (maintenance_->step()) {
                return;
            }
        } catch (const StorageError& e) {
            // Statistics can wait: the next table, and this one the next time.
            maintenance_failures_.add();
            host().log().warn("maintenance_failed", {{"reason", e.what()}});
            return;
        }
        host().log().info("maintenance_done", {{"tables", maintenance_->tables()}});
        maintenance_time_.set(now_real_ns() / k_s);
        maintenance_.reset();
        schedule_.done(now, now_real_ns(), maintenance_every_s_ * k_s);
        save_schedule(now);
    }

    void tell(const ViewsRound& round) {
        const Findings& found = round.findings();
        views_different_.set(static_cast<std::int64_t>(found.different));
        views_time_.set(now_real_ns() / k_s);
        std::string reason;
        if (found.different != 0) {
            const Difference& first = found.told.front();
            reason = std::to_string(found.different) + " keys differ from their rows, first " +
                     first.view + " " + first.key + ": kept " + first.kept + ", rows give " +
                     first.rows + "; tenon views rebuild";
            host().log().warn(
                "views_differ",
                {{"keys", found.different}, {"view", first.view}, {"first", first.key}}
            );
        } else if (round.unchecked() != 0) {
            reason = unchecked_reason(round.unchecked(), "days");
        }
        set_health("views", reason);
    }

    void tell(const IntegrityRound& round) {
        integrity_problems_.set(static_cast<std::int64_t>(round.problems().size()));
        integrity_time_.set(now_real_ns() / k_s);
        std::string reason;
        if (!round.problems().empty()) {
            reason = round.problems().front();
            if (round.problems().size() > 1) {
                reason += " (and " + std::to_string(round.problems().size() - 1) + " more)";
            }
            for (const std::string& problem : round.problems()) {
                host().log().error("integrity_problem", {{"problem", problem}});
            }
        } else if (round.unchecked() != 0) {
            reason = unchecked_reason(round.unchecked(), "tables");
        }
        set_health("integrity", reason);
    }

    [[nodiscard]] static std::string unchecked_reason(std::uint64_t count, std::string_view what) {
        return std::to_string(count) + " " + std::string{what} +
               " were not checked: they took longer than step_timeout_ms";
    }

    void set_health(std::string_view component, const std::string& reason) {
        const std::int32_t state = reason.empty() ? TENON_HEALTHY : TENON_DEGRADED;
        health_->set(health_.self, str(component), state, str(reason));
    }

    template <class Round>
    [[nodiscard]] std::string run(Round round) {
        while (round.step()) {
            if (stopping_) {
                throw Error{TENON_UNAVAILABLE, "the server is stopping"};
            }
        }
        tell(round);
        return round.json();
    }

    void add_commands() {
        commands_.open(host());
        commands_.add(
            "views.check",
            "{}: adds the rows of the daily summaries up anew and compares",
            [this](const Settings&) { return run(ViewsRound{context()}); }
        );
        commands_.add(
            "views.rebuild",
            "{}: writes the daily summaries anew from their rows, then checks them",
            [this](const Settings&) {
                const std::uint64_t days =
                    rebuild_views(context(), [this] { return stopping_.load(); });
                host().log().info("views_rebuilt", {{"days", days}});
                return run(ViewsRound{context()});
            }
        );
        commands_.add(
            "integrity.check",
            R"({"full":bool}: whether the database itself is whole; full: slower, indexes too)",
            [this](const Settings& args) {
                return run(IntegrityRound{context(), args.get<bool>("full", false)});
            }
        );
    }

    // Set by configure while the job and commands run.
    std::atomic<std::int64_t> step_ms_{1000}, timeout_ms_{30000};
    std::atomic<std::int64_t> views_every_s_{0}, integrity_every_s_{0};
    std::atomic<std::int64_t> maintenance_every_s_{0}, maintenance_latest_s_{0};
    std::atomic<bool> stopping_{false};
    Service<tenon_clock_1> clock_;
    Service<tenon_health_1> health_;
    Storage storage_;
    Counter steps_, maintenance_failures_;
    Gauge maintenance_time_, views_different_, integrity_problems_, views_time_, integrity_time_;
    // The job's.
    Due views_due_, integrity_due_;
    std::optional<ViewsRound> views_;
    std::optional<IntegrityRound> integrity_;
    std::optional<MaintenanceRound> maintenance_;
    QuietSchedule schedule_;
    std::string file_;  // of the schedule; "": none
    AdminCommands commands_;
    BackgroundJob job_;
};

}  // namespace
}  // namespace tenon::upkeep

TENON_EXPORT_PLUGIN(tenon::upkeep::UpkeepPlugin)
