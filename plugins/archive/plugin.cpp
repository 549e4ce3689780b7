// SPDX-License-Identifier: Apache-2.0
// tenon.archive: settings, the two jobs, metrics, the commands of `tenon archive`.
#include "plugins/archive/keeper.hpp"
#include "plugins/archive/partitions.hpp"

#include <tenon/admin.hpp>
#include <tenon/background_job.hpp>
#include <tenon/metrics.hpp>

#include <atomic>
#include <chrono>
#include <memory>

namespace tenon::archive {
namespace {

constexpr std::int64_t k_s = 1'000'000'000;
// Often enough that a missed one is made good long before it is needed.
constexpr std::chrono::minutes k_partitions_every{10};

struct ArchiveSettings {
    explicit ArchiveSettings(const Settings& s)
        : folder{s.get<std::string>("folder")},
          second_folder{s.get<std::string>("second_folder")},
          every_s{s.get<std::int64_t>("every_s")},
          latest_s{s.get<std::int64_t>("latest_s")},
          step_ms{s.get<std::int64_t>("step_ms")},
          work_ms{s.get<std::int64_t>("work_ms")},
          delete_rows{s.get<std::uint64_t>("delete_rows")},
          delete_target_ms{s.get<std::int64_t>("delete_target_ms")},
          step_timeout_ms{s.get<std::int64_t>("step_timeout_ms")},
          ahead_days{s.get<std::int64_t>("partitions_ahead_days")} {
        const auto kept = s.get<std::map<std::string, Settings>>("retention", {});
        // In the order of the tables: trades refer to orders, and so on.
        for (const HistoryTable& table : history_tables()) {
            if (const auto found = kept.find(table.name); found != kept.end()) {
                policies.push_back({&table, found->second.get<std::int64_t>("keep_days") * k_day_ns}
                );
            }
        }
        if (folder == second_folder) {
            throw Error{TENON_INVALID, "second_folder is the same as folder"};
        }
    }

    std::vector<Policy> policies;
    std::string folder, second_folder;
    std::int64_t every_s, latest_s, step_ms, work_ms;
    std::uint64_t delete_rows;
    std::int64_t delete_target_ms, step_timeout_ms, ahead_days;
};

// One value, or a list of them.
std::vector<std::string> texts(const Settings& args, std::string_view key) {
    const Json* const found = args.json().find(key);
    if (found == nullptr) {
        return {};
    }
    return found->is(Json::Kind::array) ? args.get<std::vector<std::string>>(key)
                                        : std::vector{args.get<std::string>(key)};
}

Query query_of(const Settings& args) {
    Query query;
    query.table = args.get<std::string>("table");
    if (args.has("from")) {
        query.from_real_ns = parse_time(args.get<std::string>("from"), false);
    }
    if (args.has("to")) {
        query.to_real_ns = parse_time(args.get<std::string>("to"), true);
    }
    for (const std::string& condition : texts(args, "where")) {
        const std::size_t equals = condition.find('=');
        if (equals == std::string::npos) {
            throw Error{TENON_INVALID, "\"" + condition + "\" is not column=value"};
        }
        query.where.emplace_back(condition.substr(0, equals), condition.substr(equals + 1));
    }
    const std::string format = args.get<std::string>("format", "csv");
    if (format != "csv" && format != "json") {
        throw Error{TENON_INVALID, "format is \"" + format + "\", expected csv or json"};
    }
    query.as_json = format == "json";
    query.cursor = args.get<std::string>("cursor", "");
    return query;
}

class ArchivePlugin final : public Plugin {
public:
    explicit ArchivePlugin(const tenon_host* raw) : Plugin{raw} {}

    void configure(std::string_view json, bool dry_run) override {
        settings_.configure(json, dry_run);
    }

    void start() override {
        stopping_ = false;
        clock_ = host().service<tenon_clock_1>("tenon.clock/1");
        health_ = host().service<tenon_health_1>("tenon.health/1");
        storage_ = Storage{host().require<tenon_storage_1>("tenon.storage/1")};
        make_metrics();
        make_keeper();
        add_commands();
        JobOptions options;
        options.jitter = 0;
        job_ = every(
            host(),
            "archive",
            std::chrono::milliseconds{settings_->step_ms},
            [this] { tick(); },
            options
        );
        // A job of its own: what ails archives does not keep partitions from being made.
        options.first_after = std::chrono::seconds{1};
        partitions_job_ = every(
            host(), "partitions", k_partitions_every, [this] { make_partitions_ahead(); }, options
        );
    }

