// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/postgres/gate.hpp"

#include <tenon/settings.hpp>

namespace tenon::postgres {
namespace {

Settings read(const tenon::Settings& s) {
    Settings settings;
    settings.hosts = s.get<std::vector<std::string>>("hosts");
    settings.database = s.get<std::string>("database");
    settings.user = s.get<std::string>("user");
    settings.password = s.get<std::string>("password");
    settings.tls_mode = s.get<std::string>("tls_mode");
    settings.conninfo = s.get<std::string>("conninfo");
    settings.pool_min = s.get<std::uint32_t>("pool_min");
    settings.pool_size = s.get<std::uint32_t>("pool_size");
    settings.connect_timeout_ms = s.get<std::int64_t>("connect_timeout_ms");
    settings.command_timeout_ms = s.get<std::int64_t>("command_timeout_ms");
    settings.slow_query_ms = s.get<std::int64_t>("slow_query_ms");
    settings.health_check_ms = s.get<std::int64_t>("health_check_ms");
    settings.idle_timeout_s = s.get<std::int64_t>("idle_timeout_s");
    settings.queries_max = s.get<std::uint32_t>("queries_max");
    settings.statement_cache = s.get<std::uint32_t>("statement_cache");
    settings.statement_idle_s = s.get<std::int64_t>("statement_idle_s");
    settings.statements_max = s.get<std::uint32_t>("statements_max");
    settings.query_cache_mb = s.get<std::uint32_t>("query_cache_mb");
    settings.query_cache_ttl_ms = s.get<std::int64_t>("query_cache_ttl_ms");
    settings.query_cache = s.get("query_cache", true);
    settings.statement_capture = s.get("statement_capture", true);
    settings.replica_reads = s.get("replica_reads", true) ? 1 : 0;
    settings.isolation = s.get<std::string>("isolation");
    settings.application_name = s.get<std::string>("application_name");
    settings.cluster.probe_interval_ms = s.get<std::int64_t>("probe_interval_ms");
    settings.cluster.probe_timeout_ms = s.get<std::int64_t>("probe_timeout_ms");
    settings.cluster.eject_after = s.get<std::uint32_t>("eject_after");
    settings.cluster.readmit_after = s.get<std::uint32_t>("readmit_after");
    settings.cluster.max_lag_ms = s.get<std::int64_t>("max_lag_ms");
    settings.tools = s.get<std::string>("tools");
    if (settings.pool_min > settings.pool_size) {
        throw Error{TENON_INVALID, "/pool_min: larger than pool_size"};
    }
    (void)keywords_of(settings);
    return settings;
}

class PostgresPlugin final : public Plugin {
public:
    explicit PostgresPlugin(const tenon_host* host) : Plugin{host} {
        provide<StorageProvider>(&gate_);
        provide<Probe>(&gate_);
    }

    void configure(std::string_view json, bool dry_run) override {
        Settings settings = read(tenon::Settings{json});
        if (dry_run) {
            return;
        }
        if (const auto database = gate_.behind()) {
            database->take(settings);
        }
        settings_ = std::move(settings);
    }

    void start() override {
        telemetry_ = make_telemetry();
        settings_.cluster.fence_file = host().environment("data_dir") + "/postgres-" +
                                       host().environment("instance") + ".fence";
        gate_.open(std::make_shared<Database>(settings_, telemetry_));
        collect_ = telemetry_.metrics->on_collect(
            telemetry_.metrics.self,
            [](void* database) { static_cast<Database*>(database)->publish(); },
            gate_.behind().get()
        );
        telemetry_.log.info(
            "database_open",
            {{"hosts", settings_.hosts.size()},
             {"connections", settings_.pool_size},
             {"isolation", settings_.isolation}}
        );
    }

    void stop() noexcept override {
        if (gate_.behind() == nullptr) {
            return;
        }
        telemetry_.metrics->remove_on_collect(telemetry_.metrics.self, collect_);
        if (const std::uint32_t out = gate_.close(); out != 0) {
            telemetry_.log.error("database_sessions_not_returned", {{"sessions", out}});
        }
    }

private:
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
        t.retries = counter("tenon_db_retries_total", "Transactions run again after a failure");
        t.in_doubt = counter(
            "tenon_db_in_doubt_total", "Commits whose outcome got lost, resolved by key or not"
        );
        t.plan_changes =
            counter("tenon_db_plan_changes_total", "Statements whose plan became another one");
        t.query_hits =
            counter("tenon_db_query_cache_hits_total", "Queries answered by the query cache");
        t.query_misses =
            counter("tenon_db_query_cache_misses_total", "Queries that the query cache had not");
        t.query_evictions =
            counter("tenon_db_query_cache_evictions_total", "Rows that left it for room");
        t.size = std::make_shared<SizeMetric>(Metrics{metrics}, instance);
        t.active_connections = gauge("tenon_db_pool_active_connections", "Connections in use");
        t.waiting = gauge("tenon_db_pool_waiting", "Callers that wait for a connection");
        return t;
    }

    Settings settings_;
    Telemetry telemetry_;
    Gate gate_;
    std::uint64_t collect_ = 0;
};

}  // namespace
}  // namespace tenon::postgres

TENON_EXPORT_PLUGIN(tenon::postgres::PostgresPlugin)
