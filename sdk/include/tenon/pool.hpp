// SPDX-License-Identifier: Apache-2.0
// The one pool of connections, for every storage backend: a Pool<Backend> keeps the connections to
// one host. A backend with several hosts has a pool for each, and chooses between them itself.
//
//   struct Backend {
//       using Connection = MyConnection;             // its destructor closes it
//       std::int64_t now_ns() const noexcept;        // monotonic
//       std::string name() const;                    // for messages: "primary db1:5432", no secret
//       std::unique_ptr<Connection> connect(std::int64_t deadline_ns);   // or throws StorageError
//       Returned give_back(Connection&) noexcept;    // makes it as new, and proves that it is
//       // Asks the host for a sign of life; false: there was none by then.
//       bool ping(Connection&, std::int64_t deadline_ns) noexcept;
//       void cancel(Connection&) noexcept;           // optional, [any]: ends what runs on it, soon
//       void on_event(PoolEvent, const std::string&) noexcept;           // optional: for the log
//   };
//   Pool<Backend> pool{Backend{…}, options};
//   auto lease = pool.lease(deadline_ns, "transact");
//   lease->query(…);                                 // back in the pool with the end of `lease`
//
// The connection returned last is lent first; who waits is served in order of arrival, by the one
// who returns. A connection is closed when it is old, worn or unused, and when the host failed
// after it was opened (`lost`): the pool's epoch then moves on, and all that is older goes when it
// is next touched. The backend says what failed; the pool knows no protocol and retries no
// statement. It does retry connects, with growing waits, until the deadline or until the breaker
// opens; while the breaker is open and nothing is lent that could come back, callers fail at once.
//
// Threads    all functions [any] but those that wait ([io]): lease, maintain, stop. The backend's
//            functions are called concurrently and without a lock, each connection by one thread at
//            a time; only cancel comes beside another call, under the lock, and must not block.
// Errors     StorageError: TENON_TIMEOUT (Failure::timeout) when no connection came free before the
//            deadline; TENON_UNAVAILABLE when the host does not answer (Failure::other_host), too
//            many wait (Failure::retry_transaction) or the pool is closed (Failure::permanent);
//            else what connect threw.
// Units      nanoseconds of the backend's monotonic clock. The wall clock does not matter.
// Lifetime   every lease and every call ends before the pool. stop() tells how many connections are
//            still out: while any is, the pool must be kept.
#pragma once

#include <tenon/assert.hpp>
#include <tenon/pool_queue.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <utility>
#include <vector>

namespace tenon {

template <PoolBackend Backend>
class Pool : private detail::PoolQueue<Backend> {
    using Queue = detail::PoolQueue<Backend>;
    using Node = typename Queue::Node;

public:
    using Connection = typename Backend::Connection;

    // A connection of one's own until the end of this object. Empty once moved from.
    class Lease {
    public:
        Lease(Lease&& other) noexcept
            : pool_{std::exchange(other.pool_, nullptr)}, node_{other.node_} {}

        Lease& operator=(Lease&&) = delete;
        Lease(const Lease&) = delete;
        Lease& operator=(const Lease&) = delete;

        ~Lease() {
            if (pool_ != nullptr) {
                pool_->put_back(*node_);
            }
        }

        [[nodiscard]] explicit operator bool() const noexcept { return pool_ != nullptr; }

        [[nodiscard]] Connection& operator*() const noexcept { return *node_->connection; }

        [[nodiscard]] Connection* operator->() const noexcept { return node_->connection.get(); }

        // The host ended the connection or is not what it was (connection-class failures,
        // "read-only transaction" of a former primary): it is closed when it comes back, and so are
        // all that were opened before.
        void lost() noexcept { node_->lost = true; }

        // Goes on without this object: adopt() makes a lease of it again.
        [[nodiscard]] Connection& detach() noexcept {
            pool_ = nullptr;
            return *node_->connection;
        }

    private:
        friend class Pool;

        Lease() = default;

        Lease(Pool& pool, Node& node) noexcept : pool_{&pool}, node_{&node} {}

        Pool* pool_ = nullptr;
        Node* node_ = nullptr;
    };

    Pool(Backend backend, const PoolOptions& options)
        : Queue{std::move(backend), options},
          ping_after_ns_{options.ping_after_ns},
          jitter_{~options.seed} {}

