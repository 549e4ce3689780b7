// SPDX-License-Identifier: Apache-2.0
// The client's own thread: connecting, the greeting, and turns of writing, waiting, reading.
#include "sdk/redis/client.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

namespace tenon::redis {
namespace {

constexpr std::size_t k_read_bytes = std::size_t{64} << 10;
constexpr std::int64_t k_ms = 1'000'000;
constexpr std::int64_t k_tick_ns = 50 * k_ms;  // how late a missing answer may be noticed
// What was asked meanwhile leaves when half of the answers are told, so that the server works on
// it while the others are; but not for fewer than this.
constexpr std::size_t k_least_half = 16;

// Whose thread this is.
thread_local const Client* t_client = nullptr;

// An old server names the arguments of a command that it does not know: of HELLO the password.
std::string without_secrets(std::string_view error, const std::string& password) {
    std::string out{error.substr(0, error.find(", with args"))};
    for (std::size_t at = 0; !password.empty() && (at = out.find(password)) != std::string::npos;) {
        out.replace(at, password.size(), "…");
    }
    return out;
}

int poll_ms(std::int64_t ns) noexcept {
    return static_cast<int>(std::clamp<std::int64_t>((ns + k_ms - 1) / k_ms, 0, 60'000));
}

}  // namespace

bool Client::is_own_thread() const noexcept {
    return t_client == this;
}

void Client::run() {
    t_client = this;
    while (!stopping_.load()) {
        try {
            if (!connection_.is_open()) {
                connect();
            } else {
                turn();
            }
        } catch (const std::exception& fault) {
            drop(fault.what());
            pause(now_ns() + backoff_ns());
        }
    }
    drop("the client was stopped");
}

std::int64_t Client::backoff_ns() {
    const std::uint32_t doublings = std::min<std::uint32_t>(attempts_++, 30);
    const std::int64_t most = std::min<std::int64_t>(
        options_.backoff_max.count(), options_.backoff_first.count() << std::min(doublings, 20U)
    );
    return std::uniform_int_distribution<std::int64_t>{0, std::max<std::int64_t>(most, 0)}(random_);
}

void Client::pause(std::int64_t until_ns) {
    for (std::int64_t now = now_ns(); now < until_ns && !stopping_.load(); now = now_ns()) {
        pollfd polled{wake_fd_, POLLIN, 0};
        (void)::poll(&polled, 1, poll_ms(until_ns - now));
        std::uint64_t woken = 0;
        (void)!::read(wake_fd_, &woken, sizeof woken);
    }
}

void Client::connect() {
    connection_ =
        Connection::open(options_.address, tls_.get(), options_.connect_timeout, wake_fd_);
    connection_.set_patience(std::min(options_.command_timeout, std::chrono::nanoseconds{k_tick_ns})
    );
    epoll_event event{};
    event.events = awaited_ = EPOLLIN;
    event.data.fd = connection_.fd();
    if (::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, connection_.fd(), &event) != 0) {
        throw Error{TENON_UNAVAILABLE, "the connection cannot be waited for"};
    }
    connects_.fetch_add(1, std::memory_order_relaxed);
    reader_ = Reader{options_.limits};
    buffer_.resize(k_read_bytes);
    begin_ = end_ = 0;
    writing_.clear();
    written_ = 0;
    expired_ = 0;
    turn_ns_ = read_ns_ = pinged_ns_ = now_ns();
    greet();
}

void Client::greet() {
    std::vector<std::vector<std::string>> commands{{"HELLO", "3"}};
    const Address& at = options_.address;
    if (!at.password.empty() || !at.user.empty()) {
        for (const std::string& word :
             {std::string{"AUTH"}, at.user.empty() ? "default" : at.user, at.password}) {
            commands.front().push_back(word);
        }
    }
    if (!options_.name.empty()) {
        commands.front().insert(commands.front().end(), {"SETNAME", options_.name});
    }
    if (at.database != 0) {
        commands.push_back({"SELECT", std::to_string(at.database)});
    }
    commands.insert(commands.end(), options_.greeting.begin(), options_.greeting.end());
    for (const std::string& channel : options_.channels) {
        // It is answered by a push: the first command after it tells that it was carried out.
        const std::array<std::string_view, 2> words{"SUBSCRIBE", channel};
        append_command(writing_, words);
    }
    commands.push_back({"PING"});
    std::string first;
    for (const auto& command : commands) {
        const Words words{command.begin(), command.end()};
        append_command(first, words);
        waiting_.push_back({&greeted, this, turn_ns_});
        if (&command == &commands[commands.size() - 2]) {
            first.append(writing_);  // subscriptions go before the last PING
        }
    }
    writing_ = std::move(first);
    greeting_left_ = commands.size();
    sent_.fetch_add(commands.size(), std::memory_order_relaxed);
    greeting_until_ns_ = turn_ns_ + options_.connect_timeout.count();
    greeting_fault_.clear();
    const std::lock_guard lock{mutex_};
    queued_ = commands.size();
    done_.store(0);
}

void Client::greeted(void* ctx, const Reply* reply, const Error*) {
    Client& self = *static_cast<Client*>(ctx);
    if (reply == nullptr) {
        return;
    }
    if (reply->is_error() && self.greeting_fault_.empty()) {
        self.greeting_fault_ = "the greeting was refused: " +
                               without_secrets(reply->text(), self.options_.address.password);
    }
    if (--self.greeting_left_ != 0 || !self.greeting_fault_.empty()) {
        return;
    }
    self.attempts_ = 0;
    {
        const std::lock_guard lock{self.mutex_};
        self.up_.store(true);
        self.reason_.clear();
    }
    if (self.listener_ != nullptr) {
        self.listener_->up();
    }
    const std::lock_guard lock{self.mutex_};
    self.ready_ = true;
    self.changed_.notify_all();
}

void Client::take_queued() {
    waiting_.insert(waiting_.end(), queue_.begin(), queue_.end());
    queue_.clear();
    if (written_ == writing_.size()) {
        writing_.clear();
        written_ = 0;
        writing_.swap(outbox_);
    } else if (!outbox_.empty()) {
        writing_.append(outbox_);
        outbox_.clear();
    }
}

void Client::flush() {
    while (written_ < writing_.size()) {
        const std::size_t n = connection_.write(std::string_view{writing_}.substr(written_));
        if (n == 0) {
            return;
        }
        written_ += n;
    }
    if (!connection_.is_flushed()) {
        (void)connection_.write({});
    }
}

bool Client::unsent() const noexcept {
    return written_ < writing_.size() || !connection_.is_flushed();
}

void Client::await(std::uint32_t events) noexcept {
    if (events != awaited_) {
        epoll_event event{};
        event.events = awaited_ = events;
        event.data.fd = connection_.fd();
        (void)::epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, connection_.fd(), &event);
    }
}

void Client::turn() {
    turn_ns_ = now_ns();
    keep_alive();
    {
        const std::lock_guard lock{mutex_};
        take_queued();
    }
    flush();
    const bool blocked = unsent();
    await(blocked ? EPOLLIN | EPOLLOUT : EPOLLIN);
    // Who sends while this thread sleeps may write without waking it: it looks for late answers
    // all the same.
    const std::int64_t idle_ns = std::min(
        pinged_ns_ + options_.ping_interval.count() - turn_ns_,
        std::max(options_.command_timeout.count() / 2, k_tick_ns)
    );
    std::int64_t wait_ns = waiting_.size() > expired_ || greeting_left_ != 0 ? k_tick_ns : idle_ns;
    {
        const std::lock_guard lock{mutex_};
        const bool more = connection_.has_more() || (!outbox_.empty() && !blocked);
        wait_ns = more ? 0 : wait_ns;
        asleep_ = !more;
        direct_ = asleep_ && !blocked && !connection_.is_secure();
    }
    // From here on a caller may lead.
    std::array<epoll_event, 2> events{};
    const int ready =
        ::epoll_wait(epoll_fd_, events.data(), static_cast<int>(events.size()), poll_ms(wait_ns));
    {
        std::unique_lock lock{mutex_};
        wanted_ = true;
        changed_.wait(lock, [this] { return !led_; });
        asleep_ = direct_ = wanted_ = false;
        take_queued();
    }
    turn_ns_ = now_ns();
    bool readable = connection_.has_more();
    for (int i = 0; i < ready; ++i) {
        if (events[static_cast<std::size_t>(i)].data.fd == wake_fd_) {
            std::uint64_t woken = 0;
            (void)!::read(wake_fd_, &woken, sizeof woken);
        } else {
            readable = true;
        }
    }
    if (begin_ != end_) {
        tell_all();  // what a caller left
    }
    if (readable) {
        read_some();
    }
    expire();
    check();
}

void Client::make_room() {
    if (buffer_.size() - end_ < k_read_bytes / 2) {
        if (begin_ != 0) {
            std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
            end_ -= begin_;
            begin_ = 0;
        }
        if (buffer_.size() - end_ < k_read_bytes / 2) {
            buffer_.resize(buffer_.size() * 2);
        }
    }
}

void Client::read_some() {
    make_room();
    const std::size_t got = connection_.read(buffer_.data() + end_, buffer_.size() - end_);
    if (got == 0) {
        return;
    }
    end_ += got;
    read_ns_ = turn_ns_;
    tell_all();
}

bool Client::parse() {
    const Reader::State state = reader_.next(buffer_.data() + begin_, end_ - begin_);
    if (state == Reader::State::failed) {
        throw Error{TENON_UNAVAILABLE, "the server breaks RESP3: " + reader_.error()};
    }
    return state == Reader::State::message;
}

void Client::tell_all() {
    const std::size_t half = std::max(waiting_.size() / 2, k_least_half);
    for (std::size_t told = 1; begin_ != end_ && parse(); ++told) {
        answer(reader_.reply(buffer_.data() + begin_));
        begin_ += reader_.consumed();
        if (told % half == 0) {
            {
                const std::lock_guard lock{mutex_};
                take_queued();
            }
            flush();
        }
    }
    if (begin_ == end_) {
        begin_ = end_ = 0;
        if (buffer_.size() > 16 * k_read_bytes) {  // one large answer is no reason to keep it
            buffer_ = std::vector<char>(k_read_bytes);
        }
    }
}

void Client::answer(const Reply& reply) {
    if (reply.kind() == Kind::push) {
        pushes_.fetch_add(1, std::memory_order_relaxed);
        if (listener_ != nullptr) {
            listener_->pushed(reply);
        }
        return;
    }
    if (waiting_.empty()) {
        throw Error{TENON_UNAVAILABLE, "the server answers what was not asked"};
    }
    const Pending first = waiting_.front();
    waiting_.pop_front();
    expired_ -= expired_ != 0 ? 1 : 0;
    done_.store(done_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    answers_.store(answers_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    heard_ns_.store(first.sent_ns, std::memory_order_relaxed);
    if (first.done != nullptr) {
        first.done(first.ctx, &reply, nullptr);
    }
}

// Tells those that have waited for too long; their answers, should they come, are dropped.
void Client::expire() {
    if (!up_.load(std::memory_order_relaxed)) {
        return;
    }
    while (expired_ < waiting_.size() &&
           turn_ns_ - waiting_[expired_].sent_ns > options_.command_timeout.count()) {
        Pending& late = waiting_[expired_++];
        if (late.done != nullptr) {
            timeouts_.fetch_add(1, std::memory_order_relaxed);
            const Error why{TENON_TIMEOUT, "Redis did not answer in time"};
            std::exchange(late.done, nullptr)(late.ctx, nullptr, &why);
        }
    }
}

void Client::check() const {
    if (!greeting_fault_.empty()) {
        throw Error{TENON_UNAVAILABLE, greeting_fault_};
    }
    if (greeting_left_ != 0 && turn_ns_ > greeting_until_ns_) {
        throw Error{TENON_UNAVAILABLE, "the server does not answer the greeting"};
    }
    if (!waiting_.empty() &&
        turn_ns_ - std::max(read_ns_, waiting_.front().sent_ns) > options_.dead_after.count()) {
        throw Error{TENON_UNAVAILABLE, "the server is silent"};
    }
}

void Client::keep_alive() {
    if (!up_.load(std::memory_order_relaxed) ||
        turn_ns_ - pinged_ns_ < options_.ping_interval.count()) {
        return;
    }
    pinged_ns_ = turn_ns_;
    if (waiting_.empty()) {
        (void)send({"PING"}, nullptr, nullptr);
    }
}

void Client::drop(const std::string& reason) {
    const bool was_up = up_.load();
    {
        const std::lock_guard lock{mutex_};
        up_.store(false);
        ready_ = false;
        reason_ = reason;
        waiting_.insert(waiting_.end(), queue_.begin(), queue_.end());
        queue_.clear();
        outbox_.clear();
        asleep_ = direct_ = false;
        changed_.notify_all();
    }
    connection_.close();
    greeting_left_ = 0;
    greeting_fault_.clear();
    const Error why{TENON_UNAVAILABLE, "the connection to Redis was lost: " + reason};
    std::deque<Pending> lost;
    lost.swap(waiting_);
    expired_ = 0;
    for (const Pending& one : lost) {
        if (one.done != nullptr) {
            one.done(one.ctx, nullptr, &why);
        }
    }
    if (was_up && listener_ != nullptr) {
        listener_->down(reason, heard_ns_.load());
    }
}

}  // namespace tenon::redis
