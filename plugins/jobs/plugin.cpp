// SPDX-License-Identifier: Apache-2.0
// tenon.jobs: settings, the workers' turns, tenon.jobs/1, the commands of `tenon jobs`.
#include "plugins/jobs/command.hpp"
#include "plugins/jobs/runner.hpp"
#include "sdk/admin/own_line.hpp"

#include <tenon/admin.hpp>
#include <tenon/background_job.hpp>
#include <tenon/jobs.hpp>
#include <tenon/metrics.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <unistd.h>

namespace tenon::jobs {
namespace {

constexpr std::int64_t k_s = 1'000'000'000, k_ms = 1'000'000;
// Backups and drills take their time.
constexpr std::int64_t k_command_timeout_ms = 6 * 3'600'000;
constexpr std::uint32_t k_command_attempts = 3;
// Of the names of schedules that the settings declare.
constexpr std::string_view k_declared = "settings.";

// A schedule of an admin command, by the settings or by `tenon jobs schedule --command`.
struct CommandSchedule {
    CommandSchedule(std::string wanted_name, std::string wanted_rule, std::string_view line)
        : name{std::move(wanted_name)},
          rule{std::move(wanted_rule)},
          payload{payload_of(parse_command(line))} {
        (void)Rule{rule};
        require_name(name, "schedule", "");
    }

    explicit CommandSchedule(const Settings& s)
        : CommandSchedule{
              std::string{k_declared} + s.get<std::string>("name"),
              s.get<std::string>("rule"),
              s.get<std::string>("command")} {}

    [[nodiscard]] tenon_job_schedule raw() const {
        auto wanted = sized<tenon_job_schedule>();
        wanted.name = str(name);
        wanted.rule = str(rule);
        wanted.job = sized<tenon_job>();
        wanted.job.queue = str(k_command_queue);
        wanted.job.kind = str(k_command_kind);
        wanted.job.payload = str(payload);
        wanted.job.timeout_ms = k_command_timeout_ms;
        wanted.job.attempts_max = k_command_attempts;
        return wanted;
    }

    std::string name, rule, payload;
};

struct Config {
    explicit Config(const Settings& s)
        : workers{s.get<std::uint32_t>("workers")},
          batch{s.get<std::uint32_t>("batch")},
          poll_ms{s.get<std::int64_t>("poll_ms")},
          lease_s{s.get<std::int64_t>("lease_s")},
          keep_done_s{s.get<std::int64_t>("keep_done_s")},
          schedules{s.get<std::vector<CommandSchedule>>("schedules", {})} {
        limits.queue_max = s.get<std::int64_t>("queue_max");
        limits.payload_max = s.get<std::size_t>("payload_max_kb") * 1'024;
        limits.timeout_ms = s.get<std::int64_t>("timeout_ms");
        limits.attempts_max = s.get<std::uint32_t>("attempts_max");
        limits.backoff_ms = s.get<std::int64_t>("backoff_ms");
        limits.backoff_max_ms = s.get<std::int64_t>("backoff_max_ms");
        if (limits.backoff_max_ms < limits.backoff_ms) {
            s.refuse("backoff_max_ms is below backoff_ms");
        }
    }

    std::uint32_t workers, batch;
    std::int64_t poll_ms, lease_s, keep_done_s;
    std::vector<CommandSchedule> schedules;
    Limits limits;
};

// A number, also as the text that the command line sends.
std::int64_t number_of(const Settings& args, std::string_view key) {
    if (!args.has(key)) {
        args.refuse(std::string{key} + " is missing");
    }
    const Json& value = *args.json().find(key);
    return value.is(Json::Kind::text) ? Json::parse(value.text()).integer<std::int64_t>()
                                      : value.integer<std::int64_t>();
}

class JobsPlugin final : public Plugin {
public:
    explicit JobsPlugin(const tenon_host* raw) : Plugin{raw} {
        provide("tenon.jobs/1", this, &table());
    }

    void configure(std::string_view text, bool dry_run) override {
        Config config{Settings{text}};
        if (!dry_run) {
            config_ = std::move(config);
        }
    }

