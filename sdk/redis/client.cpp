// SPDX-License-Identifier: Apache-2.0
#include "sdk/redis/client.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace tenon::redis {
namespace {

// Who waits for answers, owned by whoever lets go of it last: the caller may give up first.
struct Waiter {
    explicit Waiter(std::size_t count) : left{count}, owners{count + 1} {}

    std::mutex mutex;
    std::condition_variable changed;
    std::vector<Answer> answers;
    std::optional<Error> why;
    std::size_t left;
    std::atomic<std::size_t> owners;

    void release(std::size_t count = 1) noexcept {
        if (owners.fetch_sub(count) == count) {
            delete this;
        }
    }
};

void waiter_done(void* ctx, const Reply* reply, const Error* why) {
    Waiter& waiter = *static_cast<Waiter*>(ctx);
    {
        const std::lock_guard lock{waiter.mutex};
        if (reply != nullptr) {
            waiter.answers.emplace_back(*reply);
        } else if (!waiter.why) {
            waiter.why = *why;
        }
        if (--waiter.left == 0) {
            waiter.changed.notify_one();
        }
    }
    waiter.release();
}

std::uint64_t seed_of(std::uint64_t wanted) {
    return wanted != 0 ? wanted
                       : (std::uint64_t{std::random_device{}()} << 32U) | std::random_device{}();
}

}  // namespace

Reply checked(const Reply& reply) {
    if (reply.is_error()) {
        const std::string_view text = reply.text();
        const bool passing = text.starts_with("LOADING") || text.starts_with("OOM") ||
                             text.starts_with("READONLY") || text.starts_with("BUSY") ||
                             text.starts_with("MASTERDOWN") || text.starts_with("MISCONF");
        throw Error{
            passing ? TENON_UNAVAILABLE : TENON_INTERNAL, "Redis answers " + std::string{text}};
    }
    return reply;
}

Client::Client(ClientOptions options, Listener* listener)
    : options_{std::move(options)},
      listener_{listener},
      tls_{trusted(options_.address)},
      wake_fd_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)},
      epoll_fd_{::epoll_create1(EPOLL_CLOEXEC)},
      reader_{options_.limits},
      random_{seed_of(options_.seed)} {
    epoll_event woken{};
    woken.events = EPOLLIN;
    woken.data.fd = wake_fd_;
    if (wake_fd_ < 0 || epoll_fd_ < 0 ||
        ::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, wake_fd_, &woken) != 0) {
        ::close(wake_fd_);
        ::close(epoll_fd_);
        throw Error{TENON_UNAVAILABLE, "no descriptors for the client of Redis"};
    }
}

Client::~Client() {
    stop();
    ::close(wake_fd_);
    ::close(epoll_fd_);
}

void Client::start() {
    if (!thread_.joinable()) {
        stopping_.store(false);
        thread_ = std::thread{[this] { run(); }};
    }
}

void Client::stop() noexcept {
    if (thread_.joinable()) {
        stopping_.store(true);
        wake();
        thread_.join();
    }
}

std::string Client::reason() const {
    const std::lock_guard lock{mutex_};
    return reason_;
}

bool Client::wait_up(std::chrono::nanoseconds timeout) {
    std::unique_lock lock{mutex_};
    return changed_.wait_for(lock, timeout, [this] { return ready_; });
}

ClientStats Client::stats() const noexcept {
    return {
        sent_.load(),
        answers_.load(),
        timeouts_.load(),
        refused_.load(),
        connects_.load(),
        pushes_.load()};
}

void Client::wake() noexcept {
    const std::uint64_t one = 1;
    (void)!::write(wake_fd_, &one, sizeof one);
}

bool Client::send(std::span<const std::string_view> words, Done done, void* ctx) {
    thread_local std::string bytes;
    bytes.clear();
    append_command(bytes, words);
    return submit(bytes, 1, done, ctx, nullptr);
}