    ~Pool() {
        (void)stop(0);
        TENON_ASSERT(all_.empty() && opening_ == 0);
    }

    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;

    // [io] Waits until the deadline (INT64_MAX: without end). `owner` and `where` say in messages
    // who has it; 31 bytes of the owner are kept.
    [[nodiscard]] Lease lease(
        std::int64_t deadline_ns,
        std::string_view owner,
        std::source_location where = std::source_location::current()
    ) {
        const LeaseOwner who{owner, where};
        bool again = false;
        for (;;) {
            const std::int64_t now_ns = backend_.now_ns();
            const Grant grant = Queue::take_turn(now_ns, deadline_ns, who, again);
            Node* node = grant.node;
            if (node == nullptr) {
                node = open(grant.epoch, deadline_ns, who);
            } else if (!is_usable(*node, grant.stale, deadline_ns)) {
                node = nullptr;
                if (backend_.now_ns() >= deadline_ns) {
                    throw Queue::late();  // the next one would get no time to answer either
                }
            }
            if (node != nullptr) {
                leases_.fetch_add(1, std::memory_order_relaxed);
                return Lease{*this, *node};
            }
            again = true;
        }
    }

    // The lease of a connection that was given up by detach(); empty when it is not lent.
    [[nodiscard]] Lease adopt(Connection& connection) noexcept {
        const std::lock_guard lock{mutex_};
        const auto at = std::find_if(all_.begin(), all_.end(), [&](const auto& node) {
            return node->lent && node->connection.get() == &connection;
        });
        return at == all_.end() ? Lease{} : Lease{*this, **at};
    }

    // The host failed, or is not what it was: connections opened before now are closed, idle ones
    // at once, others when they come back. The breaker closes: who cannot connect may try at once.
    void invalidate() noexcept {
        const std::int64_t now_ns = backend_.now_ns();
        {
            const std::lock_guard lock{mutex_};
            ++epoch_;
            (void)breaker_.succeeded();
            pass_on_locked(now_ns);
        }
        look_after_idle();
    }

    // [io] To be called about every second, by one thread: asks idle connections for a sign of life
    // where it is due, closes what is old or not needed, opens what the smallest size asks for,
    // tries a host that failed, and counts leases that do not come back.
    void maintain() noexcept {
        count_leaks(options_.leak_after_ns);
        look_after_idle();
        fill();
    }

    // Refuses new leases and those that wait, and closes idle connections. What is lent stays.
    void close() noexcept {
        {
            const std::lock_guard lock{mutex_};
            closed_ = true;
            for (auto* waiter : waiters_) {
                waiter->refused = true;
                waiter->wake.notify_one();
            }
            waiters_.clear();
        }
        look_after_idle();
    }

    // Ends what runs on lent connections, where the backend can.
    void cancel() noexcept {
        if constexpr (requires(Backend & b, Connection & c) { b.cancel(c); }) {
            const std::lock_guard lock{mutex_};
            for (const auto& node : all_) {
                if (node->lent) {
                    backend_.cancel(*node->connection);
                }
            }
        }
    }

    // [io] Closes; waits so long for the leases; cancels those that are left and waits once more.
    // Gives back how many are still out then, which count as leaked.
    [[nodiscard]] std::uint32_t stop(std::int64_t wait_ns) noexcept {
        close();
        if (!wait_empty(wait_ns)) {
            cancel();
            if (!wait_empty(wait_ns)) {
                count_leaks(-1);
            }
        }
        const std::lock_guard lock{mutex_};
        return static_cast<std::uint32_t>(all_.size()) + opening_;
    }

    // The time after which maintain() pings an idle connection, from now on.
    void set_ping_after(std::int64_t ns) noexcept {
        ping_after_ns_.store(ns, std::memory_order_relaxed);
    }

    // The breaker is closed.
    [[nodiscard]] bool is_up() const noexcept {
        const std::lock_guard lock{mutex_};
        return breaker_.state() == CircuitBreaker::State::closed;
    }

    // Since when no connection could be opened; 0: the last one could.
    [[nodiscard]] std::int64_t failing_since_ns() const noexcept {
        const std::lock_guard lock{mutex_};
        return breaker_.failing_since_ns();
    }