    void start() override {
        clock_ = host().service<tenon_clock_1>("tenon.clock/1");
        health_ = host().service<tenon_health_1>("tenon.health/1");
        const Clocks clocks{
            [this] { return clock_->now_ns(clock_.self); },
            [this] { return clock_->now_real_ns(clock_.self); }};
        store_ = std::make_unique<Store>(
            Storage{host().require<tenon_storage_1>("tenon.storage/1")}, config_->limits, clocks
        );
        make_metrics();
        std::array<char, 65> machine{};
        (void)::gethostname(machine.data(), machine.size() - 1);
        runner_ = std::make_unique<Runner>(
            *store_,
            clocks,
            std::string{machine.data()} + "/" + std::to_string(::getpid()),
            config_->lease_s * k_s,
            [this](const Outcome& outcome, std::int64_t duration_ns) { tell(outcome, duration_ns); }
        );
        line_ = std::make_unique<OwnLine>(
            host().service<tenon_exec_1>("tenon.exec/1"),
            clock_,
            std::string{host().environment("data_dir")}
        );
        own_jobs_.open({this, &table()});
        own_jobs_.handle(k_command_queue, k_command_kind, [this](const JobRun& run) { give(run); });
        is_declared_ = false;
        add_commands();
        JobOptions often;
        often.backoff_max = std::chrono::seconds{5};
        // Handlers may take long: they hold none of the pool's few threads, and leases are extended
        // while they run.
        often.own_thread = true;
        for (std::uint32_t i = 0; i < config_->workers; ++i) {
            workers_.push_back(every(
                host(),
                "worker-" + std::to_string(i),
                std::chrono::milliseconds{config_->poll_ms},
                [this] { work(); },
                often
            ));
        }
        heart_ = every(
            host(),
            "heartbeat",
            std::chrono::milliseconds{config_->lease_s * 1'000 / 4},
            [this] { runner_->heartbeat(); },
            often
        );
        keeper_ = every(
            host(), "keeper", std::chrono::seconds{1}, [this] { keep(); }, often
        );
    }

    void stop() noexcept override {
        commands_.clear();
        if (runner_) {
            runner_->stop();
        }
        if (line_) {
            line_->close();  // a command that is waited for would hold up the rest
        }
        own_jobs_.clear();
        workers_.clear();
        keeper_.stop();
        heart_.stop();
        runner_.reset();
        store_.reset();
        line_.reset();
    }

private:
    static JobsPlugin& of(void* self) noexcept { return *static_cast<JobsPlugin*>(self); }

    static const tenon_jobs_1& table() noexcept;

    // A worker's turn: a bounded time, so that the pool's threads come back to others.
    void work() {
        const std::int64_t until = clock_->now_ns(clock_.self) + k_s;
        while (runner_->work(config_->batch) && clock_->now_ns(clock_.self) < until) {}
    }

    // The command of a job. What the server refuses is dead at once; what it cannot do now is tried
    // again.
    void give(const JobRun& run) {
        const Command command = command_of(run.payload());
        const std::int64_t left_ms = (run.deadline_ns() - clock_->now_ns(clock_.self)) / k_ms;
        (void)line_->ask(command.name, command.args, left_ms);
        host().log().info("command_done", {{"command", command.name}, {"job", run.id()}});
    }

    // The schedules that the settings name are made or changed, those that they named before go.
    void declare() {
        std::vector<std::string> wanted;
        for (const CommandSchedule& one : config_->schedules) {
            store_->schedule(one.raw());
            wanted.push_back(one.name);
        }
        for (const std::string& name : store_->schedule_names(k_declared)) {
            if (std::find(wanted.begin(), wanted.end(), name) == wanted.end()) {
                (void)store_->unschedule(name);
            }
        }
        is_declared_ = true;
    }

    void keep() {
        if (!is_declared_) {
            declare();
        }
        if (const std::int64_t taken = store_->reclaim(); taken != 0) {
            host().log().warn("jobs_reclaimed", {{"jobs", taken}});
        }
        (void)store_->run_schedules();
        (void)store_->forget_done(config_->keep_done_s * k_s);
        Depth sum;
        for (const auto& [queue, depth] : store_->depths()) {
            sum.queued += depth.queued;
            sum.running += depth.running;
            sum.dead += depth.dead;
            if (depth.oldest_due_real_ns != 0 &&
                (sum.oldest_due_real_ns == 0 || depth.oldest_due_real_ns < sum.oldest_due_real_ns
                )) {
                sum.oldest_due_real_ns = depth.oldest_due_real_ns;
            }
        }
        queued_.set(sum.queued);
        running_.set(sum.running);
        dead_.set(sum.dead);
        const std::int64_t now = clock_->now_real_ns(clock_.self);
        oldest_.set(
            sum.oldest_due_real_ns == 0
                ? 0
                : std::max<std::int64_t>(now - sum.oldest_due_real_ns, 0) / k_s
        );
        const std::string reason =
            sum.dead == 0 ? "" : std::to_string(sum.dead) + " jobs are dead; tenon jobs dead";
        health_->set(
            health_.self,
            str("dead-letters"),
            reason.empty() ? TENON_HEALTHY : TENON_DEGRADED,
            str(reason)
        );
    }

    void tell(const Outcome& outcome, std::int64_t duration_ns) {
        const bool is_dead =
            outcome.result == Result::dead ||
            (outcome.result == Result::retry && outcome.job.attempt >= outcome.job.attempts_max);
        (outcome.result == Result::done ? done_ : is_dead ? died_ : again_).add();
        duration_.observe(std::chrono::nanoseconds{duration_ns});
        if (is_dead) {
            host().log().error(
                "job_dead",
                {{"job", outcome.job.id},
                 {"queue", outcome.job.queue},
                 {"kind", outcome.job.kind},
                 {"reason", outcome.error}}
            );
        }
    }

    void make_metrics() {
        const Metrics metrics{host()};
        queued_ = metrics.gauge("tenon_jobs_queued", "Jobs that wait, of all servers");
        running_ = metrics.gauge("tenon_jobs_running", "Jobs that run, of all servers");
        dead_ = metrics.gauge("tenon_jobs_dead", "Dead jobs that wait for an operator");
        oldest_ = metrics.gauge(
            "tenon_jobs_oldest_age_seconds", "How long the oldest waiting job has been due"
        );
        enqueued_ = metrics.counter("tenon_jobs_enqueued_total", "Jobs taken by this server");
        const auto runs = [&](std::string_view outcome) {
            return metrics.counter(
                "tenon_jobs_runs_total", "Runs by outcome", {{"outcome", outcome}}
            );
        };
        done_ = runs("done");
        again_ = runs("again");
        died_ = runs("dead");
        duration_ =
            metrics.histogram("tenon_jobs_run_duration_seconds", "Duration of runs of jobs");
    }

    // Before the deed: what cannot be recorded is not done.
    void record(const Settings& args, std::string_view action, std::string_view subject) {
        const auto by = args.get<std::string>("by", "cli");
        tenon_audit_event event{};
        event.size = sizeof event;
        event.actor = str(by);
        event.action = str(action);
        event.subject = str(subject);
        ErrorBuffer err;
        const auto audit = host().service<tenon_audit_1>("tenon.audit/1");
        check(audit->record(audit.self, &event, &err), err, "the audit log");
    }

    std::string
    change(const Settings& args, std::string_view action, void (Store::*deed)(std::int64_t)) {
        const std::int64_t id = number_of(args, "id");
        record(args, action, "job " + std::to_string(id));
        ((*store_).*deed)(id);
        return "{\"ok\":true}";
    }

    std::string list(const Settings& args, std::string_view status) {
        return store_->list(
            args.get<std::string>("queue", ""),
            status,
            args.has("limit") ? number_of(args, "limit") : 100
        );
    }

    std::string queues() {
        std::string out{"{"};
        for (const auto& [queue, depth] : store_->depths()) {
            out.append(out.size() == 1 ? "" : ",");
            append_json(out, queue);
            out.append(":{\"queued\":").append(std::to_string(depth.queued));
            out.append(",\"running\":").append(std::to_string(depth.running));
            out.append(",\"dead\":").append(std::to_string(depth.dead));
            out.append(",\"oldest_due_real_ns\":").append(std::to_string(depth.oldest_due_real_ns));
            out.append("}");
        }
        return out.append("}");
    }

    std::string make_schedule(const Settings& args) {
        const auto name = args.get<std::string>("name"), rule = args.get<std::string>("rule");
        if (args.has("command")) {
            const CommandSchedule wanted{name, rule, args.get<std::string>("command")};
            record(args, "jobs.schedule", name);
            store_->schedule(wanted.raw());
            return "{\"ok\":true}";
        }
        const auto queue = args.get<std::string>("queue"), kind = args.get<std::string>("kind");
        const auto payload = args.get<std::string>("payload", "{}");
        auto wanted = sized<tenon_job_schedule>();
        wanted.name = str(name);
        wanted.rule = str(rule);
        wanted.job = sized<tenon_job>();
        wanted.job.queue = str(queue);
        wanted.job.kind = str(kind);
        wanted.job.payload = str(payload);
        record(args, "jobs.schedule", name);
        store_->schedule(wanted);
        return "{\"ok\":true}";
    }

    std::string drop_schedule(const Settings& args) {
        const auto name = args.get<std::string>("name");
        record(args, "jobs.unschedule", name);
        if (!store_->unschedule(name)) {
            throw Error{TENON_NOT_FOUND, "there is no schedule " + name};
        }
        return "{\"ok\":true}";
    }

    void add_commands() {
        commands_.open(host());
        commands_.add(
            "jobs.list",
            R"({"queue":TEXT,"status":"queued|running|done|dead","limit":N}: jobs, newest first)",
            [this](const Settings& args) { return list(args, args.get<std::string>("status", "")); }
        );
        commands_.add(
            "jobs.dead",
            R"({"queue":TEXT,"limit":N}: jobs that failed too often)",
            [this](const Settings& args) { return list(args, "dead"); }
        );
        commands_.add(
            "jobs.queues",
            "{}: what waits, runs and is dead in each queue",
            [this](const Settings&) { return queues(); }
        );
        commands_.add(
            "jobs.show",
            R"({"id":N}: a job with its payload)",
            [this](const Settings& args) { return store_->show(number_of(args, "id")); }
        );
        commands_.add(
            "jobs.replay",
            R"({"id":N}: queues a dead job anew)",
            [this](const Settings& args) { return change(args, "jobs.replay", &Store::replay); }
        );
        commands_.add(
            "jobs.discard",
            R"({"id":N}: deletes a dead or queued job)",
            [this](const Settings& args) { return change(args, "jobs.discard", &Store::discard); }
        );
        commands_.add("jobs.schedules", "{}: all schedules", [this](const Settings&) {
            return store_->list_schedules();
        });
        commands_.add(
            "jobs.schedule",
            R"({"name":TEXT,"rule":"every Ns|daily HH:MM|cron M H D M W","command":TEXT | "queue":TEXT,"kind":TEXT,"payload":JSON}: makes or changes one)",
            [this](const Settings& args) { return make_schedule(args); }
        );
        commands_.add(
            "jobs.unschedule",
            R"({"name":TEXT}: takes a schedule away)",
            [this](const Settings& args) { return drop_schedule(args); }
        );
    }

    std::optional<Config> config_;
    Service<tenon_clock_1> clock_;
    Service<tenon_health_1> health_;
    std::unique_ptr<Store> store_;
    std::unique_ptr<Runner> runner_;
    Gauge queued_, running_, dead_, oldest_;
    Counter enqueued_, done_, again_, died_;
    Histogram duration_;
    std::unique_ptr<OwnLine> line_;
    Jobs own_jobs_;
    bool is_declared_ = false;  // the keeper's
    AdminCommands commands_;
    std::vector<BackgroundJob> workers_;
    BackgroundJob heart_, keeper_;
};

const tenon_jobs_1& JobsPlugin::table() noexcept {
    static constexpr tenon_jobs_1 k_table{
        sizeof(tenon_jobs_1),
        0,
        [](void* self,
           const tenon_job* jobs,
           std::uint32_t count,
           std::int64_t deadline_ns,
           std::int64_t* ids,
           tenon_err* err) noexcept {
            return guard(err, [&] {
                const auto made = of(self).store_->enqueue(jobs, count, deadline_ns);
                of(self).enqueued_.add(count);
                if (ids != nullptr) {
                    std::copy(made.begin(), made.end(), ids);
                }
            });
        },
        [](void* self,
           tenon_session* session,
           const tenon_job* jobs,
           std::uint32_t count,
           std::int64_t* ids,
           tenon_err* err) noexcept {
            return guard(err, [&] {
                Session mine{of(self).store_->storage().service().table, session};
                const auto made = of(self).store_->enqueue_in(mine, jobs, count);
                of(self).enqueued_.add(count);
                if (ids != nullptr) {
                    std::copy(made.begin(), made.end(), ids);
                }
            });
        },
        [](void* self,
           tenon_str queue,
           tenon_str kind,
           void* ctx,
           tenon_job_fn fn,
           std::uint64_t* handle,
           tenon_err* err) noexcept {
            return guard(err, [&] {
                *handle = of(self).runner_->handle(view(queue), view(kind), ctx, fn);
            });
        },
        [](void* self, std::uint64_t handle) noexcept {
            if (of(self).runner_) {
                of(self).runner_->unhandle(handle);
            }
        },
        [](void* self, const tenon_job_schedule* wanted, tenon_err* err) noexcept {
            return guard(err, [&] { of(self).store_->schedule(*wanted); });
        },
        [](void* self, tenon_str name, tenon_err* err) noexcept {
            return guard(err, [&] {
                return of(self).store_->unschedule(view(name)) ? TENON_OK : TENON_NOT_FOUND;
            });
        }};
    return k_table;
}

}  // namespace
}  // namespace tenon::jobs

TENON_EXPORT_PLUGIN(tenon::jobs::JobsPlugin)
