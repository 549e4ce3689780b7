// SPDX-License-Identifier: Apache-2.0
#include "sdk/redis/client.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace tenon::redis {
namespace {

constexpr std::size_t k_read_bytes = std::size_t{64} << 10;
constexpr std::int64_t k_ms = 1'000'000;
constexpr std::int64_t k_tick_ns = 50 * k_ms;  // how late a missing answer may be noticed

// Whose thread this is.
thread_local const Client* t_client = nullptr;

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
      wake_fd_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)},
      reader_{options_.limits},
      random_{seed_of(options_.seed)} {
    if (wake_fd_ < 0) {
        throw Error{TENON_UNAVAILABLE, "no eventfd for the client of Redis"};
    }
}

Client::~Client() {
    stop();
    ::close(wake_fd_);
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
    return submit(bytes, 1, done, ctx);
}

bool Client::submit(std::string_view bytes, std::size_t count, Done done, void* ctx) {
    const std::int64_t now = t_client == this ? turn_ns_ : now_ns();
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
        std::size_t written = 0;
        try {
            written = connection_.write(outbox_);
        } catch (const Error&) {
            written = 0;  // the thread will see the same
        }
        outbox_.erase(0, written);
        if (outbox_.empty()) {
            return true;
        }
        direct_ = false;
    }
    asleep_ = false;
    wake();
    return true;
}

std::vector<Answer> Client::call_all(std::span<const Words> commands) {
    if (t_client == this) {
        throw Error{TENON_INTERNAL, "the thread of the client of Redis cannot wait for itself"};
    }
    std::string bytes;
    for (const Words& words : commands) {
        append_command(bytes, words);
    }
    auto* const waiter = new Waiter{commands.size()};
    if (!submit(bytes, commands.size(), &waiter_done, waiter)) {
        waiter->release(commands.size() + 1);
        const std::string why = reason();
        throw Error{
            TENON_UNAVAILABLE,
            is_up() ? "too many commands wait for Redis"
                    : "Redis is not there" + (why.empty() ? why : ": " + why)};
    }
    std::unique_lock lock{waiter->mutex};
    const bool ended = waiter->changed.wait_for(lock, options_.command_timeout, [waiter] {
        return waiter->left == 0;
    });
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

Answer Client::call(const Words& words) {
    return std::move(call_all({&words, 1}).front());
}

// ---- The thread ---------------------------------------------------------------------------------

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
    connection_ = Connection::open(options_.address, options_.connect_timeout, wake_fd_);
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
}

void Client::turn() {
    turn_ns_ = now_ns();
    keep_alive();
    {
        const std::lock_guard lock{mutex_};
        take_queued();
    }
    flush();
    const bool unsent = written_ < writing_.size();
    bool more = false;
    {
        const std::lock_guard lock{mutex_};
        more = !outbox_.empty() && !unsent;
        asleep_ = !more;
        direct_ = asleep_ && !unsent;
    }
    // Who sends while this thread sleeps may write without waking it: it looks for late answers
    // all the same.
    const std::int64_t idle_ns = std::min(
        pinged_ns_ + options_.ping_interval.count() - turn_ns_,
        std::max(options_.command_timeout.count() / 2, k_tick_ns)
    );
    const std::int64_t wait_ns = more                                                ? 0
                                 : waiting_.size() > expired_ || greeting_left_ != 0 ? k_tick_ns
                                                                                     : idle_ns;
    std::array<pollfd, 2> polled{
        {{connection_.fd(), static_cast<short>(unsent ? POLLIN | POLLOUT : POLLIN), 0},
         {wake_fd_, POLLIN, 0}}};
    (void)::poll(polled.data(), polled.size(), poll_ms(wait_ns));
    turn_ns_ = now_ns();
    {
        const std::lock_guard lock{mutex_};
        asleep_ = direct_ = false;
        take_queued();
    }
    if (polled[1].revents != 0) {
        std::uint64_t woken = 0;
        (void)!::read(wake_fd_, &woken, sizeof woken);
    }
    if (polled[0].revents != 0) {
        read_some();
    }
    expire();
    check();
}

void Client::read_some() {
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
    const std::size_t got = connection_.read(buffer_.data() + end_, buffer_.size() - end_);
    if (got == 0) {
        return;
    }
    end_ += got;
    read_ns_ = turn_ns_;
    while (begin_ != end_) {
        const char* const data = buffer_.data() + begin_;
        const Reader::State state = reader_.next(data, end_ - begin_);
        if (state == Reader::State::failed) {
            throw Error{TENON_UNAVAILABLE, "the server breaks RESP3: " + reader_.error()};
        }
        if (state == Reader::State::need_more) {
            break;
        }
        answer(reader_.reply(data));
        begin_ += reader_.consumed();
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