    [[nodiscard]] PoolStats stats() const noexcept {
        const std::lock_guard lock{mutex_};
        PoolStats stats = stats_;
        stats.leases = leases_.load(std::memory_order_relaxed);
        stats.limit = options_.size_max;
        stats.open = static_cast<std::uint32_t>(all_.size());
        stats.in_use = lent_;
        stats.idle = static_cast<std::uint32_t>(idle_.size());
        stats.waiting = static_cast<std::uint32_t>(waiters_.size());
        stats.breaker = breaker_.state();
        return stats;
    }

    [[nodiscard]] Backend& backend() noexcept { return backend_; }

private:
    using Lock = typename Queue::Lock;
    using Grant = typename Queue::Grant;
    using Queue::all_, Queue::backend_, Queue::breaker_, Queue::closed_, Queue::epoch_;
    using Queue::idle_, Queue::last_failure_, Queue::lent_, Queue::mutex_, Queue::opening_;
    using Queue::lend_locked, Queue::outage_locked, Queue::pass_on_locked;
    using Queue::options_, Queue::stats_, Queue::waiters_;

    enum class Fate : std::uint8_t { keep, ping, recycle, evict };

    // Of a connection just taken. False: it is gone.
    [[nodiscard]] bool is_usable(Node& node, bool stale, std::int64_t deadline_ns) noexcept {
        Fate fate = Fate::evict;
        if (!stale && node.lent_ns >= node.retire_ns) {
            fate = Fate::recycle;
        } else if (!stale) {
            if (node.lent_ns - node.ok_ns <= options_.validate_after_ns ||
                backend_.ping(*node.connection, ping_deadline(node.lent_ns, deadline_ns))) {
                return true;
            }
            // A ping cut short because its caller had no more time says nothing about the host.
            const std::int64_t now_ns = backend_.now_ns();
            node.lost = now_ns < deadline_ns || now_ns - node.lent_ns >= options_.connect_fault_ns;
        }
        end(node, fate);
        return false;
    }

    // A host has as long to answer a ping as to accept a connection.
    [[nodiscard]] std::int64_t ping_deadline(std::int64_t now_ns, std::int64_t deadline_ns)
        const noexcept {
        return std::min(deadline_ns, now_ns + options_.connect_timeout_ns);
    }

    // With the right to. Null: not now, but waiting may help; else throws.
    [[nodiscard]] Node* open(std::uint64_t epoch, std::int64_t deadline_ns, const LeaseOwner& who) {
        std::unique_ptr<Node> node = connect(epoch, deadline_ns);
        if (!node) {
            return nullptr;
        }
        Node& opened = *node;
        bool restored = false;
        {
            const std::lock_guard lock{mutex_};
            --opening_;
            ++stats_.connects;
            node->retire_ns = node->ok_ns + jitter_.spread(options_.lifetime_ns, 10);
            all_.push_back(std::move(node));
            lend_locked(opened, opened.ok_ns, who);
            restored = breaker_.succeeded();
            pass_on_locked(opened.ok_ns);
        }
        if (restored) {
            tell(PoolEvent::restored, backend_.name() + " answers again");
        }
        return &opened;
    }

    // Null: failed, and the caller may wait. The right to open is used up in any case but success.
    [[nodiscard]] std::unique_ptr<Node> connect(std::uint64_t epoch, std::int64_t deadline_ns) {
        const std::int64_t began_ns = backend_.now_ns();
        const std::int64_t own_ns = began_ns + options_.connect_timeout_ns;
        try {
            if (began_ns >= deadline_ns) {
                throw StorageError{
                    TENON_TIMEOUT,
                    "no time left to connect to " + backend_.name(),
                    Failure::timeout};
            }
            auto node = std::make_unique<Node>();
            node->connection = backend_.connect(std::min(own_ns, deadline_ns));
            TENON_ASSERT(node->connection);
            node->epoch = epoch;
            node->ok_ns = backend_.now_ns();
            return node;
        } catch (const StorageError& e) {
            // One that ended soon because its caller had no more time says nothing about the host.
            const bool fault = e.failure() != Failure::timeout ||
                               backend_.now_ns() - began_ns >= options_.connect_fault_ns;
            const bool may_pass = e.retryable() || (fault && e.failure() == Failure::timeout);
            if (connect_failed(e.what(), fault, may_pass ? deadline_ns : INT64_MIN)) {
                return nullptr;
            }
            throw;
        } catch (const std::exception& e) {
            (void)connect_failed(e.what(), true, INT64_MIN);
            throw;
        }
    }

