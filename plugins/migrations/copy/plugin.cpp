// SPDX-License-Identifier: Apache-2.0
// tenon.migrations.copy: settings and the command behind `tenon migrate copy`.
#include "plugins/migrations/copy/job.hpp"

#include <tenon/admin.hpp>
#include <tenon/bound_storages.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>

namespace tenon::copy {
namespace {

class CopyPlugin final : public Plugin {
public:
    explicit CopyPlugin(const tenon_host* raw) : Plugin{raw} {}

    void configure(std::string_view json, bool dry_run) override {
        const Settings settings{json};
        JobOptions options;
        options.copy.batch.rows = settings.get<std::size_t>("batch_rows");
        options.copy.batch.bytes = settings.get<std::size_t>("batch_kb") << 10U;
        options.copy.last_changes_max = settings.get<std::size_t>("last_changes_max");
        options.copy.timeout_ns = settings.get<std::int64_t>("timeout_ms") * 1'000'000;
        if (!dry_run) {
            options.copy.at = [this](std::string_view) {
                if (stopping_) {
                    throw Error{
                        TENON_UNAVAILABLE, "the server is stopping; the copy goes on with it"};
                }
            };
            options_ = std::move(options);
            source_name_ = settings.get<std::string>("source");
        }
    }

    void start() override {
        stopping_ = false;
        clock_ = host().service<tenon_clock_1>("tenon.clock/1");
        for (NamedStorage& one : bound_storages(host())) {
            storages_.push_back({one.storage, std::move(one.name)});
        }
        if (std::none_of(storages_.begin(), storages_.end(), [&](const Side& one) {
                return one.name == source_name_;
            })) {
            host().log().warn("copy_source_not_bound", {{"source", source_name_}});
        }
        commands_.open(host());
        commands_.add(
            "migrate.copy",
            R"({"to":NAME?,"status"|"verify"|"finish"|"reopen"|"abandon":true} or {"forget":ID}: copy the database)",
            [this](const Settings& args) { return command(args); }
        );
        resumer_ = std::thread{[this] { resume(); }};
    }

    void stop() noexcept override {
        {
            const std::lock_guard lock{wake_mutex_};
            stopping_ = true;  // what runs ends with its part
        }
        wake_.notify_all();
        commands_.clear();
        if (resumer_.joinable()) {
            resumer_.join();
        }
        job_.reset();
        storages_.clear();
    }

private:
    [[nodiscard]] const Side& side(const std::string& name) const {
        return storage_named(storages_, name);
    }

    [[nodiscard]] const Side& target(const Settings& args) const {
        const std::string name = args.get<std::string>("to", "");
        const Side* found = nullptr;
        if (!name.empty()) {
            found = &side(name);
        } else {
            for (const Side& one : storages_) {
                if (one.name != source_name_) {
                    if (found != nullptr) {
                        throw Error{
                            TENON_INVALID, "several storages may be the target: say --to NAME"};
                    }
                    found = &one;
                }
            }
        }
        if (found == nullptr || found->name == source_name_) {
            throw Error{TENON_INVALID, "the target has to be another storage than " + source_name_};
        }
        return *found;
    }

    [[nodiscard]] std::shared_ptr<CopyJob> job_to(const Side& target) {
        return std::make_shared<CopyJob>(
            side(source_name_), target, clock_, host().log(), options_
        );
    }

    // The capture goes on over a restart, so the copy has to. Not in start(): a target that is down
    // holds nobody up, and is asked again until it answers.
    void resume() noexcept {
        std::unique_lock lock{wake_mutex_};
        while (!stopping_) {
            lock.unlock();
            bool done = true;
            for (const Side& one : storages_) {
                done = (one.name == source_name_ || resume_to(one)) && done;
            }
            lock.lock();
            if (done) {
                return;
            }
            (void)wake_.wait_for(lock, std::chrono::nanoseconds{options_.retry_ns}, [&] {
                return stopping_.load();
            });
        }
    }

    // False: it is not known whether there is a copy to go on with.
    bool resume_to(const Side& target) noexcept {
        ErrorBuffer err;
        const tenon_status status = guard(&err, [&] {
            const std::lock_guard lock{mutex_};
            Transaction at{target, TENON_INTENT_READ, now_ns() + k_look_ns};
            if (!job_ && has_table(*at, target, "tenon_copy") &&
                number(*at, "SELECT count(*) FROM tenon_copy WHERE phase <> 'finished'") != 0) {
                job_ = job_to(target);
            }
        });
        if (status != TENON_OK && !stopping_) {
            host().log().warn("copy_not_resumed", {{"to", target.name}, {"reason", err.message()}});
        }
        return status == TENON_OK || status == TENON_CONFLICT || status == TENON_INVALID;
    }

    [[nodiscard]] std::int64_t now_ns() const { return clock_->now_ns(clock_.self); }

    std::string command(const Settings& args) {
        if (args.get("reopen", false)) {
            Copier{side(source_name_), target(args), clock_, options_.copy}.reopen();
            host().log().warn("copy_source_reopened", {{"source", source_name_}});
            return R"({"ok":true})";
        }
        if (args.has("forget")) {
            forget(args.get<std::string>("forget"));
            return R"({"ok":true})";
        }
        if (args.get("abandon", false)) {
            abandon(args);
            return R"({"ok":true})";
        }
        const std::shared_ptr<CopyJob> job = job_for(args);
        if (!job) {
            return R"({"phase":"none"})";
        }
        if (args.get("verify", false)) {
            return job->verify();
        }
        if (args.get("finish", false)) {
            job->finish();
        }
        return job->status();
    }

    // The copy that goes on; begun when there is none and more than its status is asked for.
    std::shared_ptr<CopyJob> job_for(const Settings& args) {
        const std::lock_guard lock{mutex_};
        if (!job_ && !args.get("status", false)) {
            job_ = job_to(target(args));
        }
        if (job_ && args.has("to") && args.get<std::string>("to") != job_->target()) {
            throw Error{TENON_CONFLICT, "a copy to " + job_->target() + " is under way"};
        }
        return job_;
    }

    // Also what an earlier server began, and this one could not take up.
    void abandon(const Settings& args) {
        const std::lock_guard lock{mutex_};
        if (job_) {
            job_->abandon();
            job_.reset();
        } else {
            Copier{side(source_name_), target(args), clock_, options_.copy}.abandon();
        }
    }

    void forget(const std::string& copy_id) {
        const std::lock_guard lock{mutex_};
        forget_copy(side(source_name_), copy_id, now_ns() + options_.copy.timeout_ns);
        job_.reset();  // it has nothing to follow any more
        host().log().warn("copy_forgotten", {{"source", source_name_}});
    }

    static constexpr std::int64_t k_look_ns = 2'000'000'000;

    std::atomic<bool> stopping_{false};
    std::mutex wake_mutex_;
    std::condition_variable wake_;
    std::thread resumer_;
    std::string source_name_;
    JobOptions options_;
    Service<tenon_clock_1> clock_;
    std::vector<Side> storages_;
    std::mutex mutex_;
    std::shared_ptr<CopyJob> job_;
    AdminCommands commands_;
};

}  // namespace
}  // namespace tenon::copy

TENON_EXPORT_PLUGIN(tenon::copy::CopyPlugin)
