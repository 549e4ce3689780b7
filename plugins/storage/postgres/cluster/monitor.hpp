// SPDX-License-Identifier: Apache-2.0
// Watches the servers of one database: a thread for each probes it at an interval, and at once when
// somebody met a failure; what they see makes the topology, and the topology is what everybody
// reads.
//
// A view is published only after the fence that it needs is on disk: a primary on a timeline that
// could not be stored is not used (TENON_UNAVAILABLE until it can).
//
// Thread-safe. Threads run from start() to stop(); stop() waits for the probes that are under way,
// probe_timeout_ns at most.
#pragma once

#include "plugins/storage/postgres/cluster/fence_file.hpp"
#include "plugins/storage/postgres/cluster/freshness.hpp"
#include "plugins/storage/postgres/cluster/host_probe.hpp"
#include "plugins/storage/postgres/cluster/topology.hpp"

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace tenon::postgres {

struct MonitorSettings {
    TopologySettings topology;
    std::int64_t probe_interval_ns = 500'000'000;
    std::int64_t probe_timeout_ns = 2'000'000'000;
};

class Monitor {
public:
    using View = std::shared_ptr<const TopologyView>;
    // Called by the probing threads, one at a time, with what was and what is.
    using OnChange = std::function<void(const TopologyView& before, const TopologyView& after)>;
    // What went wrong besides the servers: the fence's file.
    using OnFailure = std::function<void(const std::string& what)>;

    // Reads the fence; throws Error when it is damaged. `conninfos`: one a server.
    Monitor(
        std::vector<std::string> conninfos,
        MonitorSettings settings,
        FenceFile file,
        Clock clock
    );
    ~Monitor();
    Monitor(const Monitor&) = delete;
    Monitor& operator=(const Monitor&) = delete;

    // Before start().
    void on_change(OnChange callback) { on_change_ = std::move(callback); }

    void on_failure(OnFailure callback) { on_failure_ = std::move(callback); }

    void start();
    void stop() noexcept;

    // [any]
    [[nodiscard]] View view() const;
    // [any] Probes that server, or all, now and not only when its time comes.
    void probe_soon(std::size_t host);
    void probe_all_soon();
    // [io] Waits for another view than `seen`, until the deadline; gives back the newest.
    [[nodiscard]] View wait_for_change(const View& seen, std::int64_t deadline_ns);

private:
    struct Watched {
        Watched(std::size_t host, std::string conninfo, const Clock& clock)
            : probe{host, std::move(conninfo), clock} {}

        HostProbe probe;
        bool due = false;
        std::thread thread;
    };

    void watch(std::size_t index);
    void take_in(Observation seen, std::int64_t began_ns);
    void store_fence();

    MonitorSettings settings_;
    FenceFile file_;
    Clock clock_;
    OnChange on_change_;
    OnFailure on_failure_;
    std::vector<std::unique_ptr<Watched>> watched_;
    // Held over a whole step, file and callbacks included; taken before mutex_.
    std::mutex step_mutex_;
    Topology topology_;
    FreshnessLog freshness_;
    std::string fence_failure_;

    mutable std::mutex mutex_;
    std::condition_variable wake_;     // a probe is due, or the end
    std::condition_variable changed_;  // a new view
    View view_;
    bool stopping_ = false;
};

}  // namespace tenon::postgres
