// SPDX-License-Identifier: Apache-2.0
// Writers and readers on a database of several servers while something happens to its primary, and
// the books on what became of every write.
//
// Each write is one row (writer, number) in a table without a unique key, under an idempotency key
// of its own: what is done twice is there twice. A reader takes a write that was acknowledged, asks
// for rows that are as new as its position, and must find it.
#pragma once

#include "plugins/storage/postgres/database.hpp"
#include "tests/support/fake_host.hpp"
#include "tests/support/postgres_cluster.hpp"

#include <tenon/storage.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace tenon::test {

struct Books {
    std::uint64_t acked = 0;
    std::uint64_t lost = 0;        // acknowledged, and not there in the end
    std::uint64_t duplicated = 0;  // there more than once
    std::uint64_t doubted = 0;     // commits whose outcome got lost on the way
    std::uint64_t unresolved = 0;  // of these, told to the caller
    std::uint64_t failed = 0;      // refused, and not done
    std::uint64_t refused_but_done = 0;
    // Acknowledged by a timeline below the one that was known when the write began.
    std::uint64_t acked_by_old = 0;
    // In the old primary, and begun when the new timeline was known.
    std::uint64_t accepted_by_old = 0;
    std::uint64_t reads = 0;
    std::uint64_t replica_reads = 0;
    std::uint64_t violations = 0;  // a read that did not see its write
    std::uint64_t failed_reads = 0;
    std::int64_t gap_ns = 0;  // the longest time without an acknowledgement
};

[[nodiscard]] std::string to_text(const Books& books);

class Harness {
public:
    Harness(PostgresCluster& cluster, std::uint64_t seed, bool keep_synchronous);
    ~Harness();
    Harness(const Harness&) = delete;
    Harness& operator=(const Harness&) = delete;

    void start(std::size_t writers, std::size_t readers);
    // Waits until so many more writes were acknowledged.
    void wait_acked(std::uint64_t more);
    // Waits until so many more reads were served.
    void wait_reads(std::uint64_t more);
    // Waits until the client's view of the servers is so.
    template <class Condition>
    void wait_view(Condition condition);
    // As a live reload of replica_reads.
    void read_from_replicas(bool on);
    // Ends the load and balances the books against the server that is primary now; `old` is the one
    // that was.
    [[nodiscard]] Books finish(std::size_t primary, std::size_t old);

    [[nodiscard]] Books books() const;

    [[nodiscard]] postgres::Database& database() noexcept { return *database_; }

private:
    struct Write {
        std::uint32_t writer = 0;
        std::uint32_t number = 0;
        std::uint32_t known_timeline = 0;  // when it began
        bool acked = false;
        bool doubted = false;
        std::string position;
    };

    void run_writer(std::uint32_t writer);
    void run_reader(std::uint64_t seed);
    void write_one(Write& write);
    void check_read(const Write& write);
    void join();
    void settle(Books& books, std::size_t primary, std::size_t old);
    [[nodiscard]] std::int64_t now_ns();

    PostgresCluster& cluster_;
    std::uint64_t seed_;
    bool keeps_all_;  // nothing that was acknowledged may be lost
    FakeHost host_;
    std::string folder_;
    postgres::Settings settings_;
    std::unique_ptr<postgres::Database> database_;
    Storage storage_;
    std::vector<std::thread> threads_;
    std::atomic<bool> stopping_{false};
    mutable std::mutex mutex_;
    std::vector<Write> writes_;
    std::vector<std::size_t> acked_;  // in writes_, in the order of the acknowledgements
    std::int64_t last_ack_ns_ = 0;
    Books books_;
};

// Waits, without sleeping blindly, until the condition holds; throws after a minute.
void wait_until(const std::string& what, const std::function<bool()>& condition);

template <class Condition>
void Harness::wait_view(Condition condition) {
    wait_until("a view of the servers", [&] { return condition(*database_->hosts().view()); });
}

}  // namespace tenon::test
