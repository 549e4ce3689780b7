// SPDX-License-Identifier: Apache-2.0
// Which of the configured PostgreSQL servers takes writes, and which may be read from: decided from
// what probes saw, without any input or output of its own.
//
// It elects nothing: promotion is the work of Patroni, repmgr or an operator. It finds the primary
// that they made and fences the one before it: the highest timeline ever seen (the caller keeps it
// on disk) is the only one whose primary takes writes. A server that says it is primary on a lower
// timeline is refused, whatever it says. Of two on the same timeline the one in use is kept; when
// none is in use yet, both are refused until one is gone.
//
// States of a server
//   unknown    not probed yet
//   up         used
//   down       not used: unreachable, fenced, lagging, a rival, or of another database cluster
//   half_open  it answers again after having been down: a replica gets one reader at a time, a
//              primary is used at once, there being no other
// unknown → up at the first good probe, → down at the first bad one. up → down after `eject_after`
// failed probes in a row, or at once when it is fenced, lagging, a rival or another cluster's.
// down → half_open at a good probe. half_open → up after `readmit_after` good ones in a row, → down
// at the first bad one.
//
// No primary is taken before every server was probed once (the newest timeline may be on the last
// of them), nor before the fence is on disk.
//
// Not thread-safe. Times are monotonic nanoseconds.
#pragma once

#include "plugins/storage/postgres/cluster/log_position.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::postgres {

struct TopologySettings {
    std::uint32_t eject_after = 2;
    std::uint32_t readmit_after = 3;
    // A replica this old is not read from; it is taken back at half of it.
    std::int64_t max_lag_ns = 10'000'000'000;
};

// What is kept on disk. timeline 0: nothing is known yet.
struct Fence {
    std::uint64_t system = 0;  // pg_control_system().system_identifier
    std::uint32_t timeline = 0;

    friend bool operator==(const Fence&, const Fence&) = default;
};

// What one probe of one server saw.
struct Observation {
    std::size_t host = 0;
    bool answered = false;
    std::string failure;  // when it did not answer
    bool in_recovery = false;
    std::uint64_t system = 0;
    LogPosition position;             // primary: flushed; replica: replayed
    std::int64_t fresh_as_of_ns = 0;  // replica: has all that was committed before; 0: not known
    std::int64_t started_us = 0;      // when the server's postmaster started, its own clock
    std::int64_t latency_ns = 0;
};

enum class Health : std::uint8_t { unknown, up, half_open, down };
enum class Role : std::uint8_t { unknown, primary, replica };
enum class Reason : std::uint8_t { none, unreachable, other_cluster, fenced, rival, lagging };

[[nodiscard]] std::string_view name_of(Health health) noexcept;
[[nodiscard]] std::string_view name_of(Role role) noexcept;
[[nodiscard]] std::string_view name_of(Reason reason) noexcept;

struct HostView {
    Health health = Health::unknown;
    Role role = Role::unknown;
    Reason reason = Reason::none;  // why it is down
    std::string detail;            // the same in words
    LogPosition position;
    std::int64_t fresh_as_of_ns = 0;
    std::int64_t latency_ns = 0;
    // Raised whenever connections made before must not be used again.
    std::uint64_t epoch = 0;
};

struct TopologyView {
    std::vector<HostView> hosts;
    std::optional<std::size_t> primary;  // takes writes
    std::uint32_t timeline = 0;          // the highest ever seen
    std::uint64_t failovers = 0;         // times another server, or a promoted one, took over
};

class Topology {
public:
    // `known` is what the disk has; it counts as stored.
    Topology(std::size_t hosts, TopologySettings settings, Fence known);

    // Takes in what probes saw, any number of servers at a time, also none. Gives back the state
    // after it; valid until the next call.
    const TopologyView& step(std::span<const Observation> observations, std::int64_t now_ns);

    // What has to be on disk before a primary is taken; nothing when it is there already.
    [[nodiscard]] std::optional<Fence> fence_to_store() const noexcept;

    // It is on disk. The next step may take a primary.
    void fence_stored(const Fence& fence) noexcept { stored_ = fence; }

    [[nodiscard]] const TopologyView& view() const noexcept { return view_; }

private:
    struct Host {
        Observation seen;  // the newest that was answered
        bool probed = false;
        bool answered = false;        // at the newest probe
        bool fresh_probe = false;     // probed in this step
        std::uint32_t failures = 0;   // in a row
        std::uint32_t successes = 0;  // in a row since it was down
        std::int64_t first_good_ns = 0;
        std::string failure;
    };

    struct Verdict {
        Reason reason = Reason::none;
        std::string detail;
    };

    void record(const Observation& observation, std::int64_t now_ns);
    void raise_fence();
    [[nodiscard]] bool all_probed() const noexcept;
    [[nodiscard]] bool claims(std::size_t index) const noexcept;
    [[nodiscard]] Verdict judge(std::size_t index, std::int64_t now_ns) const;
    [[nodiscard]] bool is_unreachable(std::size_t index) const noexcept;
    [[nodiscard]] bool is_lagging(std::size_t index, std::int64_t now_ns) const noexcept;
    [[nodiscard]] std::int64_t fresh_since(std::size_t index) const noexcept;
    [[nodiscard]] bool has_rival(std::size_t index) const noexcept;
    void advance(std::size_t index, Verdict verdict);
    void choose_primary(std::int64_t now_ns);

    TopologySettings settings_;
    Fence fence_;
    Fence stored_;
    std::vector<Host> hosts_;
    std::optional<std::size_t> last_primary_;  // the one taken last, also while it is down
    std::uint32_t last_timeline_ = 0;
    std::int64_t primary_since_ns_ = 0;
    TopologyView view_;
};

}  // namespace tenon::postgres