    void stop() noexcept override {
        stopping_ = true;
        commands_.clear();
        job_.stop();
        partitions_job_.stop();
        keeper_.reset();
        storage_ = {};
    }

private:
    [[nodiscard]] std::int64_t now_ns() const { return clock_->now_ns(clock_.self); }

    [[nodiscard]] std::int64_t now_real_ns() const { return clock_->now_real_ns(clock_.self); }

    [[nodiscard]] std::string absolute(const std::string& path) const {
        return path.front() == '/' ? path : host().environment("data_dir") + "/" + path;
    }

    void make_keeper() {
        const auto settings = settings_.read();
        KeeperOptions options;
        options.every_ns = settings->every_s * k_s;
        options.latest_ns = settings->latest_s * k_s;
        options.retention.policies = settings->policies;
        options.retention.rows_a_delete = settings->delete_rows;
        options.retention.delete_target_ns = settings->delete_target_ms * 1'000'000;
        options.retention.step_timeout_ns = settings->step_timeout_ms * 1'000'000;
        if (!settings->second_folder.empty()) {
            options.retention.second = Folder{absolute(settings->second_folder)};
        }
        keeper_ = std::make_unique<Keeper>(
            RetentionContext{
                storage_,
                Folder{absolute(settings->folder)},
                [this] { return now_ns(); },
                [this] { return now_real_ns(); },
                [this] { return stopping_.load(); }},
            std::move(options),
            [this](const std::string& reason) {
                failures_.add();
                host().log().warn("archive_failed", {{"reason", reason}});
                set_health("archive", reason);
            },
            [this](const std::string& reason) {
                host().log().warn("archive_schedule_not_kept", {{"reason", reason}});
            }
        );
    }

    void make_metrics() {
        const Metrics metrics{host()};
        archived_ = metrics.counter("tenon_archive_rows_archived_total", "Rows in new archives");
        deleted_ = metrics.counter(
            "tenon_archive_rows_deleted_total", "Rows that were deleted since archives hold them"
        );
        restored_ = metrics.counter("tenon_archive_rows_restored_total", "Rows that were put back");
        bytes_ = metrics.counter("tenon_archive_bytes_total", "Bytes of new archives");
        failures_ = metrics.counter(
            "tenon_archive_failures_total", "Ranges that could not be archived or deleted"
        );
        last_ = metrics.gauge(
            "tenon_archive_last_success_time_seconds", "When a run last ended without a failure"
        );
        damaged_ = metrics.gauge(
            "tenon_archive_damaged", "Archives that the last verification found damaged"
        );
        partitions_ =
            metrics.counter("tenon_archive_partitions_total", "Partitions that were made");
        partition_failures_ = metrics.counter(
            "tenon_archive_partition_failures_total", "Partitions that could not be made"
        );
    }

    void set_health(std::string_view component, const std::string& reason) {
        const std::int32_t state = reason.empty() ? TENON_HEALTHY : TENON_DEGRADED;
        health_->set(health_.self, str(component), state, str(reason));
    }

    void tick() {
        if (const auto outcome = keeper_->tick(settings_->work_ms * 1'000'000)) {
            tell(*outcome);
        }
    }

    void tell(const Outcome& outcome) {
        archived_.add(outcome.counts.rows_archived);
        deleted_.add(outcome.counts.rows_deleted);
        bytes_.add(outcome.counts.bytes);
        if (outcome.failure.empty()) {
            last_.set(now_real_ns() / k_s);
        }
        set_health("archive", outcome.failure);
        host().log().info(
            "archive_run",
            {{"archived", outcome.counts.rows_archived},
             {"deleted", outcome.counts.rows_deleted},
             {"changed", outcome.counts.rows_changed},
             {"bytes", outcome.counts.bytes}}
        );
    }

