// SPDX-License-Identifier: Apache-2.0
// A client of one Redis server: one connection, a thread of its own, pipelining without asking.
//
//   redis::Client client{{.address = redis::parse_url("redis://127.0.0.1:6379")}};
//   client.start();
//   auto answer = client.call({"GET", "key"});           // waits, on a thread that may
//   client.send({"GET", "key"}, &done, ctx);             // does not wait
//
// Commands that come in while the thread is busy go out together at the end of its turn. Who calls
// while nothing else waits writes and reads by itself, without the thread: it is not woken. What
// cannot be sent is refused at once: while there is no connection, or while as many commands as
// allowed wait for their answers. A command whose answer is late fails with TENON_TIMEOUT; the
// server may carry it out nevertheless, and may have when the connection was lost. Nothing is sent
// twice, but a script that the server does not know (see script.hpp).
//
// When nothing is asked the connection is tried with PING. A server that stays silent is given up,
// so is one that breaks the protocol. The connection is made anew after a random part of a time
// that doubles (full jitter). The greeting logs in by HELLO 3 and runs the owner's own commands;
// only then is the client up. The password is in no error and no log.
#pragma once

#include "sdk/redis/address.hpp"
#include "sdk/redis/connection.hpp"
#include "sdk/redis/resp.hpp"

#include <tenon/plugin.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace tenon::redis {

using Words = std::vector<std::string_view>;

struct ClientOptions {
    Address address;
    std::string name = "tenon";  // for CLIENT LIST
    std::chrono::nanoseconds connect_timeout = std::chrono::seconds{1};
    std::chrono::nanoseconds command_timeout = std::chrono::milliseconds{250};
    std::chrono::nanoseconds ping_interval = std::chrono::milliseconds{500};
    std::chrono::nanoseconds dead_after = std::chrono::seconds{1};  // of silence, when asked
    std::chrono::nanoseconds backoff_first = std::chrono::milliseconds{50};
    std::chrono::nanoseconds backoff_max = std::chrono::seconds{2};
    std::size_t waiting_max = 65'536;                // commands without their answer
    std::size_t unsent_max = std::size_t{64} << 20;  // bytes
    Limits limits = {};
    std::vector<std::vector<std::string>> greeting = {};  // commands, each with one answer
    std::vector<std::string> channels = {};               // to subscribe to
    std::uint64_t seed = 0;                               // of the jitter; 0: random
};

struct ClientStats {
    std::uint64_t commands = 0, answers = 0, timeouts = 0, refused = 0, connects = 0, pushes = 0;
};

// Called on the client's thread; does not block, may send, does not throw.
class Listener {
public:
    Listener() = default;
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

    virtual void up() {}

    // heard_ns: when the last command that was answered was sent, by the steady clock. What the
    // server pushed before that has been heard.
    virtual void down(const std::string& reason, std::int64_t heard_ns) {
        (void)reason;
        (void)heard_ns;
    }

    virtual void pushed(const Reply& push) { (void)push; }

protected:
    ~Listener() = default;
};

class Client {
public:
    // `reply` is the answer, which may be an error; nullptr: there is none, and `why` says why.
    // Called once, on the client's thread; does not block and does not throw.
    using Done = void (*)(void* ctx, const Reply* reply, const Error* why);

    explicit Client(ClientOptions options, Listener* listener = nullptr);
    ~Client();
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    // Begins to connect; does not wait for it.
    void start();
    // Answers what waits and ends the thread. Not from the client's own thread.
    void stop() noexcept;

    [[nodiscard]] bool is_up() const noexcept { return up_.load(); }

    // Why it is not up: the last reason; empty before the first attempt has ended.
    [[nodiscard]] std::string reason() const;
    // False when it is not up, and the listener told, after `timeout`.
    [[nodiscard]] bool wait_up(std::chrono::nanoseconds timeout);

    // [any] True: `done` will be called. False: refused, and it will not. done may be nullptr.
    [[nodiscard]] bool send(std::span<const std::string_view> words, Done done, void* ctx);

    [[nodiscard]] bool send(std::initializer_list<std::string_view> words, Done done, void* ctx) {
        return send(std::span{words.begin(), words.size()}, done, ctx);
    }

