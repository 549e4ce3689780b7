// SPDX-License-Identifier: Apache-2.0
#include "plugins/migrations/copy/job.hpp"

#include <boost/json.hpp>

#include <chrono>

namespace tenon::copy {
namespace {

namespace json = boost::json;

std::int64_t copied(const Progress& progress) {
    std::int64_t rows = 0;
    for (const TableProgress& table : progress.tables) {
        rows += table.rows_copied;
    }
    return rows;
}

}  // namespace

// The copier for one's own, as soon as the step that runs has ended.
class CopyJob::Turn {
public:
    explicit Turn(CopyJob& job) : job_{job} {
        ++job_.waiting_;
        lock_ = std::unique_lock{job_.mutex_};
        --job_.waiting_;
    }

    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

    ~Turn() {
        lock_.unlock();
        job_.turn_.notify_all();
    }

private:
    CopyJob& job_;
    std::unique_lock<std::mutex> lock_;
};

CopyJob::CopyJob(
    Side source,
    Side target,
    Service<tenon_clock_1> clock,
    Log log,
    JobOptions options
)
    : source_{std::move(source)},
      target_{std::move(target)},
      clock_{clock},
      log_{log},
      options_{std::move(options)} {
    CopyOptions copy = options_.copy;
    copy.at = [this, inner = copy.at](std::string_view point) {
        if (interrupted_) {
            throw Error{TENON_UNAVAILABLE, "the copy is being interrupted"};
        }
        if (inner) {
            inner(point);
        }
    };
    copier_ = std::make_unique<Copier>(source_, target_, clock_, std::move(copy));
    copier_->begin();
    rows_before_ = copied(copier_->status().progress);
    began_ns_ = clock_->now_ns(clock_.self);
    log_.info("copy_begun", {{"from", source_.name}, {"to", target_.name}});
    running_ = true;
    thread_ = std::thread{[this] { run(); }};
}

CopyJob::~CopyJob() {
    interrupted_ = true;
    end_thread();
}

void CopyJob::end_thread() noexcept {
    {
        const Turn turn{*this};
        stopping_ = true;
    }
    if (thread_.joinable()) {
        thread_.join();
    }
}

void CopyJob::run() {
    std::unique_lock lock{mutex_};
    while (!stopping_ && step(lock)) {}
    running_ = false;
}

bool CopyJob::step(std::unique_lock<std::mutex>& lock) {
    const auto is_wanted = [this] { return waiting_ != 0; };
    turn_.wait(lock, [&] { return !is_wanted(); });
    if (stopping_) {
        return false;
    }
    std::int64_t wait_ns = 0;
    try {
        wait_ns = copier_->advance() ? 0 : options_.idle_ns;
        tell("");
    } catch (const StorageError& e) {
        wait_ns = options_.retry_ns;
        tell(e.what());
    } catch (const Error& e) {
        wait_ns = options_.retry_ns;
        tell(e.what());
        if (e.code() == TENON_CONFLICT) {
            return false;
        }
    } catch (const std::exception& e) {
        wait_ns = options_.retry_ns;
        tell(e.what());
    }
    (void)turn_.wait_for(lock, std::chrono::nanoseconds{wait_ns}, [&] {
        return stopping_ || is_wanted();
    });
    return !stopping_;
}

void CopyJob::tell(const std::string& error) {
    const std::lock_guard lock{error_mutex_};
    if (error != error_ && !error.empty() && !interrupted_) {
        log_.warn("copy_step_failed", {{"to", target_.name}, {"reason", error}});
    }
    error_ = error;
}

std::string CopyJob::error() const {
    const std::lock_guard lock{error_mutex_};
    return error_;
}

std::string CopyJob::status() {
    const CopyStatus now = copier_->status();
    std::int64_t total = 0;
    json::array tables;
    for (std::size_t i = 0; i < now.progress.tables.size(); ++i) {
        const TableProgress& table = now.progress.tables[i];
        // Rows that came since the start are in neither count twice.
        total += table.done ? table.rows_copied : std::max(table.rows_total, table.rows_copied);
        tables.push_back(json::object{
            {"name", copier_->tables()[i].name},
            {"rows_total", table.rows_total},
            {"rows_copied", table.rows_copied},
            {"done", table.done}});
    }
    const std::int64_t rows = copied(now.progress);
    const bool all = now.progress.tables_done() == now.progress.tables.size();
    const std::int64_t elapsed_ns = clock_->now_ns(clock_.self) - began_ns_;
    json::object out{
        {"from", source_.name},
        {"to", target_.name},
        {"phase", now.exists ? name_of(now.progress.phase) : "none"},
        {"source_closed", now.fenced},
        {"running", running_.load()},
        {"all_tables_copied", all},
        {"percent",
         all          ? 100
         : total == 0 ? 0
                      : rows * 100 / total},
        {"rows_total", total},
        {"rows_copied", rows},
        {"changes_applied", now.progress.changes},
        {"changes_waiting", now.waiting},
        {"error", error()}};
    if (!all && elapsed_ns > 0) {
        out["rows_per_s"] =
            (rows - rows_before_) * 1'000 / std::max<std::int64_t>(elapsed_ns / 1'000'000, 1);
    }
    out["tables"] = std::move(tables);
    return json::serialize(out);
}

std::string CopyJob::verify() {
    const Turn turn{*this};
    std::int64_t rows = 0;
    bool ok = true;
    json::array tables;
    for (const TableCheck& check : copier_->verify()) {
        rows += check.rows;
        ok = ok && check.different == 0 && check.source_digest == check.target_digest;
        json::array differences;
        for (const std::string& difference : check.differences) {
            differences.emplace_back(difference);
        }
        tables.push_back(json::object{
            {"name", check.table},
            {"rows", check.rows},
            {"source_digest", check.source_digest},
            {"target_digest", check.target_digest},
            {"different", check.different},
            {"differences", std::move(differences)}});
    }
    return json::serialize(json::object{{"ok", ok}, {"rows", rows}, {"tables", std::move(tables)}});
}

void CopyJob::finish() {
    const Turn turn{*this};
    if (!copier_->finish()) {
        log_.warn("copy_capture_left", {{"in", source_.name}});
    }
    log_.warn("copy_finished", {{"closed", source_.name}, {"to", target_.name}});
}

void CopyJob::abandon() {
    const Turn turn{*this};
    copier_->abandon();
    stopping_ = true;
    log_.warn("copy_abandoned", {{"from", source_.name}, {"to", target_.name}});
}

}  // namespace tenon::copy
