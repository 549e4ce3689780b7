// SPDX-License-Identifier: Apache-2.0
#include "tools/load/generator.hpp"

#include "tools/load/answer_reader.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <deque>
#include <numeric>
#include <random>
#include <stdexcept>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace tenon::load {

namespace {

// A wait that ends sooner than this is spun through: a sleeping thread wakes too late.
constexpr std::int64_t k_spin_ns = 80'000;
constexpr std::int64_t k_look_ns = 50'000'000;        // between two looks for what timed out
constexpr std::int64_t k_reconnect_ns = 100'000'000;  // between two tries of a connection
constexpr std::int64_t k_second_ns = 1'000'000'000;

constexpr std::uint32_t k_ended = EPOLLRDHUP | EPOLLERR | EPOLLHUP;

std::int64_t clock_ns() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::steady_clock::now().time_since_epoch()
    )
        .count();
}

enum class State : std::uint8_t { down, connecting, free, busy };

struct Due {
    std::int64_t at_ns;  // on the clock
    std::uint32_t kind;
};

struct Connection {
    int fd = -1;
    State state = State::down;
    std::uint32_t user = 0;
    std::deque<Due> waiting;
    AnswerReader reader;
    std::string out;
    std::size_t written = 0;
    Due due{};  // of the request under way
    std::uint32_t operation = 0;
    std::int64_t sent_ns = 0;
    std::int64_t retry_ns = 0;
};

}  // namespace

class Generator::Loop {
public:
    Loop(GeneratorOptions options, Workload& workload)
        : options_{std::move(options)},
          workload_{workload},
          epoll_{epoll_create1(EPOLL_CLOEXEC)},
          connections_(options_.users),
          random_{options_.seed} {
        need_descriptors(options_.users);
        (void)prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
        for (std::uint32_t i = 0; i < options_.users; ++i) {
            connections_[i].user = i;
        }
        try {
            connect_all();
        } catch (...) {
            close_all();
            throw;
        }
    }

    ~Loop() { close_all(); }

    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    Run open(const std::vector<Arrival>& schedule, const Report& report) {
        begin(report);
        next_ = schedule.data();
        last_ = schedule.data() + schedule.size();
        const std::int64_t end_ns = start_ns_ + options_.duration_ns + options_.timeout_ns;
        while (now_ns_ < end_ns && (next_ != last_ || unfinished_ > 0)) {
            hand_out();
            turn(next_ == last_ ? end_ns : start_ns_ + next_->due_ns);
        }
        return finish();
    }

    Run closed(const Report& report) {
        begin(report);
        closed_ = true;
        const std::int64_t stop_ns = start_ns_ + options_.duration_ns;
        for (Connection& one : connections_) {
            ask_again(one);
        }
        while (now_ns_ < stop_ns || (unfinished_ > 0 && now_ns_ < stop_ns + options_.timeout_ns)) {
            stopping_ = now_ns_ >= stop_ns;
            turn(now_ns_ + k_look_ns);
        }
        return finish();
    }

private:
    void connect_all() {
        const std::int64_t deadline_ns = clock_ns() + options_.timeout_ns;
        now_ns_ = clock_ns();
        std::size_t begun = 0;
        // Not more at once than a listener's queue takes without a second try of TCP.
        const auto open = [&] {
            return static_cast<std::size_t>(std::count_if(
                connections_.begin(),
                connections_.end(),
                [](const Connection& one) { return one.state == State::free; }
            ));
        };
        while (open() < connections_.size()) {
            while (begun < connections_.size() && begun < open() + 64) {
                connect(connections_[begun++]);
            }
            turn(now_ns_ + k_look_ns);
            const bool refused = !run_.trouble.empty();
            if (refused || now_ns_ > deadline_ns) {
                throw std::runtime_error{
                    options_.address.text + ": " +
                    (refused
                         ? run_.trouble
                         : std::to_string(open()) + " of " + std::to_string(connections_.size()) +
                               " users could connect in time")};
            }
        }
    }

