// SPDX-License-Identifier: Apache-2.0
// tenon.storage.advisor: settings and the commands of `tenon advise`.
#include "plugins/storage/advisor/answer.hpp"
#include "plugins/storage/advisor/rewrites.hpp"

#include <tenon/admin.hpp>

#include <atomic>
#include <mutex>

namespace tenon::advisor {
namespace {

class AdvisorPlugin final : public Plugin {
public:
    explicit AdvisorPlugin(const tenon_host* raw) : Plugin{raw} {}

    void configure(std::string_view json, bool dry_run) override {
        const Settings settings{json};
        Limits limits;
        limits.statements = settings.get<std::uint32_t>("statements_max");
        limits.candidates = settings.get<std::uint32_t>("candidates_max");
        limits.proposals = settings.get<std::uint32_t>("proposals_max");
        const auto timeout_ms = settings.get<std::int64_t>("trial_timeout_ms");
        if (!dry_run) {
            const std::lock_guard lock{mutex_};
            limits_ = limits;
            timeout_ns_ = timeout_ms * 1'000'000;
        }
    }

    void start() override {
        stopping_ = false;
        clock_ = host().service<tenon_clock_1>("tenon.clock/1");
        storage_ = Storage{host().require<tenon_storage_1>("tenon.storage/1")};
        commands_.open(host());
        commands_.add(
            "advise.indexes",
            "{\"apply\":false}: indexes that would gain, unused and redundant ones",
            [this](const Settings& args) { return indexes(args.get<bool>("apply", false)); }
        );
        commands_.add(
            "advise.apply",
            "{}: creates the indexes that would gain",
            [this](const auto&) { return indexes(true); }
        );
        commands_.add(
            "advise.withdraw",
            "{\"name\":INDEX}: drops the applied index; without a name: lists those that do not "
            "gain",
            [this](const Settings& args) { return withdraw(args.get<std::string>("name", "")); }
        );
        commands_.add(
            "advise.rewrites",
            "{\"statement\":FINGERPRINT}: texts that give the same rows for less work; without a "
            "statement: of all captured ones",
            [this](const Settings& args) {
                return rewrites(args.get<std::string>("statement", ""));
            }
        );
        commands_.add("advise.slow", "{}: slow and costly statements", [this](const auto&) {
            return slow_of(storage_.statements());
        });
        commands_.add("advise.plans", "{}: plans and their changes", [this](const auto&) {
            return plans_of(storage_.statements());
        });
    }

    void stop() noexcept override {
        stopping_ = true;  // a search ends with its trial
        commands_.clear();
    }

private:
    [[nodiscard]] std::int64_t now_ns() const { return clock_->now_ns(clock_.self); }

    [[nodiscard]] std::int64_t deadline_ns() const {
        const std::lock_guard lock{mutex_};
        return now_ns() + timeout_ns_;
    }

    [[nodiscard]] Advisor advisor() const {
        return Advisor{storage_, [this] { return stopping_ ? INT64_MAX : now_ns(); }};
    }

    // One search at a time: each takes a copy of the database.
    std::string indexes(bool apply) {
        const std::unique_lock one{search_, std::try_to_lock};
        if (!one.owns_lock()) {
            throw Error{TENON_UNAVAILABLE, "a search is running already"};
        }
        Limits limits;
        {
            const std::lock_guard lock{mutex_};
            limits = limits_;
        }
        limits.deadline_ns = deadline_ns();
        const Advice advice = advisor().indexes(limits);
        std::vector<Applied> applied;
        if (stopping_) {
            throw Error{TENON_UNAVAILABLE, "the advisor is stopping"};
        }
        if (apply) {
            applied =
                advisor().apply(advice.proposals, clock_->now_real_ns(clock_.self), deadline_ns());
            for (const Applied& made : applied) {
                host().log().info(
                    made.is_kept ? "index_applied" : "index_not_kept", {{"name", made.name}}
                );
            }
        }
        return json_of(advice, apply, applied);
    }

    std::string rewrites(std::string fingerprint) {
        const std::unique_lock one{search_, std::try_to_lock};
        if (!one.owns_lock()) {
            throw Error{TENON_UNAVAILABLE, "a search is running already"};
        }
        RewriteLimits limits;
        {
            const std::lock_guard lock{mutex_};
            limits.statements = limits_.statements;
        }
        limits.fingerprint = std::move(fingerprint);
        limits.deadline_ns = deadline_ns();
        const RewriteAdvisor advisor{storage_, [this] { return stopping_ ? INT64_MAX : now_ns(); }};
        const RewriteAdvice advice = advisor.rewrites(limits);
        if (stopping_) {
            throw Error{TENON_UNAVAILABLE, "the advisor is stopping"};
        }
        return json_of(advice);
    }

    std::string withdraw(const std::string& name) {
        if (!name.empty()) {
            advisor().withdraw(name, clock_->now_real_ns(clock_.self), deadline_ns());
            host().log().info("index_withdrawn", {{"name", name}});
            std::string out = "{\"withdrawn\":[";
            append_json(out, name);
            return out + "]}";
        }
        std::string out = "{\"withdrawn\":[],\"proposed\":[";
        bool first = true;
        for (const Weak& one : advisor().weak(deadline_ns())) {
            out.append(first ? "{\"name\":" : ",{\"name\":");
            append_json(out, one.name);
            out.append(",\"reason\":");
            append_json(out, one.reason);
            out.push_back('}');
            first = false;
        }
        return out + "]}";
    }

    mutable std::mutex mutex_;
    std::mutex search_;
    std::atomic<bool> stopping_{false};
    Limits limits_;
    std::int64_t timeout_ns_ = 0;
    Service<tenon_clock_1> clock_;
    Storage storage_;
    AdminCommands commands_;
};

}  // namespace
}  // namespace tenon::advisor

TENON_EXPORT_PLUGIN(tenon::advisor::AdvisorPlugin)
