// SPDX-License-Identifier: Apache-2.0
// tenon.backup.postgres: settings, the commands of `tenon backup`, the backups and drills that are
// made by themselves, and the watch over what is stored.
#include "plugins/backup/postgres/drill.hpp"
#include "sdk/vault/folder_place.hpp"
#include "sdk/vault/s3_place.hpp"

#include <tenon/admin.hpp>
#include <tenon/backup.hpp>
#include <tenon/command_options.hpp>

#include <boost/json.hpp>

#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <optional>
#include <random>
#include <thread>
#include <unistd.h>

namespace tenon::backup_postgres {
namespace {

namespace json = boost::json;
constexpr std::int64_t k_second = 1'000'000'000;
constexpr std::int64_t k_retry_s = 60;
constexpr std::int64_t k_look_at_store_s = 60;
constexpr double k_gap_seconds_max = 60;
const Say k_quiet = [](auto, auto, auto) {};

// One that is not set is null.
std::string secret_of(const Settings& settings, std::string_view name) {
    return settings.get<std::optional<std::string>>(name).value_or("");
}

vault::S3Options s3_of(const Settings& settings) {
    vault::S3Options options;
    options.bucket = settings.get<std::string>("bucket");
    if (options.bucket.empty()) {
        return options;
    }
    options.url = net::parse_url(settings.get<std::string>("url"));
    options.prefix = settings.get<std::string>("prefix");
    if (!options.prefix.empty() && options.prefix.back() != '/') {
        options.prefix += '/';
    }
    options.credentials = {
        settings.get<std::string>("region"),
        secret_of(settings, "access_key_id"),
        secret_of(settings, "secret_access_key")};
    options.ca_file = settings.get<std::string>("ca_file");
    return options;
}

class BackupPlugin final : public Plugin, public Backup {
public:
    explicit BackupPlugin(const tenon_host* raw) : Plugin{raw} { provide<Backup>(this); }

    void configure(std::string_view text, bool dry_run) override {
        const Settings settings{text};
        ReceiverSettings receiver;
        receiver.server.hosts = settings.get<std::vector<std::string>>("hosts");
        receiver.server.database = settings.get<std::string>("database");
        receiver.server.user = settings.get<std::string>("user");
        receiver.server.password = secret_of(settings, "password");
        receiver.server.conninfo = secret_of(settings, "conninfo");
        receiver.slot = settings.get<std::string>("slot");
        receiver.every = settings.get<std::chrono::milliseconds>("wal_every_ms");
        (void)conninfo_of(receiver.server);
        if (receiver.slot.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") !=
            std::string::npos) {
            throw Error{
                TENON_INVALID,
                "setting /slot: \"" + receiver.slot + "\", expected a-z, 0-9 and _ only"};
        }
        const auto kept = settings.get<Settings>("keep");
        const vault::Retention policy{
            kept.get<std::size_t>("last"),
            kept.get<std::size_t>("hourly"),
            kept.get<std::size_t>("daily"),
            kept.get<std::size_t>("weekly"),
            kept.get<std::size_t>("monthly")};
        vault::S3Options s3 = s3_of(settings.get<Settings>("s3"));
        const std::string hex = secret_of(settings, "encryption_key");
        std::shared_ptr<const vault::Key> key = hex.empty() ? nullptr : vault::Key::parse(hex);
        if (dry_run) {
            return;
        }
        receiver_settings_ = std::move(receiver);
        folder_ = settings.get<std::string>("folder");
        scratch_ = settings.get<std::string>("scratch");
        tools_ = settings.get<std::string>("tools");
        every_s_ = settings.get<std::int64_t>("every_s");
        policy_ = policy;
        s3_ = std::move(s3);
        key_ = std::move(key);
        drills_ = settings.get<bool>("drill");
    }

    void start() override {
        clock_ = host().service<tenon_clock_1>("tenon.clock/1");
        health_ = host().service<tenon_health_1>("tenon.health/1");
        make_metrics();
        started_s_ = now_real_ns() / k_second;
        for (auto* one : {&log_pieces_, &pieces_, &watch_pieces_}) {
            *one = std::make_unique<VaultPieces>(open_place(), key_);
        }
        receiver_ = std::make_unique<Receiver>(*log_pieces_, receiver_settings_);
        BackupSettings settings;
        settings.server = receiver_settings_.server;
        settings.tools = tools_;
        backups_ = std::make_unique<Backups>(*pieces_, receiver_.get(), settings);
        watched_ = std::make_unique<Backups>(*watch_pieces_, nullptr, settings);
        stopping_ = false;
        add_commands();
        receiver_->start();
        watch_ = std::thread{[this] { every_second([this] { watch(); }); }};
        if (every_s_ != 0) {
            maker_ = std::thread{[this] { every_second([this] { make_what_is_due(); }); }};
        }
    }

