// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/sqlite/database.hpp"

#include <boost/json.hpp>

namespace tenon::sqlite {
namespace {

class SqlitePlugin final : public Plugin {
public:
    explicit SqlitePlugin(const tenon_host* host) : Plugin{host} {
        provide("tenon.storage/1", &holder_, &storage_table());
        provide("tenon.probe/1", &holder_, &probe_table());
    }

    void configure(std::string_view json, bool dry_run) override {
        const boost::json::object o = boost::json::parse({json.data(), json.size()}).as_object();
        const auto number = [&](const char* key) { return o.at(key).to_number<std::int64_t>(); };
        const auto small = [&](const char* key) { return o.at(key).to_number<std::uint32_t>(); };
        Settings settings;
        settings.file = std::string{o.at("file").as_string()};
        settings.pool_size = small("pool_size");
        settings.statement_cache = small("statement_cache");
        settings.queue_max = small("queue_max");
        settings.group_max = small("group_max");
        settings.busy_timeout_ms = number("busy_timeout_ms");
        settings.query_timeout_ms = number("query_timeout_ms");
        settings.slow_query_ms = number("slow_query_ms");
        settings.health_check_ms = number("health_check_ms");
        settings.page_size = small("page_size");
        settings.cache_mb = small("cache_mb");
        settings.reader_cache_mb = small("reader_cache_mb");
        settings.mmap_mb = small("mmap_mb");
        settings.wal_checkpoint_mb = small("wal_checkpoint_mb");
        settings.max_page_count = small("max_page_count");
        settings.statements_max = small("statements_max");
        settings.query_cache_mb = small("query_cache_mb");
        settings.query_cache_ttl_ms = number("query_cache_ttl_ms");
        const auto flag = [&](const char* key) {
            const boost::json::value* const given = o.if_contains(key);
            return given == nullptr || given->as_bool();
        };
        settings.query_cache = flag("query_cache");
        settings.statement_capture = flag("statement_capture");
        settings.synchronous = std::string{o.at("synchronous").as_string()};
        settings.source = std::string{o.at("source").as_string()};
        settings.capture = capture_settings(o.at("capture").as_object());
        if (!settings.source.empty() && !settings.capture.folder.empty()) {
            throw Error{TENON_INVALID, "/source: a follower cannot capture; empty /capture/folder"};
        }
        if ((settings.page_size & (settings.page_size - 1)) != 0) {
            throw Error{
                TENON_INVALID,
                "/page_size: expected a power of two, found " + std::to_string(settings.page_size)};
        }
        if (dry_run) {
            return;
        }
        if (holder_.database) {
            holder_.database->take(settings);
        }
        settings_ = std::move(settings);
    }

    void start() override {
        Settings settings = settings_;
        make_absolute(settings.file);
        make_absolute(settings.capture.folder);
        make_absolute(settings.source);
        telemetry_ = make_telemetry();
        holder_.database = std::make_unique<Database>(settings, telemetry_);
        collect_ = telemetry_.metrics->on_collect(
            telemetry_.metrics.self,
            [](void* database) { static_cast<Database*>(database)->publish(); },
            holder_.database.get()
        );
        telemetry_.log.info(
            "database_open",
            {{"file", settings.file},
             {"readers", settings.pool_size},
             {"synchronous", settings.synchronous}}
        );
    }

    void stop() noexcept override {
        if (holder_.database) {
            telemetry_.metrics->remove_on_collect(telemetry_.metrics.self, collect_);
            const std::uint32_t out = holder_.database->stop();
            if (out != 0) {
                // Somebody may still be using them: they must not go with the database.
                telemetry_.log.error("database_sessions_not_returned", {{"sessions", out}});
                (void)holder_.database.release();
            }
            holder_.database.reset();
        }
    }

private:
    static CaptureSettings capture_settings(const boost::json::object& o) {
        const auto small = [&](const char* key) { return o.at(key).to_number<std::uint32_t>(); };
        CaptureSettings c;
        c.folder = std::string{o.at("folder").as_string()};
        c.before_acknowledge = o.at("mode").as_string() == "before_acknowledge";
        c.segment_mb = small("segment_mb");
        c.segment_s = small("segment_s");
        c.zstd_level = o.at("zstd_level").to_number<int>();
        c.base_s = small("base_s");
        c.keep_s = small("keep_s");
        c.keep_mb = small("keep_mb");
        c.behind_mb = small("behind_mb");
        return c;
    }

    void make_absolute(std::string& path) const {
        if (!path.empty() && path.front() != '/') {
            path = host().environment("data_dir") + "/" + path;
        }
    }

    Telemetry make_telemetry() {
        const auto metrics = host().service<tenon_metrics_1>("tenon.metrics/1");
        const std::string instance = host().environment("instance");
        const tenon_label label{str("database"), str(instance)};
        const auto counter = [&](std::string_view name, std::string_view help) {
            return metrics->counter(metrics.self, str(name), str(help), &label, 1);
        };
        const auto gauge = [&](std::string_view name, std::string_view help) {
            return metrics->gauge(metrics.self, str(name), str(help), &label, 1);
        };
        Telemetry t;
        t.log = host().log();
        t.clock = host().service<tenon_clock_1>("tenon.clock/1");
        t.health = host().service<tenon_health_1>("tenon.health/1");
        t.metrics = metrics;
        t.query_duration = metrics->histogram(
            metrics.self,
            str("tenon_db_query_duration_seconds"),
            str("Time that a statement ran"),
            &label,
            1
        );
        t.errors = counter("tenon_db_errors_total", "Statements that failed, constraints excluded");
        t.slow_queries =
            counter("tenon_slow_queries_total", "Statements slower than slow_query_ms");
        t.transactions = counter("tenon_db_transactions_total", "Transactions committed");
        t.plan_changes = counter("tenon_db_plan_changes_total", "Statements that got another plan");
        t.query_hits = counter("tenon_db_query_cache_hits_total", "Queries answered by the cache");
        t.query_misses =
            counter("tenon_db_query_cache_misses_total", "Queries it could not answer");
        t.query_evictions = counter(
            "tenon_db_query_cache_evictions_total", "Rows that the query cache dropped for room"
        );
        t.capture_commits =
            counter("tenon_db_capture_commits_total", "Commits taken down in the capture folder");
        t.capture_bytes = counter("tenon_db_capture_bytes_total", "Bytes of captured commits");
        t.capture_foreign = counter(
            "tenon_db_capture_foreign_writes_total", "Times that another process had written"
        );
        t.capture_txid = gauge("tenon_db_capture_txid", "Number of the newest captured commit");
        t.follower_txid = gauge("tenon_db_follower_txid", "Newest commit that a follower holds");
        t.follower_lag_s = gauge(
            "tenon_db_follower_lag_seconds",
            "How old the rows of a follower may be, rounded up; -1: not known"
        );
        t.follower_bases =
            counter("tenon_db_follower_bases_total", "Bases that a follower began anew with");
        t.size = std::make_shared<SizeMetric>(Metrics{metrics}, instance);
        t.active_connections = gauge("tenon_db_pool_active_connections", "Connections in use");
        t.waiting = gauge("tenon_db_pool_waiting", "Callers that wait for a connection");
        return t;
    }

    Settings settings_;
    Telemetry telemetry_;
    DatabaseHolder holder_;
    std::uint64_t collect_ = 0;
};

}  // namespace
}  // namespace tenon::sqlite

TENON_EXPORT_PLUGIN(tenon::sqlite::SqlitePlugin)