    // True: a later try, or what is lent, may serve one who has until the deadline.
    bool connect_failed(const char* why, bool fault, std::int64_t deadline_ns) {
        const std::int64_t now_ns = backend_.now_ns();
        std::string outage;
        bool worth_waiting = false;
        {
            const std::lock_guard lock{mutex_};
            --opening_;
            if (!fault) {
                breaker_.abandoned();
            } else {
                ++stats_.connect_failures;
                last_failure_ = why;
                if (breaker_.failed(now_ns)) {
                    outage = outage_locked(now_ns);
                }
            }
            const bool soon = breaker_.state() == CircuitBreaker::State::closed &&
                              breaker_.retry_at_ns() < deadline_ns;
            worth_waiting = !closed_ && now_ns < deadline_ns && (soon || !all_.empty());
            if (!worth_waiting) {
                pass_on_locked(now_ns);
            }
            drained_.notify_all();
        }
        if (!outage.empty()) {
            tell(PoolEvent::cut_off, outage);
        }
        return worth_waiting;
    }

    void put_back(Node& node) noexcept {
        const Returned found = node.lost ? Returned::lost : backend_.give_back(*node.connection);
        const std::int64_t now_ns = backend_.now_ns();
        {
            const std::lock_guard lock{mutex_};
            const std::int64_t held_ns = now_ns - node.lent_ns;
            stats_.hold_total_ns += held_ns;
            stats_.hold_max_ns = std::max(stats_.hold_max_ns, held_ns);
            stats_.resets += found == Returned::reset ? 1 : 0;
            node.leaked = false;
            node.lost = found == Returned::lost;
            Fate fate = Fate::evict;
            const bool usable = found <= Returned::reset || found == Returned::worn;
            if (!closed_ && node.epoch == epoch_ && usable) [[likely]] {
                const bool worn = found == Returned::worn || node.uses >= options_.uses_max ||
                                  now_ns >= node.retire_ns;
                fate = worn ? Fate::recycle : Fate::keep;
            }
            if (fate == Fate::keep) [[likely]] {
                node.lent = false;
                --lent_;
                node.ok_ns = now_ns;
                node.idle_since_ns = now_ns;
                idle_.push_back(&node);
                if (!waiters_.empty()) {
                    pass_on_locked(now_ns);
                }
                return;
            }
            end_locked(node, fate);
        }
        close_node(node);
    }

    // Of a connection that is not idle.
    void end(Node& node, Fate fate) noexcept {
        {
            const std::lock_guard lock{mutex_};
            end_locked(node, fate);
        }
        close_node(node);
    }

    void end_locked(Node& node, Fate fate) noexcept {
        lent_ -= node.lent ? 1 : 0;
        node.lent = false;
        (fate == Fate::recycle ? stats_.recycled : stats_.evicted) += 1;
        if (node.lost && node.epoch == epoch_) {
            ++epoch_;
        }
    }

    // Neither idle nor lent any more. It counts until the host has seen it go.
    void close_node(Node& node) noexcept {
        node.connection.reset();
        const std::int64_t now_ns = backend_.now_ns();
        const std::lock_guard lock{mutex_};
        std::erase_if(all_, [&](const auto& other) { return other.get() == &node; });
        pass_on_locked(now_ns);
        drained_.notify_all();
    }

    [[nodiscard]] Fate fate_of_idle_locked(const Node& node, std::int64_t now_ns) const noexcept {
        const std::int64_t idle_ns = now_ns - node.idle_since_ns;
        if (closed_ || node.epoch != epoch_) {
            return Fate::evict;
        }
        if (now_ns >= node.retire_ns ||
            (idle_ns > options_.idle_max_ns && all_.size() > options_.size_min)) {
            return Fate::recycle;
        }
        const std::int64_t quiet_ns = now_ns - node.ok_ns;
        return quiet_ns >= ping_after_ns_.load(std::memory_order_relaxed) ? Fate::ping : Fate::keep;
    }