    void make_partitions_ahead() {
        const PartitionsMade made =
            make_partitions(storage_, now_ns() + 30 * k_s, now_real_ns(), settings_->ahead_days);
        partitions_.add(made.made);
        partition_failures_.add(made.problems.size());
        for (const std::string& problem : made.problems) {
            host().log().error("partition_not_made", {{"reason", problem}});
        }
        set_health("partitions", made.problems.empty() ? "" : made.problems.front());
    }

    [[nodiscard]] std::string run_now() {
        const Outcome outcome = keeper_->run();
        tell(outcome);
        std::string out = outcome.failure.empty() ? "{\"ok\":true" : "{\"ok\":false,\"failure\":";
        if (!outcome.failure.empty()) {
            append_json(out, std::string_view{outcome.failure});
        }
        const auto add = [&](const char* name, std::uint64_t value) {
            out.append(",\"").append(name).append("\":").append(std::to_string(value));
        };
        add("archives", outcome.counts.ranges);
        add("archived", outcome.counts.rows_archived);
        add("deleted", outcome.counts.rows_deleted);
        add("changed", outcome.counts.rows_changed);
        add("bytes", outcome.counts.bytes);
        return out.append("}");
    }

    void add_commands() {
        commands_.open(host());
        commands_.add("archive.run", "{}: archives what is due now", [this](const Settings&) {
            return run_now();
        });
        commands_.add(
            "archive.list",
            R"({"table":NAME?}: archives, holds, and manifests that are damaged)",
            [this](const Settings& args) {
                return keeper_->list(args.get<std::string>("table", ""));
            }
        );
        commands_.add(
            "archive.query",
            R"({"table":NAME,"from":TIME?,"to":TIME?,"where":["column=value"]?,"format":"csv|json"?,"cursor":C?}: a page of archived rows)",
            [this](const Settings& args) { return keeper_->query(query_of(args)); }
        );
        commands_.add(
            "archive.verify",
            R"({"id":ID?}: reads archives again and compares them with their manifests)",
            [this](const Settings& args) {
                std::uint64_t damaged = 0;
                std::string told = keeper_->verify(args.get<std::string>("id", ""), damaged);
                damaged_.set(static_cast<std::int64_t>(damaged));
                return told;
            }
        );
        add_changing_commands();
    }

    void add_changing_commands() {
        commands_.add(
            "archive.restore",
            R"({"what":"ID or NAME","from":TIME?,"to":TIME?}: puts archived rows back; they stay until released)",
            [this](const Settings& args) {
                std::uint64_t inserted = 0;
                std::string told = keeper_->restore(
                    args.get<std::string>("what"),
                    args.has("from") ? parse_time(args.get<std::string>("from"), false) : INT64_MIN,
                    args.has("to") ? parse_time(args.get<std::string>("to"), true) : INT64_MAX,
                    inserted
                );
                restored_.add(inserted);
                return told;
            }
        );
        commands_.add(
            "archive.hold",
            R"({"reason":TEXT,"table":NAME?,"from":TIME?,"to":TIME?}: nothing of it is deleted until released)",
            [this](const Settings& args) {
                Hold hold;
                hold.reason = args.get<std::string>("reason");
                hold.policy = args.get<std::string>("table", "");
                if (!hold.policy.empty()) {
                    (void)history_table(hold.policy);
                }
                if (args.has("from")) {
                    hold.from_real_ns = parse_time(args.get<std::string>("from"), false);
                }
                if (args.has("to")) {
                    hold.to_real_ns = parse_time(args.get<std::string>("to"), true);
                }
                return keeper_->hold(std::move(hold));
            }
        );
        commands_.add(
            "archive.release",
            R"({"id":ID}: a hold, or an archive that was restored)",
            [this](const Settings& args) { return keeper_->release(args.get<std::string>("id")); }
        );
    }

    Live<ArchiveSettings> settings_;
    std::atomic<bool> stopping_{false};
    Service<tenon_clock_1> clock_;
    Service<tenon_health_1> health_;
    Storage storage_;
    Counter archived_, deleted_, restored_, bytes_, failures_, partitions_, partition_failures_;
    Gauge last_, damaged_;
    std::unique_ptr<Keeper> keeper_;
    AdminCommands commands_;
    BackgroundJob job_, partitions_job_;
};

}  // namespace
}  // namespace tenon::archive

TENON_EXPORT_PLUGIN(tenon::archive::ArchivePlugin)
