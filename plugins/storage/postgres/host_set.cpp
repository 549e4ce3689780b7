// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/postgres/host_set.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace tenon::postgres {
namespace {

// How long a caller waits here for a primary; who retries transactions asks again.
constexpr std::int64_t k_primary_wait_ns = 5 * k_second;
// How long a caller waits for a free connection while another server could serve it too.
constexpr std::int64_t k_busy_wait_ns = 50 * k_ms;
constexpr std::int64_t k_replay_poll_ns = 2 * k_ms;
// For a replica to say how far it has come; another serves the caller then.
constexpr std::int64_t k_replay_answer_ns = 250 * k_ms;

// As libpq reads it: name='value' with \ and ' escaped.
std::string conninfo_of(const Keywords& keywords) {
    std::string out;
    for (const auto& [name, value] : keywords) {
        out.append(name).append("='");
        for (const char c : value) {
            if (c == '\'' || c == '\\') {
                out.push_back('\\');
            }
            out.push_back(c);
        }
        out.append("' ");
    }
    return out + "application_name='tenon probe'";
}

// Connections to it, lent or not, must not be used any more.
bool ends_connections(const HostView& before, const HostView& after) noexcept {
    return before.epoch != after.epoch &&
           (after.reason != Reason::lagging || before.role != after.role);
}

std::uint64_t mixed(std::uint64_t x) noexcept {  // splitmix64
    x += 0x9E3779B97F4A7C15ULL;
    x = (x ^ (x >> 30U)) * 0xBF58476D1CE4E5B9ULL;
    x = (x ^ (x >> 27U)) * 0x94D049BB133111EBULL;
    return x ^ (x >> 31U);
}

}  // namespace

HostSet::HostSet(const Settings& settings, const Telemetry& telemetry)
    : settings_{settings}, telemetry_{telemetry} {
    auto seed = static_cast<std::uint64_t>(telemetry_.now_ns());
    random_ = seed;
    std::vector<std::string> conninfos;
    for (Keywords& keywords : keywords_of(settings_)) {
        conninfos.push_back(conninfo_of(keywords));
        pools_.push_back(std::make_unique<HostPool>(
            HostBackend{settings_, telemetry_, std::move(keywords)}, pool_options(settings_, seed++)
        ));
    }
    barred_ = std::make_unique<std::atomic<bool>[]>(pools_.size());
    if (pools_.size() < 2) {
        return;
    }
    const ClusterSettings& cluster = settings_.cluster;
    if (cluster.fence_file.empty()) {
        throw Error{TENON_INVALID, "several hosts need a file for the fence"};
    }
    make_cells();
    MonitorSettings monitor;
    monitor.topology.eject_after = cluster.eject_after;
    monitor.topology.readmit_after = cluster.readmit_after;
    monitor.topology.max_lag_ns = cluster.max_lag_ms * k_ms;
    monitor.probe_interval_ns = cluster.probe_interval_ms * k_ms;
    monitor.probe_timeout_ns = cluster.probe_timeout_ms * k_ms;
    monitor_ = std::make_unique<Monitor>(
        std::move(conninfos),
        monitor,
        FenceFile{cluster.fence_file},
        [&t = telemetry_] { return t.now_ns(); }
    );
    monitor_->on_change([this](const TopologyView& before, const TopologyView& after) {
        take_change(before, after);
    });
    monitor_->on_failure([this](const std::string& what) {
        telemetry_.log.error("database_fence_not_stored", {{"what", what}});
    });
    monitor_->start();
}

HostSet::~HostSet() {
    (void)stop(0);
}

std::uint32_t HostSet::stop(std::int64_t patience_ns) noexcept {
    {
        const std::lock_guard lock{mutex_};
        stopping_ = true;
    }
    wake_.notify_all();
    if (monitor_) {
        monitor_->stop();
    }
    std::uint32_t out = 0;
    for (const auto& pool : pools_) {
        out += pool->stop(patience_ns);
    }
    return out;
}

Monitor::View HostSet::view() const {
    return monitor_ ? monitor_->view() : nullptr;
}

std::size_t HostSet::primary_or_first() const {
    return monitor_ ? monitor_->view()->primary.value_or(0) : 0;
}

// ---- connections

