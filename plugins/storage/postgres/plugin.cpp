// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/postgres/database.hpp"

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

// The services before the start and after the stop, too.
class Gate final : public StorageProvider, public Probe {
public:
    std::unique_ptr<Database> behind;  // null outside start .. stop
    // One that was stopped with sessions out; never deleted.
    std::atomic<Database*> kept{nullptr};

    [[nodiscard]] std::string_view dialect() const noexcept override { return "postgres"; }

    [[nodiscard]] StorageSession& lease(std::uint32_t intent, std::int64_t deadline_ns) override {
        return database().lease(intent, deadline_ns);
    }

    // Also after the stop.
    void release(StorageSession& session) noexcept override {
        for (Database* const database : {behind.get(), kept.load()}) {
            if (database != nullptr && database->owns(session)) {
                database->release(session);
                return;
            }
        }
    }

    void stats(tenon_storage_stats& out) override { database().stats(out); }

    [[nodiscard]] tenon_status transact(
        std::uint32_t intent,
        std::int64_t deadline_ns,
        tenon_transaction_fn fn,
        void* ctx,
        tenon_err* err
    ) override {
        return database().transact(intent, deadline_ns, fn, ctx, err);
    }

    [[nodiscard]] tenon_status transact_with(
        const tenon_transaction_options& options,
        tenon_transaction_fn fn,
        void* ctx,
        tenon_sink position,
        tenon_err* err
    ) override {
        return database().transact_with(options, fn, ctx, position, err);
    }

    [[nodiscard]] tenon_status
    run_query(const tenon_query& query, tenon_row_fn row, void* ctx, tenon_err* err) override {
        return database().run_query(query, row, ctx, err);
    }

    [[nodiscard]] tenon_iface clone(bool with_rows, std::int64_t deadline_ns) override {
        return database().clone(with_rows, deadline_ns);
    }

    void drop_clone(tenon_iface clone) noexcept override {
        if (behind) {  // else it went with the database
            behind->drop_clone(clone);
        }
    }

    void check(bool deep, std::int64_t deadline_ns) override {
        database().check(deep, deadline_ns);
    }

private:
    [[nodiscard]] Database& database() {
        if (!behind) {
            throw StorageError{TENON_UNAVAILABLE, "the database is not open", Failure::permanent};
        }
        return *behind;
    }
};

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
        if (gate_.behind) {
            gate_.behind->take(settings);
        }
        settings_ = std::move(settings);
    }

    void start() override {
        telemetry_ = make_telemetry();
        settings_.cluster.fence_file = host().environment("data_dir") + "/postgres-" +
                                       host().environment("instance") + ".fence";
        gate_.behind = std::make_unique<Database>(settings_, telemetry_);
        collect_ = telemetry_.metrics->on_collect(
            telemetry_.metrics.self,
            [](void* database) { static_cast<Database*>(database)->publish(); },
            gate_.behind.get()
        );
        telemetry_.log.info(
            "database_open",
            {{"hosts", settings_.hosts.size()},
             {"connections", settings_.pool_size},
             {"isolation", settings_.isolation}}
        );
    }

    void stop() noexcept override {
        if (gate_.behind) {
            telemetry_.metrics->remove_on_collect(telemetry_.metrics.self, collect_);
            if (const std::uint32_t out = gate_.behind->stop(); out != 0) {
                // Somebody may still be using them: they must not go with the database.
                telemetry_.log.error("database_sessions_not_returned", {{"sessions", out}});
                gate_.kept = gate_.behind.get();
                (void)gate_.behind.release();
            }
            gate_.behind.reset();
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