    void stop() noexcept override {
        {
            const std::lock_guard lock{wake_mutex_};
            stopping_ = true;
        }
        wake_.notify_all();
        if (backups_) {
            backups_->close();
        }
        for (const auto& place : places_) {
            place->cancel();
        }
        commands_.clear();
        for (std::thread* one : {&maker_, &watch_}) {
            if (one->joinable()) {
                one->join();
            }
        }
        backups_.reset();
        watched_.reset();
        receiver_.reset();
        places_.clear();
    }

private:
    [[nodiscard]] std::string absolute(const std::string& path) const {
        return path.front() == '/' ? path : host().environment("data_dir") + "/" + path;
    }

    [[nodiscard]] std::shared_ptr<vault::Place> open_place() {
        if (s3_.bucket.empty()) {
            places_.push_back(std::make_shared<vault::FolderPlace>(absolute(folder_)));
        } else {
            vault::S3Options options = s3_;
            options.seed = std::random_device{}();
            options.now_real_ns = [this] { return now_real_ns(); };
            places_.push_back(std::make_shared<vault::S3Place>(std::move(options)));
        }
        return places_.back();
    }

    [[nodiscard]] std::int64_t now_real_ns() const { return clock_->now_real_ns(clock_.self); }

    void make_metrics() {
        const auto metrics = host().service<tenon_metrics_1>("tenon.metrics/1");
        const auto counter = [&](std::string_view name, std::string_view help) {
            return metrics->counter(metrics.self, str(name), str(help), nullptr, 0);
        };
        const auto gauge = [&](std::string_view name, std::string_view help) {
            return metrics->gauge(metrics.self, str(name), str(help), nullptr, 0);
        };
        made_ = counter("tenon_backups_total", "Backups that were made");
        failed_ = counter("tenon_backup_failures_total", "Backups that failed");
        drills_failed_ = counter(
            "tenon_backup_drill_failures_total", "Restores that were tried and were not right"
        );
        gaps_ = counter(
            "tenon_backup_log_gaps_total",
            "Times that the database's log was lost before it was stored"
        );
        last_ = gauge(
            "tenon_backup_last_success_seconds", "When the newest backup was finished, in Unix time"
        );
        proven_ = gauge(
            "tenon_backup_last_proven_seconds",
            "When a restore was last tried and found right, in Unix time"
        );
        proven_age_ = gauge(
            "tenon_backup_proven_age_seconds",
            "Time since a restore was last tried and found right, or since the start"
        );
        gap_bytes_ = gauge(
            "tenon_backup_log_gap_bytes", "Bytes of the database's log that are not yet stored"
        );
        gap_seconds_ = gauge(
            "tenon_backup_ship_lag_seconds",
            "Age of the oldest byte of the log that is not yet stored"
        );
    }

    template <class Work>
    void every_second(Work work) noexcept {
        std::unique_lock lock{wake_mutex_};
        while (!wake_.wait_for(lock, std::chrono::seconds{1}, [&] { return stopping_; })) {
            lock.unlock();
            (void)guard(nullptr, work);
            lock.lock();
        }
    }

    // One call at a time; cancel() reaches the one that runs.
    template <class Work>
    auto alone(Work&& work) {
        const std::unique_lock lock{work_mutex_, std::try_to_lock};
        if (!lock.owns_lock()) {
            throw Error{TENON_UNAVAILABLE, "another backup, verification or restore is under way"};
        }
        if (!backups_) {
            throw Error{TENON_UNAVAILABLE, "the backups are not open"};
        }
        backups_->allow();
        return work(*backups_);
    }