HostPool::Lease HostSet::acquire(const Wanted& wanted) {
    if (telemetry_.now_ns() >= wanted.deadline_ns) {
        throw StorageError{TENON_TIMEOUT, "no time left to ask for a connection", Failure::timeout};
    }
    if (!monitor_) {
        const Candidate only{0, wanted.intent == TENON_INTENT_WRITE, false, 0};
        return std::move(*try_one(wanted, only, wanted.deadline_ns));
    }
    const std::int64_t began_ns = telemetry_.now_ns();
    const std::int64_t last_ns = std::min(wanted.deadline_ns, began_ns + k_primary_wait_ns);
    for (;;) {
        refuse_when_stopping();
        const Monitor::View seen = monitor_->view();
        std::vector<std::uint32_t> in_use;
        for (const auto& pool : pools_) {
            in_use.push_back(pool->stats().in_use);
        }
        RouteRequest request;
        request.intent = wanted.intent;
        request.max_staleness_ns = wanted.max_staleness_ns;
        request.after = wanted.after;
        request.now_ns = telemetry_.now_ns();
        request.in_use = in_use;
        request.random = mixed(random_.fetch_add(1, std::memory_order_relaxed));
        Route found = route(*seen, request);
        if (settings_.replica_reads == 0) {
            // Replicas stay behind the primary: they are asked while there is none.
            std::stable_partition(
                found.candidates.begin(),
                found.candidates.end(),
                [](const Candidate& one) { return one.is_primary; }
            );
        }
        std::string why = found.refusal;
        std::optional<HostPool::Lease> lease = try_candidates(wanted, found, why);
        if (lease) {
            return std::move(*lease);
        }
        if (found.outdated || !found.candidates.empty()) {
            suspect();
        }
        if (telemetry_.now_ns() >= last_ns) {
            throw StorageError{TENON_UNAVAILABLE, std::move(why), Failure::other_host};
        }
        (void)monitor_->wait_for_change(seen, last_ns);
    }
}

bool HostSet::is_away_for(std::int64_t ns) const noexcept {
    const std::int64_t now_ns = telemetry_.now_ns();
    return std::all_of(pools_.begin(), pools_.end(), [&](const auto& pool) {
        const std::int64_t since_ns = pool->failing_since_ns();
        return since_ns != 0 && now_ns - since_ns >= ns;
    });
}

void HostSet::refuse_when_stopping() {
    const std::lock_guard lock{mutex_};
    if (stopping_) {
        throw StorageError{TENON_UNAVAILABLE, "the database is closed", Failure::permanent};
    }
}

std::optional<HostPool::Lease>
HostSet::try_candidates(const Wanted& wanted, const Route& route, std::string& why) {
    for (std::size_t i = 0; i < route.candidates.size(); ++i) {
        const bool is_last = i + 1 == route.candidates.size();
        const std::int64_t soon_ns = telemetry_.now_ns() + k_busy_wait_ns;
        const std::int64_t until_ns =
            is_last ? wanted.deadline_ns : std::min(wanted.deadline_ns, soon_ns);
        try {
            std::optional<HostPool::Lease> lease = try_one(wanted, route.candidates[i], until_ns);
            if (lease) {
                return lease;
            }
            why = pools_[route.candidates[i].host]->backend().name() + " has not come so far yet";
        } catch (const StorageError& e) {
            const bool elsewhere =
                e.failure() == Failure::other_host || (e.failure() == Failure::timeout && !is_last);
            if (!elsewhere) {
                throw;
            }
            why = e.what();
        }
    }
    return std::nullopt;
}

// Nothing: the replica has not replayed the position.
std::optional<HostPool::Lease>
HostSet::try_one(const Wanted& wanted, const Candidate& candidate, std::int64_t deadline_ns) {
    HostPool& pool = *pools_[candidate.host];
    // Each one that died in the pool goes with its lease, so this ends.
    for (;;) {
        HostPool::Lease lease = pool.lease(deadline_ns, wanted.owner);
        lease->set_home(&pool);
        if (!lease->lend(wanted.intent, deadline_ns)) {
            if (telemetry_.now_ns() >= deadline_ns) {
                throw DatabaseError{
                    TENON_TIMEOUT,
                    "the deadline passed before a session was ready",
                    Failure::timeout,
                    ""};
            }
            continue;
        }
        const bool write = wanted.intent == TENON_INTENT_WRITE;
        if (write && (lease->on_standby() || barred_[candidate.host].load())) {
            throw DatabaseError{
                TENON_UNAVAILABLE,
                pool.backend().name() + " takes no writes: it is not the primary",
                Failure::other_host,
                ""};
        }
        if (candidate.check && !has_replayed(*lease, wanted, candidate.wait_ns)) {
            return std::nullopt;
        }
        return lease;
    }
}