    void close_all() {
        for (Connection& one : connections_) {
            if (one.fd >= 0) {
                (void)::close(one.fd);
            }
        }
        (void)::close(epoll_);
    }

    void begin(const Report& report) {
        run_ = {};
        run_.operations.resize(workload_.operations().size());
        run_.window_ns = options_.window_ns;
        const std::int64_t measured = options_.duration_ns - options_.warmup_ns;
        run_.windows.resize(
            static_cast<std::size_t>((measured + options_.window_ns - 1) / options_.window_ns)
        );
        report_ = &report;
        closed_ = stopping_ = false;
        unfinished_ = 0;
        progress_ = {};
        recent_ = {};
        start_ns_ = now_ns_ = clock_ns();
        reported_ns_ = looked_ns_ = start_ns_;
        end_ns_ = 0;
    }

    // What is due by now goes to its user's connection.
    void hand_out() {
        while (next_ != last_) {
            const std::int64_t due_ns = start_ns_ + next_->due_ns;
            if (due_ns > now_ns_) {
                now_ns_ = clock_ns();
                if (due_ns > now_ns_) {
                    return;
                }
            }
            if (next_->due_ns >= options_.warmup_ns) {
                ++run_.planned;
                now_ns_ = clock_ns();
                run_.lateness.record(now_ns_ - due_ns);
                run_.late += now_ns_ - due_ns > k_late_ns ? 1U : 0U;
            }
            Connection& one = connections_[next_->user % connections_.size()];
            one.waiting.push_back({due_ns, next_->kind});
            ++next_;
            ++unfinished_;
            ++progress_.waiting;
            if (one.state == State::free) {
                send_next(one);
            }
        }
    }

    // Sockets that are ready, until `until_ns` at the latest.
    void turn(std::int64_t until_ns) {
        std::array<epoll_event, 64> events{};
        const std::int64_t sleep_ns =
            std::min(until_ns - clock_ns(), std::int64_t{k_look_ns}) - k_spin_ns;
        const timespec wait{0, std::max<std::int64_t>(sleep_ns, 0)};
        const int ready =
            epoll_pwait2(epoll_, events.data(), static_cast<int>(events.size()), &wait, nullptr);
        now_ns_ = clock_ns();
        for (int i = 0; i < ready; ++i) {
            const epoll_event& event = events.at(static_cast<std::size_t>(i));
            on_ready(connections_[event.data.u32], event.events);
            if (next_ != last_) {
                hand_out();
            }
        }
        now_ns_ = clock_ns();
        if (now_ns_ - looked_ns_ >= k_look_ns) {
            look();
        }
    }

    // Seldom: what timed out, connections that come back, the report.
    void look() {
        looked_ns_ = now_ns_;
        for (Connection& one : connections_) {
            if (one.state == State::busy && now_ns_ - one.sent_ns > options_.timeout_ns) {
                lose(one, "no answer within the timeout");
            }
            if (one.state == State::down && one.retry_ns != 0 && now_ns_ >= one.retry_ns) {
                ++run_.reconnects;
                connect(one);
            }
        }
        if (start_ns_ != 0 && now_ns_ - reported_ns_ >= k_second_ns && report_ != nullptr &&
            *report_) {
            reported_ns_ = now_ns_;
            progress_.at_ns = now_ns_ - start_ns_;
            progress_.p50_ns = recent_.quantile_ns(0.5);
            progress_.p99_ns = recent_.quantile_ns(0.99);
            (*report_)(progress_);
            recent_ = {};
        }
    }

    void connect(Connection& one) {
        try {
            one.fd = begin_connect(options_.address);
        } catch (const std::runtime_error& e) {
            note(e.what());
            one.retry_ns = now_ns_ + k_reconnect_ns;
            return;
        }
        one.state = State::connecting;
        one.reader.reset();
        epoll_event event{};
        event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
        event.data.u32 = one.user;
        (void)epoll_ctl(epoll_, EPOLL_CTL_ADD, one.fd, &event);
    }

