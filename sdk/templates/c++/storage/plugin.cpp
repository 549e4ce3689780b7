// SPDX-License-Identifier: Apache-2.0
#include "sqlite_session.hpp"

#include <tenon/settings.hpp>

#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <optional>

namespace {

namespace fs = std::filesystem;

class Storage final : public tenon::Plugin, public tenon::StorageProvider {
public:
    explicit Storage(const tenon_host* host) : Plugin{host} {
        provide<tenon::StorageProvider>(this);
    }

    void configure(std::string_view json, bool dry_run) override {
        const tenon::Settings settings{json};
        if (!dry_run) {
            file_ = settings.get<std::string>("file");
            busy_timeout_ms_ = settings.get<int>("busy_timeout_ms");
        }
    }

    void start() override {
        clock_ = host().service<tenon_clock_1>("tenon.clock/1");
        const std::string file = fs::path{host().environment("data_dir")} / file_;
        for (Connection* const connection : {&writer_, &reader_}) {  // the writer makes the file
            connection->session.emplace(file, busy_timeout_ms_);
            connection->session->set_intent(connection == &writer_);
        }
        const std::lock_guard lock{mutex_};
        open_ = true;
    }

    void drain(std::int64_t) override {
        const std::lock_guard lock{mutex_};
        open_ = false;
        freed_.notify_all();
    }

    // Those who have a lease are stopped before this plugin is.
    void stop() noexcept override {
        drain(0);
        std::unique_lock lock{mutex_};
        freed_.wait(lock, [this] { return !writer_.leased && !reader_.leased; });
        writer_.session.reset();
        reader_.session.reset();
    }

    [[nodiscard]] std::string_view dialect() const noexcept override { return "sqlite"; }

    [[nodiscard]] tenon::StorageSession& lease(std::uint32_t intent, std::int64_t deadline_ns)
        override {
        if (intent != TENON_INTENT_READ && intent != TENON_INTENT_WRITE) {
            throw tenon::Error{TENON_INVALID, "unknown intent"};
        }
        Connection& wanted = intent == TENON_INTENT_WRITE ? writer_ : reader_;
        const std::int64_t asked_ns = now_ns();
        std::unique_lock lock{mutex_};
        const auto free = [&] { return !wanted.leased || !open_; };
        ++stats_.waiting;
        const bool got = wait(lock, deadline_ns, free);
        --stats_.waiting;
        if (!open_) {
            throw tenon::Error{TENON_UNAVAILABLE, "the storage is draining"};
        }
        if (!got) {
            ++stats_.lease_timeouts;
            throw tenon::Error{TENON_TIMEOUT, "no connection was free before the deadline"};
        }
        wanted.leased = true;
        ++stats_.leases;
        const std::int64_t waited_ns = now_ns() - asked_ns;
        stats_.wait_total_ns += waited_ns;
        stats_.wait_max_ns = std::max(stats_.wait_max_ns, waited_ns);
        return *wanted.session;
    }

    void release(tenon::StorageSession& session) noexcept override {
        (void)tenon::guard(nullptr, [&] { session.rollback(); });
        const std::lock_guard lock{mutex_};
        (&session == &*writer_.session ? writer_ : reader_).leased = false;
        freed_.notify_all();
    }

    void stats(tenon_storage_stats& out) override {
        const std::lock_guard lock{mutex_};
        const std::uint32_t size = out.size;
        out = stats_;
        out.size = size;
        out.limit = 2;
        for (const Connection* const connection : {&writer_, &reader_}) {
            ++(connection->leased ? out.in_use : out.idle);
            out.transactions += connection->session ? connection->session->commits() : 0;
        }
    }

private:
    struct Connection {
        std::optional<SqliteSession> session;
        bool leased = false;
    };

    [[nodiscard]] std::int64_t now_ns() const { return clock_->now_ns(clock_.self); }

    // Deadlines are on the monotonic clock, which the condition waits by.
    template <class Free>
    bool wait(std::unique_lock<std::mutex>& lock, std::int64_t deadline_ns, Free free) {
        if (deadline_ns == tenon::k_no_deadline) {
            freed_.wait(lock, free);
            return true;
        }
        const std::chrono::nanoseconds since_boot{deadline_ns};
        return freed_.wait_until(lock, std::chrono::steady_clock::time_point{since_boot}, free);
    }

    std::string file_;
    int busy_timeout_ms_ = 0;
    tenon::Service<tenon_clock_1> clock_;
    std::mutex mutex_;  // guards what follows
    std::condition_variable freed_;
    Connection writer_, reader_;
    bool open_ = false;
    tenon_storage_stats stats_{};
};

}  // namespace

TENON_EXPORT_PLUGIN(Storage)