// Before the transaction begins: its snapshot must be taken after the position was replayed.
bool HostSet::has_replayed(Connection& connection, const Wanted& wanted, std::int64_t ns) {
    const std::int64_t now_ns = telemetry_.now_ns();
    const std::int64_t until_ns = std::min(now_ns + ns, wanted.deadline_ns);
    const std::int64_t answer_ns = now_ns + std::max(ns, k_replay_answer_ns);
    const Connection::Bound bound{connection, std::min(answer_ns, wanted.deadline_ns)};
    for (;;) {
        const std::string text = connection.ask("SELECT pg_catalog.pg_last_wal_replay_lsn()::text");
        const std::optional<std::uint64_t> replayed = parse_lsn(text);
        if (replayed && *replayed >= wanted.after->lsn) {
            return true;
        }
        if (telemetry_.now_ns() >= until_ns || !pause(k_replay_poll_ns)) {
            return false;
        }
    }
}

bool HostSet::pause(std::int64_t ns) {
    std::unique_lock lock{mutex_};
    return !wake_.wait_for(lock, std::chrono::nanoseconds{ns}, [&] { return stopping_; });
}

std::size_t HostSet::index_of(const Connection& connection) const noexcept {
    for (std::size_t i = 0; i + 1 < pools_.size(); ++i) {
        if (connection.home() == pools_[i].get()) {
            return i;
        }
    }
    return pools_.size() - 1;
}

bool HostSet::may_commit(const Connection& connection) const noexcept {
    return !barred_[index_of(connection)].load();
}

void HostSet::give_back(Connection& connection) noexcept {
    const HostPool::Lease back = pools_[index_of(connection)]->adopt(connection);
}

void HostSet::suspect() noexcept {
    if (monitor_) {
        monitor_->probe_all_soon();
    }
}

// ---- changes

// Called before `after` is visible: barred first and shut then, so that a connection that is lent
// in between sees the bar, and one that was lent before is shut.
void HostSet::take_change(const TopologyView& before, const TopologyView& after) noexcept {
    for (std::size_t i = 0; i < pools_.size(); ++i) {
        const HostView& was = before.hosts[i];
        const HostView& is = after.hosts[i];
        barred_[i].store(after.primary != i);
        if (was.epoch != is.epoch) {
            pools_[i]->invalidate();
        }
        if (ends_connections(was, is)) {
            pools_[i]->cancel();
        }
        (void)guard(nullptr, [&] { log_change(i, was, is); });
    }
    if (after.failovers != before.failovers) {
        Telemetry::count(failovers_);
        telemetry_.log.warn(
            "database_failover",
            {{"primary", after.primary ? pools_[*after.primary]->backend().name() : ""},
             {"timeline", after.timeline}}
        );
    }
}

void HostSet::log_change(std::size_t host, const HostView& before, const HostView& after) {
    if (before.health == after.health && before.role == after.role &&
        before.reason == after.reason) {
        return;
    }
    telemetry_.log.info(
        "database_host",
        {{"host", pools_[host]->backend().name()},
         {"health", name_of(after.health)},
         {"role", name_of(after.role)},
         {"reason", name_of(after.reason)},
         {"detail", after.detail}}
    );
}

// ---- metrics

void HostSet::make_cells() {
    cells_.resize(pools_.size());
    if (telemetry_.metrics.self == nullptr) {
        return;
    }
    const auto& metrics = telemetry_.metrics;
    for (std::size_t i = 0; i < pools_.size(); ++i) {
        const std::string name = pools_[i]->backend().name();
        const tenon_label label{str("host"), str(name)};
        cells_[i].up = metrics->gauge(
            metrics.self,
            str("tenon_db_host_up"),
            str("1: the server is used; 0: it is not"),
            &label,
            1
        );
        cells_[i].lag = metrics->gauge(
            metrics.self,
            str("tenon_db_replication_lag_seconds"),
            str("How old a replica's rows may be, rounded up; -1: not known"),
            &label,
            1
        );
    }
    failovers_ = metrics->counter(
        metrics.self,
        str("tenon_db_failovers_total"),
        str("Times that another server took over as primary"),
        nullptr,
        0
    );
}

void HostSet::publish() noexcept {
    if (!monitor_) {
        return;
    }
    const Monitor::View seen = monitor_->view();
    const std::int64_t now_ns = telemetry_.now_ns();
    for (std::size_t i = 0; i < cells_.size(); ++i) {
        const HostView& host = seen->hosts[i];
        const bool used = host.health == Health::up || host.health == Health::half_open;
        const std::int64_t age_ns = now_ns - host.fresh_as_of_ns;
        const std::int64_t lag = host.fresh_as_of_ns == 0 ? -1 : (age_ns + k_second - 1) / k_second;
        Telemetry::set(cells_[i].up, used ? 1 : 0);
        Telemetry::set(cells_[i].lag, host.role == Role::primary ? 0 : lag);
    }
}

}  // namespace tenon::postgres