    void watch() {
        const Receiver::State state = receiver_->state();
        const Lsn gap = state.written > state.stored ? state.written - state.stored : 0;
        __atomic_store_n(gap_bytes_, static_cast<std::int64_t>(gap), __ATOMIC_RELAXED);
        __atomic_store_n(
            gap_seconds_, static_cast<std::int64_t>(state.gap_seconds), __ATOMIC_RELAXED
        );
        const std::int64_t now_s = now_real_ns() / k_second;
        const std::int64_t proven_s = __atomic_load_n(proven_, __ATOMIC_RELAXED);
        __atomic_store_n(
            proven_age_, now_s - (proven_s != 0 ? proven_s : started_s_), __ATOMIC_RELAXED
        );
        if (state.gaps > gaps_seen_) {
            __atomic_fetch_add(gaps_, state.gaps - gaps_seen_, __ATOMIC_RELAXED);
            gaps_seen_ = state.gaps;
            wants_base_ = true;
            host().log().error("backup_log_gap", {{"continued_at", lsn_text(state.stored)}});
        }
        if (now_s >= look_at_store_s_) {
            look_at_store_s_ = now_s + k_look_at_store_s;
            try {
                missing_ = watched_->missing();
            } catch (const Error& e) {
                missing_ = e.what();
            }
            wants_base_ = wants_base_ || !missing_.empty();
        }
        std::string problem = state.problem;
        if (problem.empty() && state.gap_seconds > k_gap_seconds_max) {
            problem = std::to_string(gap) + " bytes of the log are not stored";
        }
        problem = problem.empty() ? missing_ : problem;
        {
            const std::lock_guard lock{problem_mutex_};
            problem = problem.empty() ? problem_ : problem;
        }
        if (problem != told_) {
            health_->set(
                health_.self,
                str("backup"),
                problem.empty() ? TENON_HEALTHY : TENON_DEGRADED,
                str(problem)
            );
            if (!problem.empty()) {
                host().log().warn("backup_degraded", {{"reason", problem}});
            }
            told_ = problem;
        }
    }

    void note(const std::string& problem) {
        const std::lock_guard lock{problem_mutex_};
        problem_ = problem;
    }

    Manifest make(std::string_view label, const Say& say) {
        try {
            Manifest made = alone([&](Backups& backups) { return backups.create(label, say); });
            __atomic_fetch_add(made_, 1, __ATOMIC_RELAXED);
            __atomic_store_n(last_, now_real_ns() / k_second, __ATOMIC_RELAXED);
            note("");
            host().log().info(
                "backup_made",
                {{"id", made.id}, {"bytes", made.bytes()}, {"position", lsn_text(made.end)}}
            );
            return made;
        } catch (const Error& e) {
            __atomic_fetch_add(failed_, 1, __ATOMIC_RELAXED);
            note(e.what());
            host().log().warn("backup_failed", {{"reason", e.what()}});
            throw;
        }
    }

    DrillReport try_restore(const Say& say) {
        DrillSettings settings;
        settings.scratch = !scratch_.empty()  ? absolute(scratch_)
                           : ::geteuid() == 0 ? "/var/tmp"
                                              : host().environment("data_dir");
        try {
            const std::uint64_t seed = std::random_device{}();
            DrillReport report =
                alone([&](Backups& backups) { return drill(backups, settings, seed, say); });
            __atomic_store_n(proven_, now_real_ns() / k_second, __ATOMIC_RELAXED);
            note("");
            host().log().info(
                "backup_proven",
                {{"id", report.id}, {"older", report.older}, {"restore_ms", report.restore_ms}}
            );
            return report;
        } catch (const Error& e) {
            __atomic_fetch_add(drills_failed_, 1, __ATOMIC_RELAXED);
            note(std::string{"the restore that was tried: "} + e.what());
            host().log().warn("backup_drill_failed", {{"reason", e.what()}});
            throw;
        }
    }

    void make_what_is_due() {
        const std::int64_t now_s = now_real_ns() / k_second;
        if (!receiver_->state().streaming || now_s < retry_at_s_) {
            return;
        }
        if (due_at_s_ == 0) {
            const std::vector<Manifest> all =
                alone([](Backups& backups) { return backups.list(); });
            due_at_s_ = all.empty() ? now_s : all.back().finished_ns / k_second + every_s_;
            for (const Manifest& one : all) {
                if (one.proven_ns != 0) {
                    __atomic_store_n(proven_, one.proven_ns / k_second, __ATOMIC_RELAXED);
                }
                __atomic_store_n(last_, one.finished_ns / k_second, __ATOMIC_RELAXED);
            }
        }
        if (now_s < due_at_s_ && !wants_base_) {
            return;
        }
        retry_at_s_ = now_s + k_retry_s;
        (void)make("", k_quiet);
        due_at_s_ = now_real_ns() / k_second + every_s_;
        wants_base_ = false;
        retry_at_s_ = 0;
        if (drills_) {
            (void)try_restore(k_quiet);
        }
        (void)alone([&](Backups& backups) { return backups.prune(policy_, false); });
    }