bool Client::submit(std::string_view bytes, std::size_t count, Done done, void* ctx, bool* lead) {
    const std::int64_t now = is_own_thread() ? turn_ns_ : now_ns();
    const std::lock_guard lock{mutex_};
    if (!up_.load(std::memory_order_relaxed) ||
        queued_ + count - done_.load(std::memory_order_relaxed) > options_.waiting_max ||
        outbox_.size() + bytes.size() > options_.unsent_max) {
        refused_.fetch_add(count, std::memory_order_relaxed);
        return false;
    }
    outbox_.append(bytes);
    queue_.insert(queue_.end(), count, {done, ctx, now});
    queued_ += count;
    sent_.fetch_add(count, std::memory_order_relaxed);
    if (!asleep_) {
        return true;
    }
    if (direct_) {
        const bool alone = lead != nullptr && !led_ && !wanted_ && begin_ == end_ &&
                           queued_ - done_.load(std::memory_order_relaxed) == count;
        if (alone) {
            await(0);  // before the answer can come and wake the thread
        }
        std::size_t written = 0;
        try {
            written = connection_.write(outbox_);
        } catch (const Error&) {
            written = 0;  // the thread will see the same
        }
        outbox_.erase(0, written);
        if (outbox_.empty()) {
            if (alone) {
                *lead = led_ = true;
            }
            return true;
        }
        if (alone) {
            await(EPOLLIN);
        }
        direct_ = false;
    }
    asleep_ = false;
    wake();
    return true;
}

std::vector<Answer> Client::call_all(std::span<const Words> commands) {
    if (is_own_thread()) {
        throw Error{TENON_INTERNAL, "the thread of the client of Redis cannot wait for itself"};
    }
    std::string bytes;
    for (const Words& words : commands) {
        append_command(bytes, words);
    }
    const std::int64_t until_ns = now_ns() + options_.command_timeout.count();
    auto* const waiter = new Waiter{commands.size()};
    bool alone = false;
    if (!submit(bytes, commands.size(), &waiter_done, waiter, &alone)) {
        waiter->release(commands.size() + 1);
        const std::string why = reason();
        throw Error{
            TENON_UNAVAILABLE,
            is_up() ? "too many commands wait for Redis"
                    : "Redis is not there" + (why.empty() ? why : ": " + why)};
    }
    if (alone) {
        lead(waiter, until_ns);
    }
    std::unique_lock lock{waiter->mutex};
    const bool ended = waiter->changed.wait_for(
        lock, std::chrono::nanoseconds{until_ns - now_ns()}, [waiter] { return waiter->left == 0; }
    );
    std::optional<Error> why = waiter->why;
    std::vector<Answer> answers = ended ? std::move(waiter->answers) : std::vector<Answer>{};
    lock.unlock();
    waiter->release();
    if (why) {
        throw Error{*why};
    }
    if (!ended) {
        timeouts_.fetch_add(1, std::memory_order_relaxed);
        throw Error{TENON_TIMEOUT, "Redis did not answer in time"};
    }
    return answers;
}

void Client::lead(const void* ctx, std::int64_t until_ns) noexcept {
    try {
        while (read_own(ctx) && read_ns_ < until_ns) {}
    } catch (const std::exception&) {
        // The thread will see the same, and has what is to be done then.
    }
    const std::lock_guard lock{mutex_};
    await(EPOLLIN);
    led_ = false;
    if (wanted_) {
        changed_.notify_all();
    } else if (begin_ != end_ && asleep_) {
        asleep_ = direct_ = false;
        wake();
    }
}

// True: there is more to come.
bool Client::read_own(const void* ctx) {
    make_room();
    const std::size_t got = connection_.read_waiting(buffer_.data() + end_, buffer_.size() - end_);
    if (got == 0) {
        return false;
    }
    end_ += got;
    read_ns_ = now_ns();
    {
        const std::lock_guard lock{mutex_};
        take_queued();
    }
    while (!waiting_.empty() && waiting_.front().ctx == ctx) {
        // What was pushed, and attributes, which could be of a push, are the thread's.
        if (begin_ == end_) {
            return true;
        }
        if (buffer_[begin_] == '>' || buffer_[begin_] == '|') {
            return false;
        }
        if (!parse()) {
            return true;
        }
        answer(reader_.reply(buffer_.data() + begin_));
        begin_ += reader_.consumed();
    }
    return false;
}

Answer Client::call(const Words& words) {
    return std::move(call_all({&words, 1}).front());
}

}  // namespace tenon::redis