    void on_ready(Connection& one, std::uint32_t events) {
        if (one.state == State::down) {
            return;
        }
        if (one.state == State::connecting) {
            if (const int error = connect_error(one.fd); error != 0) {
                lose(one, std::strerror(error));
                return;
            }
            if ((events & EPOLLOUT) == 0) {
                return;
            }
            one.state = State::free;
            one.retry_ns = 0;
            next_of(one);
            return;
        }
        if (one.state == State::busy && one.written < one.out.size()) {
            write(one);
        }
        if (one.state != State::down && (events & (EPOLLIN | k_ended)) != 0) {
            read(one, (events & k_ended) != 0);
        }
    }

    void send_next(Connection& one) {
        one.due = one.waiting.front();
        one.waiting.pop_front();
        --progress_.waiting;
        one.operation = workload_.write(one.user, one.due.kind, one.out);
        one.written = 0;
        one.state = State::busy;
        one.sent_ns = clock_ns();
        ++progress_.sent;
        write(one);
    }

    void write(Connection& one) {
        while (one.written < one.out.size()) {
            const ssize_t n = ::send(
                one.fd,
                one.out.data() + one.written,
                one.out.size() - one.written,
                MSG_NOSIGNAL | MSG_DONTWAIT
            );
            if (n < 0) {
                if (errno != EAGAIN && errno != EINTR) {
                    lose(one, std::strerror(errno));
                }
                return;
            }
            one.written += static_cast<std::size_t>(n);
        }
    }