    void add_commands() {
        commands_.open(host());
        commands_.add(
            "backup.create",
            R"({"label":TEXT?}: make a backup)",
            [this](const Settings& args) {
                require_known(args, {"label"});
                return describe(make(args.get<std::string>("label", ""), k_quiet), reached());
            }
        );
        commands_.add("backup.list", "{}: the backups, oldest first", [this](const Settings&) {
            return list();
        });
        commands_.add(
            "backup.verify",
            R"({"id":ID?}: read every piece of a backup; without an id, of all)",
            [this](const Settings& args) { return verify_command(args); }
        );
        commands_.add(
            "backup.restore",
            R"({"folder":PATH,"id":ID?,"to_time":ISO?,"to_order":N?,"timeline":N?}: make a data folder for PostgreSQL)",
            [this](const Settings& args) { return restore_command(args); }
        );
        commands_.add(
            "backup.prune",
            R"({"dry_run":true?}: delete what the retention gives up)",
            [this](const Settings& args) {
                require_known(args, {"dry_run"});
                return prune(args.get("dry_run", false));
            }
        );
        commands_.add(
            "backup.drill",
            "{}: try restores of the newest state and of a random one, and look at them",
            [this](const Settings&) {
                const DrillReport report = try_restore(k_quiet);
                return json::serialize(json::object{
                    {"ok", true},
                    {"proven", report.id},
                    {"older", report.older},
                    {"restore_ms", report.restore_ms},
                    {"checked", report.checked}});
            }
        );
        commands_.add("backup.status", "{}: what of the log is stored", [this](const Settings&) {
            return status();
        });
        commands_.add("backup.cancel", "{}: end the work in progress", [this](const Settings&) {
            cancel();
            return std::string{R"({"ok":true})"};
        });
    }

    [[nodiscard]] std::int64_t reached() { return receiver_->state().stored_real_ns; }

    std::string status() {
        const Receiver::State state = receiver_->state();
        return json::serialize(json::object{
            {"streaming", state.streaming},
            {"problem", state.problem},
            {"timeline", state.timeline},
            {"written", lsn_text(state.written)},
            {"stored", lsn_text(state.stored)},
            {"stored_until", iso_time(state.stored_real_ns)},
            {"gap_bytes", state.written > state.stored ? state.written - state.stored : 0},
            {"gap_seconds", state.gap_seconds},
            {"gaps", state.gaps}});
    }

    std::string verify_command(const Settings& args) {
        require_known(args, {"id"});
        const std::string id = args.get<std::string>("id", "");
        json::array verified;
        alone([&](Backups& backups) {
            std::vector<std::string> damaged;
            for (const Manifest& one : backups.list(&damaged)) {
                if (id.empty() || id == one.id) {
                    backups.verify(one.id, k_quiet);
                    verified.emplace_back(one.id);
                }
            }
            if (id.empty() && !damaged.empty()) {
                throw Error{TENON_CORRUPT, damaged.front()};
            }
            if (!id.empty() && verified.empty()) {
                backups.verify(id, k_quiet);
            }
        });
        return json::serialize(json::object{{"ok", true}, {"verified", std::move(verified)}});
    }

    std::string restore_command(const Settings& args) {
        Target target;
        require_known(args, {"folder", "id", "to_time", "to_order", "timeline"});
        if (args.has("to_time") && args.has("to_order")) {
            throw Error{TENON_INVALID, "give either to-time or to-order"};
        }
        if (args.has("to_time")) {
            target.real_ns = time_of_iso(args.get<std::string>("to_time"));
        }
        if (args.has("to_order")) {
            target.order = static_cast<std::int64_t>(number_of(args, "to_order"));
        }
        if (args.has("timeline")) {
            target.timeline = static_cast<std::uint32_t>(number_of(args, "timeline"));
        }
        const std::string folder = args.get<std::string>("folder");
        const Restored made = alone([&](Backups& backups) {
            return backups.restore(args.get<std::string>("id", ""), target, folder, k_quiet);
        });
        json::array passed_over;
        for (const std::string& one : made.passed_over) {
            passed_over.emplace_back(one);
        }
        for (const std::string& one : made.pruned) {
            passed_over.emplace_back(one + ": it was pruned meanwhile");
        }
        return json::serialize(json::object{
            {"ok", true},
            {"folder", folder},
            {"backup", made.from.id},
            {"timeline", made.timeline},
            {"until", made.until},
            {"owner", server_user()},
            {"passed_over", std::move(passed_over)}});
    }

