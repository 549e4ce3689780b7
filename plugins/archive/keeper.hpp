// SPDX-License-Identifier: Apache-2.0
// The archives of a server: when a run happens, and what operators ask of it. The plugin makes one
// in start.
//
// tick() is for the job; commands come from other threads. A hold comes between two steps of a run,
// the rest before or after a run.
#pragma once

#include "plugins/archive/query.hpp"
#include "plugins/archive/restore.hpp"
#include "plugins/archive/retention.hpp"

#include <tenon/quiet_schedule.hpp>

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

namespace tenon::archive {

struct KeeperOptions {
    RetentionOptions retention;
    std::int64_t every_ns = 0;   // between runs; 0: by command only
    std::int64_t latest_ns = 0;  // a run that is due waits so long for a quiet window
};

// What became of a run that has ended.
struct Outcome {
    RetentionCounts counts;
    std::string failure;  // the first one; "" when all went well
};

class Keeper {
public:
    // failed(reason): a step has failed; the run goes on with the next range. not_kept(reason): the
    // schedule could not be read or saved; it goes on in memory.
    using Failed = std::function<void(const std::string&)>;

    Keeper(RetentionContext context, KeeperOptions options, Failed failed, Failed not_kept);

    // The job's: watches the traffic (what it learns lies in the folder, where a restart finds it),
    // begins a run when it may, does one step of it. What a run came to when it has ended with this
    // step.
    [[nodiscard]] std::optional<Outcome> tick(std::int64_t work_ns);
    // A whole run, at once.
    [[nodiscard]] Outcome run();

    // JSON. policy "": all.
    [[nodiscard]] std::string list(const std::string& policy);
    // {"ok":…,"verified":N,"damaged":["…"]}; id "": all, and the second copies.
    [[nodiscard]] std::string verify(const std::string& id, std::uint64_t& damaged);
    // An archive by its id, or all of a policy that lie in [from, to].
    [[nodiscard]] std::string restore(
        const std::string& what,
        std::int64_t from_real_ns,
        std::int64_t to_real_ns,
        std::uint64_t& inserted
    );
    [[nodiscard]] std::string query(const Query& query) const;
    [[nodiscard]] std::string hold(Hold hold);
    // A hold, or an archive that was restored: its rows may go again.
    [[nodiscard]] std::string release(const std::string& id);

private:
    [[nodiscard]] std::vector<Manifest>
    chosen(const std::string& what, std::int64_t from, std::int64_t to) const;
    [[nodiscard]] bool has_schedule() const noexcept;
    void open_schedule();
    void save_schedule(std::int64_t now_ns);
    [[nodiscard]] bool step(Outcome& outcome);
    void clean_up();

    RetentionContext context_;
    KeeperOptions options_;
    Failed failed_, not_kept_;
    std::mutex run_mutex_;  // taken first: one run, restore or release of an archive at a time
    std::mutex mutex_;      // of a step: of everything below, and of the holds
    Retention retention_;
    QuietSchedule schedule_;
    bool is_running_ = false;
    Outcome outcome_;
    RetentionCounts before_;
};

}  // namespace tenon::archive