    void read(Connection& one, bool to_the_end) {
        while (one.fd >= 0) {
            const ssize_t n = ::recv(one.fd, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
            if (n < 0) {
                if (errno != EAGAIN && errno != EINTR) {
                    lose(one, std::strerror(errno));
                }
                return;
            }
            if (n == 0) {
                lose(one, one.state == State::busy ? "closed before it answered" : "");
                return;
            }
            const int status = one.state == State::busy
                                   ? one.reader.take({buffer_.data(), static_cast<std::size_t>(n)})
                                   : -1;
            if (status < 0) {
                const std::string& why = one.reader.trouble();
                lose(one, why.empty() ? "an answer to nothing" : why);
                return;
            }
            if (status > 0) {
                answered(one, status);
            }
            if (static_cast<std::size_t>(n) < buffer_.size() && !to_the_end) {
                return;  // edge-triggered: more will be told
            }
        }
    }

    void answered(Connection& one, int status) {
        conclude(one, status);
        one.state = State::free;
        if (one.reader.closes()) {
            lose(one, "");
            return;
        }
        next_of(one);
    }

    void next_of(Connection& one) {
        if (closed_) {
            ask_again(one);
        } else if (!one.waiting.empty()) {
            send_next(one);
        }
    }

    void ask_again(Connection& one) {
        now_ns_ = clock_ns();
        if (stopping_ || one.state != State::free || start_ns_ == 0 ||
            now_ns_ - start_ns_ >= options_.duration_ns) {
            return;
        }
        const std::vector<std::uint32_t>& weights = workload_.weights();
        std::uint64_t left = random_() % std::accumulate(weights.begin(), weights.end(), 0ULL);
        std::uint32_t kind = 0;
        while (left >= weights[kind]) {
            left -= weights[kind++];
        }
        one.waiting.push_back({now_ns_, kind});
        run_.planned += now_ns_ - start_ns_ >= options_.warmup_ns ? 1U : 0U;
        ++unfinished_;
        ++progress_.waiting;
        send_next(one);
    }

    // Of the request under way.
    void conclude(Connection& one, int status) {
        const std::int64_t done_ns = clock_ns();
        const bool good = workload_.answered(one.user, one.operation, status);
        --unfinished_;
        ++progress_.answered;
        progress_.errors += good ? 0U : 1U;
        recent_.record(done_ns - one.due.at_ns);
        if (one.due.at_ns - start_ns_ < options_.warmup_ns) {
            return;
        }
        run_.unanswered += status == 0 ? 1U : 0U;
        run_.service.record(done_ns - one.sent_ns);
        measure(one.due, done_ns, status, good, &run_.operations[one.operation]);
        end_ns_ = std::max(end_ns_, done_ns);
    }

    void measure(const Due& due, std::int64_t done_ns, int status, bool good, Tally* operation) {
        const auto window = static_cast<std::size_t>(
            (due.at_ns - start_ns_ - options_.warmup_ns) / options_.window_ns
        );
        Tally* const in_time = window < run_.windows.size() ? &run_.windows[window] : nullptr;
        for (Tally* tally : {&run_.all, operation, in_time}) {
            if (tally != nullptr) {
                tally->latency.record(done_ns - due.at_ns);
                ++tally->statuses[status];
                tally->errors += good ? 0U : 1U;
            }
        }
    }

    // The connection is gone; it comes back by look().
    void lose(Connection& one, const std::string& why) {
        if (!why.empty()) {
            note(why);
        }
        (void)::close(one.fd);
        one.fd = -1;
        const bool at_once = one.state == State::free;
        const bool was_busy = one.state == State::busy;
        one.state = State::down;
        one.retry_ns = now_ns_ + (at_once ? 1 : k_reconnect_ns);
        if (was_busy) {
            conclude(one, 0);
        }
        if (at_once && start_ns_ != 0) {
            ++run_.reconnects;
            connect(one);
        }
    }

    void note(const std::string& why) {
        if (run_.trouble.empty()) {
            run_.trouble = why;
        }
    }

    // What is still under way or waiting counts with the time that it took so far.
    Run finish() {
        now_ns_ = clock_ns();
        for (Connection& one : connections_) {
            if (one.state == State::busy) {
                lose(one, "no answer before the end");
            }
            for (const Due& due : one.waiting) {
                if (due.at_ns - start_ns_ >= options_.warmup_ns) {
                    ++run_.never_sent;
                    measure(due, now_ns_, 0, false, nullptr);
                }
            }
            one.waiting.clear();
        }
        for (; next_ != last_; ++next_) {  // the generator itself was stopped for so long
            if (next_->due_ns >= options_.warmup_ns) {
                ++run_.planned;
                ++run_.late;
                ++run_.never_sent;
                measure({start_ns_ + next_->due_ns, next_->kind}, now_ns_, 0, false, nullptr);
            }
        }
        run_.measured_ns = std::max<std::int64_t>(end_ns_ - start_ns_ - options_.warmup_ns, 1);
        start_ns_ = 0;
        report_ = nullptr;
        return std::move(run_);
    }

    GeneratorOptions options_;
    Workload& workload_;
    int epoll_;
    std::vector<Connection> connections_;
    std::mt19937_64 random_;
    std::array<char, 65'536> buffer_{};
    Run run_;
    const Report* report_ = nullptr;
    Progress progress_;
    Histogram recent_;  // since the last report
    const Arrival* next_ = nullptr;
    const Arrival* last_ = nullptr;
    bool closed_ = false, stopping_ = false;
    std::uint64_t unfinished_ = 0;
    std::int64_t start_ns_ = 0, now_ns_ = 0, looked_ns_ = 0, reported_ns_ = 0, end_ns_ = 0;
};

Generator::Generator(GeneratorOptions options, Workload& workload)
    : loop_{std::make_unique<Loop>(std::move(options), workload)} {}

Generator::~Generator() = default;

Run Generator::open(const std::vector<Arrival>& schedule, const Report& report) {
    return loop_->open(schedule, report);
}

Run Generator::closed(const Report& report) {
    return loop_->closed(report);
}

}  // namespace tenon::load