    // The longest idle first; what is being looked after is out of the pool meanwhile.
    void look_after_idle() noexcept {
        Lock lock{mutex_};
        const std::uint64_t round = ++round_;
        for (;;) {
            const std::int64_t now_ns = backend_.now_ns();
            Fate fate = Fate::keep;
            const auto at = std::find_if(idle_.begin(), idle_.end(), [&](Node* node) {
                if (node->round < round) {
                    node->round = round;
                    fate = fate_of_idle_locked(*node, now_ns);
                }
                return fate != Fate::keep;
            });
            if (at == idle_.end()) {
                return;
            }
            Node& node = **at;
            idle_.erase(at);
            if (fate == Fate::ping) {
                lock.unlock();
                node.lost = !backend_.ping(*node.connection, ping_deadline(now_ns, INT64_MAX));
                lock.lock();
                fate = node.lost || closed_ || node.epoch != epoch_ ? Fate::evict : Fate::keep;
            }
            if (fate == Fate::keep) {
                node.ok_ns = backend_.now_ns();
                const auto after = [&](const Node* other) {
                    return other->idle_since_ns > node.idle_since_ns;
                };
                idle_.insert(std::find_if(idle_.begin(), idle_.end(), after), &node);
                pass_on_locked(node.ok_ns);
                continue;
            }
            lock.unlock();
            end(node, fate);
            lock.lock();
        }
    }

    // Up to the smallest size; and one when the breaker is not closed, to see whether it may be.
    void fill() noexcept {
        for (;;) {
            std::uint64_t epoch = 0;
            {
                const std::int64_t now_ns = backend_.now_ns();
                const std::lock_guard lock{mutex_};
                const std::size_t open = all_.size() + opening_;
                const bool down = breaker_.failures() != 0;
                if (closed_ || open >= options_.size_max || (open >= options_.size_min && !down) ||
                    breaker_.ask(now_ns) != CircuitBreaker::Answer::go) {
                    return;
                }
                breaker_.begin(now_ns);
                ++opening_;
                epoch = epoch_;
            }
            if (!fill_one(epoch)) {
                return;
            }
        }
    }

    // A failure is kept by the breaker and in connect_failures.
    [[nodiscard]] bool fill_one(std::uint64_t epoch) noexcept {
        Node* node = nullptr;
        const LeaseOwner who{"maintain", std::source_location::current()};
        (void)guard(nullptr, [&] { node = open(epoch, INT64_MAX, who); });
        if (node != nullptr) {
            put_back(*node);
            return true;
        }
        const std::int64_t now_ns = backend_.now_ns();
        const std::lock_guard lock{mutex_};
        pass_on_locked(now_ns);
        return false;
    }

    // Each lease once. -1: all that are out.
    void count_leaks(std::int64_t held_longer_ns) noexcept {
        const std::int64_t now_ns = backend_.now_ns();
        std::vector<std::string> texts;
        {
            const std::lock_guard lock{mutex_};
            for (const auto& node : all_) {
                const std::int64_t held_ns = now_ns - node->lent_ns;
                if (node->lent && !node->leaked && held_ns > held_longer_ns) {
                    node->leaked = true;
                    ++stats_.leaks;
                    texts.push_back(
                        backend_.name() + ": held for " + detail::seconds(held_ns) + " by " +
                        node->owner.text()
                    );
                }
            }
        }
        for (const std::string& text : texts) {
            tell(PoolEvent::leaked, text);
        }
    }

    [[nodiscard]] bool wait_empty(std::int64_t wait_ns) noexcept {
        Lock lock{mutex_};
        const std::chrono::nanoseconds wait{std::min(wait_ns, detail::k_longest_wait_ns)};
        return drained_.wait_for(lock, wait, [&] { return all_.empty() && opening_ == 0; });
    }

    void tell(PoolEvent event, const std::string& text) noexcept {
        if constexpr (requires(Backend & b) { b.on_event(event, text); }) {
            backend_.on_event(event, text);
        }
    }

    std::atomic<std::int64_t> ping_after_ns_;
    std::atomic<std::uint64_t> leases_{0};
    std::condition_variable drained_;
    std::uint64_t round_ = 0;
    Jitter jitter_;
};

}  // namespace tenon