    // tenon.backup/1

    static Say say_to(const Progress& progress) {
        return [&progress](std::string_view phase, std::uint64_t done, std::uint64_t total) {
            progress(phase, done, total);
        };
    }

    std::string create(const tenon_backup_request& request, const Progress& progress) override {
        if (request.kind != TENON_BACKUP_FULL && request.kind != TENON_BACKUP_INCREMENTAL) {
            throw Error{
                TENON_UNSUPPORTED, "unknown kind of backup " + std::to_string(request.kind)};
        }
        return describe(make(view(request.label), say_to(progress)), reached());
    }

    std::string list() override {
        return alone([&](Backups& backups) {
            std::string text = "[";
            for (const Manifest& one : backups.list()) {
                text += (text.size() > 1 ? "," : "") + describe(one, reached());
            }
            return text + "]";
        });
    }

    void verify(std::string_view id, const Progress& progress) override {
        alone([&](Backups& backups) { backups.verify(id, say_to(progress)); });
    }

    void restore(const tenon_restore_request& request, const Progress& progress) override {
        if (request.to_sequence != 0) {
            throw Error{TENON_UNSUPPORTED, "a cluster is restored to a time, not to a command"};
        }
        Target target;
        target.real_ns = request.to_real_ns;
        (void)alone([&](Backups& backups) {
            return backups.restore(
                view(request.id), target, std::string{view(request.folder)}, say_to(progress)
            );
        });
    }

    std::string prune(bool dry_run) override {
        json::array ids;
        for (const std::string& id :
             alone([&](Backups& backups) { return backups.prune(policy_, dry_run); })) {
            ids.emplace_back(id);
        }
        return json::serialize(ids);
    }

    void cancel() noexcept override {
        if (backups_) {
            backups_->cancel();
        }
    }

    ReceiverSettings receiver_settings_;
    std::string folder_;
    std::string scratch_;
    std::string tools_;
    std::int64_t every_s_ = 0;
    vault::Retention policy_;
    vault::S3Options s3_;
    std::shared_ptr<const vault::Key> key_;
    bool drills_ = true;
    Service<tenon_clock_1> clock_;
    Service<tenon_health_1> health_;
    std::uint64_t* made_ = nullptr;
    std::uint64_t* failed_ = nullptr;
    std::uint64_t* drills_failed_ = nullptr;
    std::uint64_t* gaps_ = nullptr;
    std::int64_t* last_ = nullptr;
    std::int64_t* proven_ = nullptr;
    std::int64_t* proven_age_ = nullptr;
    std::int64_t started_s_ = 0;
    std::int64_t* gap_bytes_ = nullptr;
    std::int64_t* gap_seconds_ = nullptr;
    // A place is for one thread: that of the log, of the work, of the watch.
    std::vector<std::shared_ptr<vault::Place>> places_;
    std::unique_ptr<VaultPieces> log_pieces_;
    std::unique_ptr<VaultPieces> pieces_;
    std::unique_ptr<VaultPieces> watch_pieces_;
    std::unique_ptr<Receiver> receiver_;
    std::unique_ptr<Backups> backups_;
    std::unique_ptr<Backups> watched_;
    AdminCommands commands_;
    std::mutex work_mutex_;
    // Of the threads that look every second.
    std::atomic<bool> wants_base_{false};
    std::uint64_t gaps_seen_ = 0;
    std::int64_t look_at_store_s_ = 0;
    std::string missing_;
    std::string told_ = "?";
    std::int64_t due_at_s_ = 0;
    std::int64_t retry_at_s_ = 0;
    std::mutex problem_mutex_;
    std::string problem_;  // guarded by problem_mutex_
    std::mutex wake_mutex_;
    std::condition_variable wake_;
    bool stopping_ = false;
    std::thread watch_;
    std::thread maker_;
};

}  // namespace
}  // namespace tenon::backup_postgres

TENON_EXPORT_PLUGIN(tenon::backup_postgres::BackupPlugin)