    // [io] Waits for the answers, at most for the command timeout. Not on the client's thread.
    // Throws Error TENON_UNAVAILABLE, TENON_TIMEOUT. An answer may be an error: see checked().
    [[nodiscard]] std::vector<Answer> call_all(std::span<const Words> commands);
    [[nodiscard]] Answer call(const Words& words);

    [[nodiscard]] ClientStats stats() const noexcept;

    // As in Listener::down, up to now.
    [[nodiscard]] std::int64_t heard_ns() const noexcept { return heard_ns_.load(); }

    [[nodiscard]] static std::int64_t now_ns() noexcept {
        return std::chrono::steady_clock::now().time_since_epoch().count();
    }

private:
    struct Pending {
        Done done;
        void* ctx;
        std::int64_t sent_ns;
    };

    void run();
    void connect();
    void greet();
    static void greeted(void* ctx, const Reply* reply, const Error* why);
    // One turn: writes, waits, reads, answers.
    void turn();
    // Of what may be waited for from now on: the socket's events, by epoll.
    void await(std::uint32_t events) noexcept;
    [[nodiscard]] bool unsent() const noexcept;
    void take_queued();
    void flush();
    void make_room();
    void read_some();
    void tell_all();
    // False: not whole yet. Throws when the server breaks the protocol.
    [[nodiscard]] bool parse();
    void answer(const Reply& reply);
    void expire();
    void keep_alive();
    void drop(const std::string& reason);
    void pause(std::int64_t until_ns);
    void wake() noexcept;
    void check() const;
    // `lead`, unless null, becomes true when the caller shall lead().
    [[nodiscard]] bool
    submit(std::string_view bytes, std::size_t count, Done done, void* ctx, bool* lead);
    // Reads, on the caller's thread, the answers that `ctx` waits for, and nothing else; gives up
    // when something else comes, when none comes for a while, and on a fault: then the thread goes
    // on with it.
    void lead(const void* ctx, std::int64_t until_ns) noexcept;
    [[nodiscard]] bool read_own(const void* ctx);
    [[nodiscard]] bool is_own_thread() const noexcept;
    [[nodiscard]] std::int64_t backoff_ns();

    const ClientOptions options_;
    Listener* const listener_;
    const std::shared_ptr<const net::TlsContext> tls_;
    std::thread thread_;
    int wake_fd_ = -1;
    int epoll_fd_ = -1;
    std::atomic<bool> stopping_{false};
    std::atomic<bool> up_{false};
    std::atomic<std::int64_t> heard_ns_{0};
    std::atomic<std::uint64_t> sent_{0}, answers_{0}, timeouts_{0}, refused_{0}, connects_{0},
        pushes_{0};

    mutable std::mutex mutex_;  // of what follows
    std::condition_variable changed_;
    std::string reason_;
    bool ready_ = false;  // up, and the listener knows
    std::string outbox_;
    std::vector<Pending> queue_;
    std::uint64_t queued_ = 0;  // since the connection was made
    bool asleep_ = false;       // the thread waits for the socket
    bool direct_ = false;       // … and has nothing unsent: who sends may write
    bool led_ = false;          // by a caller, who has what follows meanwhile
    bool wanted_ = false;       // … which the thread waits for

    // The thread's from here on.
    std::uint32_t awaited_ = 0;  // events of the socket
    Connection connection_;
    Reader reader_;
    std::vector<char> buffer_;
    std::size_t begin_ = 0, end_ = 0;  // of what was read and not consumed
    std::string writing_;
    std::size_t written_ = 0;
    std::deque<Pending> waiting_;
    std::size_t expired_ = 0;             // of the first in waiting_: told already
    std::atomic<std::uint64_t> done_{0};  // answered since the connection was made
    std::size_t greeting_left_ = 0;
    std::int64_t greeting_until_ns_ = 0;
    std::string greeting_fault_;
    std::int64_t turn_ns_ = 0;
    std::int64_t read_ns_ = 0;
    std::int64_t pinged_ns_ = 0;
    std::uint32_t attempts_ = 0;
    std::mt19937_64 random_;
};

// The reply itself; throws Error TENON_INTERNAL when it is an error, TENON_UNAVAILABLE when the
// server is loading, full, or a replica.
[[nodiscard]] Reply checked(const Reply& reply);

}  // namespace tenon::redis
