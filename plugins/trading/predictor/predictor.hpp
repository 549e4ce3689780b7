// SPDX-License-Identifier: Apache-2.0
// Who asks for a prediction and what is known already: answers that are kept for a while, one
// question to the provider for all who ask the same, questions gathered into batches, success and
// cost counted.
//
// It sends nothing and has no thread and no clock: times are given, monotonic, in nanoseconds.
// Threads: any. `Done` runs on the thread that brings the answer, without a lock held.
#pragma once

#include <tenon/plugin.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace tenon::predictor {

struct Question {
    std::string symbol;
    std::string input;  // JSON
};

struct Answer {
    tenon_status status = TENON_OK;
    std::string prediction;  // JSON, when the status is TENON_OK
    std::string message;     // else
    bool is_cached = false;
};

// Of one batch: an answer for each question, in their order, and what the provider takes for it.
struct BatchAnswer {
    std::vector<Answer> answers;
    std::int64_t cost = 0;  // 10^-8 of the provider's currency
};

inline constexpr int k_cost_scale = 8;

struct Limits {
    std::size_t batch_max = 32;
    std::size_t queue_max = 1024;    // different questions that wait or are asked
    std::size_t waiting_max = 8192;  // of all who wait for an answer
    std::size_t cache_max = 10'000;
    std::int64_t keep_ns = 300'000'000'000;
};

struct Stats {
    std::uint64_t asked = 0, cached = 0, joined = 0, refused = 0;
    std::uint64_t batches = 0, batches_failed = 0, good = 0, failed = 0;
    std::int64_t cost = 0;
    std::size_t kept = 0, waiting = 0;

    // Good answers of all that the provider was asked for, in basis points; 10,000 before the
    // first.
    [[nodiscard]] std::uint64_t success_bp() const noexcept {
        const std::uint64_t all = good + failed;
        return all == 0 ? 10'000 : good * 10'000 / all;
    }
};

class Predictor {
public:
    using Done = std::function<void(const Answer&)>;

    explicit Predictor(const Limits& limits) : limits_{limits} {}

    // `done` runs once: at once for an answer that is kept, else with the batch. Throws Error
    // TENON_UNAVAILABLE when too many wait; then it never runs. True: a question was added.
    bool ask(const Question& question, std::int64_t now_ns, Done done);

    // Questions that nobody has taken yet, and since when the oldest waits (0: none).
    [[nodiscard]] std::size_t queued() const;
    [[nodiscard]] std::int64_t oldest_ns() const;
    // The oldest ones, at most a batch. Whoever takes them finishes them.
    [[nodiscard]] std::vector<Question> take();
    // Good answers are kept. Fewer answers than questions: the rest has failed.
    void finish(const std::vector<Question>& batch, const BatchAnswer& answer, std::int64_t now_ns);
    // All that wait, and all of the batch, get this.
    void fail(const std::vector<Question>& batch, const Answer& answer);
    void fail_queued(const Answer& answer);

    // Where nothing is kept any more, what was kept is forgotten.
    void set_limits(const Limits& limits);
    [[nodiscard]] std::size_t batch_max() const;
    [[nodiscard]] Stats stats() const;

private:
    struct Pending {
        Question question;
        std::int64_t since_ns;
        std::vector<Done> waiting;
    };

    struct Kept {
        std::string prediction;
        std::int64_t until_ns;
    };

    [[nodiscard]] static std::string key_of(const Question& question);
    void forget(std::int64_t now_ns);
    void keep(const std::string& key, const std::string& prediction, std::int64_t now_ns);
    [[nodiscard]] std::vector<Done> release(const std::string& key);

    mutable std::mutex mutex_;  // of all that follows
    Limits limits_;
    std::unordered_map<std::string, Pending> pending_;
    std::deque<std::string> queue_;  // keys of those that nobody has taken
    std::unordered_map<std::string, Kept> kept_;
    std::deque<std::pair<std::int64_t, std::string>> ends_;  // of what is kept, in order
    std::size_t waiting_ = 0;
    Stats stats_;
};

}  // namespace tenon::predictor
