// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/predictor/predictor.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace tenon::predictor {

std::string Predictor::key_of(const Question& question) {
    return std::to_string(question.symbol.size()) + ":" + question.symbol + question.input;
}

// With mutex_ held, as all private functions.
void Predictor::forget(std::int64_t now_ns) {
    while (!ends_.empty() && (ends_.front().first <= now_ns || kept_.size() > limits_.cache_max)) {
        const auto found = kept_.find(ends_.front().second);
        // An answer that came again has a later end of its own.
        if (found != kept_.end() && found->second.until_ns == ends_.front().first) {
            kept_.erase(found);
        }
        ends_.pop_front();
    }
}

void Predictor::keep(const std::string& key, const std::string& prediction, std::int64_t now_ns) {
    if (limits_.keep_ns <= 0 || limits_.cache_max == 0) {
        return;
    }
    // Never before the last one, so that the ends stay in order when the time to keep got shorter.
    const std::int64_t until =
        std::max(now_ns + limits_.keep_ns, ends_.empty() ? now_ns : ends_.back().first);
    kept_.insert_or_assign(key, Kept{prediction, until});
    ends_.emplace_back(until, key);
    forget(now_ns);
}

std::vector<Predictor::Done> Predictor::release(const std::string& key) {
    const auto found = pending_.find(key);
    if (found == pending_.end()) {
        return {};
    }
    std::vector<Done> waiting = std::move(found->second.waiting);
    waiting_ -= waiting.size();
    pending_.erase(found);
    return waiting;
}

bool Predictor::ask(const Question& question, std::int64_t now_ns, Done done) {
    std::string key = key_of(question);
    Answer known;
    {
        const std::lock_guard lock{mutex_};
        ++stats_.asked;
        forget(now_ns);
        if (const auto found = kept_.find(key); found != kept_.end()) {
            ++stats_.cached;
            known = {TENON_OK, found->second.prediction, {}, true};
        } else {
            const auto same = pending_.find(key);
            if (waiting_ >= limits_.waiting_max ||
                (same == pending_.end() && pending_.size() >= limits_.queue_max)) {
                ++stats_.refused;
                throw Error{
                    TENON_UNAVAILABLE, "too many predictions are asked for: try again later"};
            }
            ++waiting_;
            if (same != pending_.end()) {
                ++stats_.joined;
                same->second.waiting.push_back(std::move(done));
                return false;
            }
            Pending fresh{question, now_ns, {}};
            fresh.waiting.push_back(std::move(done));
            queue_.push_back(key);
            pending_.emplace(std::move(key), std::move(fresh));
            return true;
        }
    }
    done(known);
    return false;
}

std::size_t Predictor::queued() const {
    const std::lock_guard lock{mutex_};
    return queue_.size();
}

std::int64_t Predictor::oldest_ns() const {
    const std::lock_guard lock{mutex_};
    return queue_.empty() ? 0 : pending_.at(queue_.front()).since_ns;
}

std::vector<Question> Predictor::take() {
    const std::lock_guard lock{mutex_};
    std::vector<Question> batch;
    while (!queue_.empty() && batch.size() < limits_.batch_max) {
        batch.push_back(pending_.at(queue_.front()).question);
        queue_.pop_front();
    }
    return batch;
}

void Predictor::finish(
    const std::vector<Question>& batch,
    const BatchAnswer& answer,
    std::int64_t now_ns
) {
    const Answer missing{TENON_UNAVAILABLE, {}, "the provider left this question out", false};
    std::vector<std::pair<std::vector<Done>, const Answer*>> told;
    {
        const std::lock_guard lock{mutex_};
        ++stats_.batches;
        stats_.cost += answer.cost;
        for (std::size_t i = 0; i < batch.size(); ++i) {
            const std::string key = key_of(batch[i]);
            const Answer* const one = i < answer.answers.size() ? &answer.answers[i] : &missing;
            if (one->status == TENON_OK) {
                ++stats_.good;
                keep(key, one->prediction, now_ns);
            } else {
                ++stats_.failed;
            }
            told.emplace_back(release(key), one);
        }
    }
    for (const auto& [waiting, one] : told) {
        for (const Done& done : waiting) {
            done(*one);
        }
    }
}

void Predictor::fail(const std::vector<Question>& batch, const Answer& answer) {
    std::vector<Done> told;
    {
        const std::lock_guard lock{mutex_};
        ++stats_.batches;
        ++stats_.batches_failed;
        stats_.failed += batch.size();
        for (const Question& question : batch) {
            std::vector<Done> waiting = release(key_of(question));
            std::move(waiting.begin(), waiting.end(), std::back_inserter(told));
        }
    }
    for (const Done& done : told) {
        done(answer);
    }
}

void Predictor::fail_queued(const Answer& answer) {
    std::vector<Done> told;
    {
        const std::lock_guard lock{mutex_};
        for (const std::string& key : std::exchange(queue_, {})) {
            std::vector<Done> waiting = release(key);
            std::move(waiting.begin(), waiting.end(), std::back_inserter(told));
        }
    }
    for (const Done& done : told) {
        done(answer);
    }
}

void Predictor::set_limits(const Limits& limits) {
    const std::lock_guard lock{mutex_};
    limits_ = limits;
    if (limits_.keep_ns <= 0) {
        kept_.clear();
        ends_.clear();
    }
}

std::size_t Predictor::batch_max() const {
    const std::lock_guard lock{mutex_};
    return limits_.batch_max;
}

Stats Predictor::stats() const {
    const std::lock_guard lock{mutex_};
    Stats out = stats_;
    out.kept = kept_.size();
    out.waiting = waiting_;
    return out;
}

}  // namespace tenon::predictor
