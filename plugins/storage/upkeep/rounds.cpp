// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/upkeep/rounds.hpp"

#include <tenon/json.hpp>

namespace tenon::upkeep {
namespace {

bool took_too_long(const StorageError& e) noexcept {
    return e.failure() == Failure::timeout || e.code() == TENON_TIMEOUT;
}

void append_member(std::string& out, std::string_view name, std::string_view text) {
    out.append(out.back() == '{' ? "" : ",");
    append_json(out, name);
    out.push_back(':');
    append_json(out, text);
}

std::string head_of(bool is_ok) {
    return is_ok ? "{\"ok\":true" : "{\"ok\":false";
}

}  // namespace

bool ViewsRound::step() {
    bool is_there = false;
    try {
        // A transaction may run more than once: what it finds counts when it has ended.
        Walk walk;
        Findings findings;
        context_.storage.read(context_.deadline_ns(), [&](Session& session) {
            walk = walk_;
            findings = findings_;
            is_there = walk.find(session);
            walk_ = walk;
            if (is_there) {
                compare_day(session, walk.view(), walk.day_ns(), findings);
            }
        });
        findings_ = std::move(findings);
    } catch (const StorageError& e) {
        if (!is_there || !took_too_long(e)) {
            throw;
        }
        ++unchecked_;
    }
    if (is_there) {
        walk_.pass();
    }
    return is_there;
}

std::string ViewsRound::json() const {
    std::string out = head_of(is_ok());
    out.append(",\"days\":").append(std::to_string(findings_.days));
    out.append(",\"keys\":").append(std::to_string(findings_.keys));
    out.append(",\"different\":").append(std::to_string(findings_.different));
    out.append(",\"unchecked\":").append(std::to_string(unchecked_)).append(",\"differences\":[");
    bool is_first = true;
    for (const Difference& difference : findings_.told) {
        std::string one{"{"};
        append_member(one, "view", difference.view);
        append_member(one, "key", difference.key);
        append_member(one, "kept", difference.kept);
        append_member(one, "rows", difference.rows);
        out.append(is_first ? "" : ",").append(one).append("}");
        is_first = false;
    }
    return out.append("]}");
}

std::uint64_t rebuild_views(const RoundContext& context, const std::function<bool()>& stopping) {
    Walk walk;
    std::uint64_t days = 0;
    for (;; ++days) {
        if (stopping()) {
            throw Error{
                TENON_UNAVAILABLE,
                "stopped after " + std::to_string(days) + " days; each of them is complete"};
        }
        bool is_there = false;
        context.storage.read(context.deadline_ns(), [&](Session& session) {
            is_there = walk.find(session);
        });
        if (!is_there) {
            return days;
        }
        context.storage.write(context.deadline_ns(), [&](Session& session) {
            rebuild_day(session, context.storage.dialect(), walk.view(), walk.day_ns());
        });
        walk.pass();
    }
}

bool IntegrityRound::step() {
    if (!is_planned_) {
        context_.storage.read(context_.deadline_ns(), [&](Session& session) {
            steps_ = integrity_steps(session, context_.storage.dialect(), full_);
        });
        is_planned_ = true;
    }
    if (next_ == steps_.size()) {
        return false;
    }
    std::vector<std::string> problems;
    try {
        context_.storage.read(context_.deadline_ns(), [&](Session& session) {
            problems = problems_;
            run_step(session, steps_[next_], problems);
        });
        problems_ = std::move(problems);
    } catch (const StorageError& e) {
        if (took_too_long(e)) {
            ++unchecked_;
        } else if (e.failure() == Failure::permanent || e.code() == TENON_CORRUPT) {
            // What is damaged may make the look itself fail.
            if (problems_.size() < k_problems_max) {
                problems_.push_back(steps_[next_].subject + ": " + e.what());
            }
        } else {
            throw;
        }
    }
    ++next_;
    return true;
}

std::string IntegrityRound::json() const {
    std::string out = head_of(is_ok());
    out.append(",\"steps\":").append(std::to_string(next_));
    out.append(",\"unchecked\":").append(std::to_string(unchecked_)).append(",\"problems\":[");
    bool is_first = true;
    for (const std::string& problem : problems_) {
        out.append(is_first ? "" : ",");
        append_json(out, problem);
        is_first = false;
    }
    return out.append("]}");
}

}  // namespace tenon::upkeep
