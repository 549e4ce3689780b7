// SPDX-License-Identifier: Apache-2.0
#include "tests/integration/failover/harness.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <map>
#include <poll.h>
#include <random>
#include <stdexcept>
#include <stdlib.h>

namespace tenon::test {
namespace {

constexpr std::int64_t k_deadline_ns = 60'000'000'000;

using Row = std::pair<std::uint32_t, std::uint32_t>;

// "writer:number,writer:number,…" of a server's table, with how often each is there.
std::map<Row, std::uint64_t> rows_of(PostgresServer& server) {
    std::map<Row, std::uint64_t> rows;
    const std::string text = server.execute(
        "SELECT coalesce(string_agg(writer || ':' || number, ','), '') FROM work WHERE writer >= 0"
    );
    for (const char* at = text.c_str(); *at != '\0';) {
        char* end = nullptr;
        const auto writer = static_cast<std::uint32_t>(std::strtoul(at, &end, 10));
        const auto number = static_cast<std::uint32_t>(std::strtoul(end + 1, &end, 10));
        ++rows[{writer, number}];
        at = *end == ',' ? end + 1 : end;
    }
    return rows;
}

}  // namespace

void wait_until(const std::string& what, const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{60};
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) {
            throw std::runtime_error{"waited in vain for " + what};
        }
        ::poll(nullptr, 0, 5);
    }
}

std::string to_text(const Books& b) {
    return "acked=" + std::to_string(b.acked) + " lost=" + std::to_string(b.lost) +
           " duplicated=" + std::to_string(b.duplicated) +
           " in_doubt=" + std::to_string(b.doubted) +
           " resolved=" + std::to_string(b.doubted - std::min(b.doubted, b.unresolved)) +
           " unresolved=" + std::to_string(b.unresolved) + " failed=" + std::to_string(b.failed) +
           " refused_but_done=" + std::to_string(b.refused_but_done) +
           " acked_by_old=" + std::to_string(b.acked_by_old) +
           " accepted_by_old=" + std::to_string(b.accepted_by_old) +
           " reads=" + std::to_string(b.reads) + " on_replicas=" + std::to_string(b.replica_reads) +
           " violations=" + std::to_string(b.violations) +
           " failed_reads=" + std::to_string(b.failed_reads) +
           " gap_ms=" + std::to_string(b.gap_ns / 1'000'000);
}

Harness::Harness(PostgresCluster& cluster, std::uint64_t seed, bool keep_synchronous)
    : cluster_{cluster}, seed_{seed}, keeps_all_{keep_synchronous} {
    std::string pattern = (std::filesystem::temp_directory_path() / "tenon-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) {
        throw std::runtime_error{"cannot make a temporary folder"};
    }
    folder_ = pattern;
    (void)cluster_.server(0).execute("CREATE TABLE work (writer int, number int)");
    (void)cluster_.server(0).execute("CREATE INDEX ON work (writer, number)");
    const Host plugin_host{host_.raw()};
    postgres::Telemetry telemetry;
    telemetry.log = plugin_host.log();
    telemetry.clock = plugin_host.service<tenon_clock_1>("tenon.clock/1");
    telemetry.metrics = plugin_host.service<tenon_metrics_1>("tenon.metrics/1");
    for (std::size_t i = 0; i < cluster_.size(); ++i) {
        settings_.hosts.push_back(cluster_.server(i).folder().string());
    }
    settings_.database = "postgres";
    settings_.user = "postgres";
    settings_.pool_size = 16;
    settings_.pool_min = 1;
    settings_.isolation = "read committed";
    settings_.cluster.fence_file = folder_ + "/postgres.fence";
    settings_.cluster.probe_interval_ms = 200;
    settings_.cluster.probe_timeout_ms = 500;
    database_ = std::make_unique<postgres::Database>(settings_, telemetry);
    storage_ = Storage{Service<tenon_storage_1>{
        static_cast<StorageProvider*>(database_.get()),
        static_cast<const tenon_storage_1*>(StorageProvider::table(*database_))}};
}

Harness::~Harness() {
    join();
    database_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
}

void Harness::read_from_replicas(bool on) {
    settings_.replica_reads = on ? 1 : 0;
    database_->take(settings_);
}

std::int64_t Harness::now_ns() {
    return host_.reactor().now_ns();
}

void Harness::start(std::size_t writers, std::size_t readers) {
    std::mt19937_64 random{seed_};
    for (std::size_t i = 0; i < writers; ++i) {
        threads_.emplace_back([this, i] { run_writer(static_cast<std::uint32_t>(i)); });
    }
    for (std::size_t i = 0; i < readers; ++i) {
        threads_.emplace_back([this, seed = random()] { run_reader(seed); });
    }
}

void Harness::join() {
    stopping_ = true;
    for (std::thread& thread : threads_) {
        thread.join();
    }
    threads_.clear();
}

void Harness::run_writer(std::uint32_t writer) {
    for (std::uint32_t number = 1; !stopping_; ++number) {
        Write write;
        write.writer = writer;
        write.number = number;
        write_one(write);
    }
}

void Harness::write_one(Write& write) {
    const std::string key = "w" + std::to_string(write.writer) + "-" + std::to_string(write.number);
    auto options = sized<tenon_transaction_options>();
    options.intent = TENON_INTENT_WRITE;
    options.deadline_ns = now_ns() + k_deadline_ns;
    options.key = str(key);
    write.known_timeline = database_->hosts().view()->timeline;
    std::string failure;
    try {
        write.position = storage_.transact(options, [&](Session& session) {
            session.prepare("INSERT INTO work (writer, number) VALUES (?, ?)")
                .bind_all(write.writer, write.number)
                .run();
        });
        write.acked = true;
    } catch (const StorageError& e) {
        write.doubted = e.failure() == Failure::in_doubt;
        failure = e.what();
    }
    const std::int64_t ended_ns = now_ns();
    const std::lock_guard lock{mutex_};
    writes_.push_back(write);
    if (!write.acked) {
        (write.doubted ? books_.unresolved : books_.failed) += 1;
        std::cout << "refused: " << failure << std::endl;
        return;
    }
    const auto position = postgres::parse_position(write.position);
    // A write that its key found done has no position.
    books_.acked_by_old += position && position->timeline < write.known_timeline ? 1U : 0U;
    acked_.push_back(writes_.size() - 1);
    ++books_.acked;
    if (last_ack_ns_ != 0) {
        books_.gap_ns = std::max(books_.gap_ns, ended_ns - last_ack_ns_);
    }
    last_ack_ns_ = ended_ns;
}

void Harness::run_reader(std::uint64_t seed) {
    std::mt19937_64 random{seed};
    while (!stopping_) {
        Write write;
        {
            const std::lock_guard lock{mutex_};
            if (!acked_.empty()) {
                // The newest ones most often: those a replica may not have.
                const std::size_t back = std::min(acked_.size() - 1, random() % 8);
                write = writes_[acked_[acked_.size() - 1 - back]];
            }
        }
        if (write.position.empty()) {
            ::poll(nullptr, 0, 1);
            continue;
        }
        check_read(write);
    }
}

void Harness::check_read(const Write& write) {
    auto options = sized<tenon_transaction_options>();
    options.intent = TENON_INTENT_READ;
    options.deadline_ns = now_ns() + k_deadline_ns;
    options.max_staleness_ns = INT64_MAX;
    options.after = str(write.position);
    std::int64_t found = 0;
    std::int64_t replica = 0;
    try {
        (void)storage_.transact(options, [&](Session& session) {
            Statement statement = session.prepare(
                "SELECT count(*), pg_is_in_recovery()::int FROM work WHERE writer = ? AND number = "
                "?"
            );
            statement.bind_all(write.writer, write.number);
            if (statement.step()) {
                found = statement.integer(0);
                replica = statement.integer(1);
            }
        });
    } catch (const StorageError& e) {
        const std::lock_guard lock{mutex_};
        ++books_.failed_reads;
        std::cout << "refused read: " << e.what() << std::endl;
        return;
    }
    const auto position = postgres::parse_position(write.position);
    const bool may_be_lost =
        !keeps_all_ && position->timeline < database_->hosts().view()->timeline;
    const std::lock_guard lock{mutex_};
    ++books_.reads;
    books_.replica_reads += replica != 0 ? 1U : 0U;
    books_.violations += found == 0 && !may_be_lost ? 1U : 0U;
}

Books Harness::books() const {
    const std::lock_guard lock{mutex_};
    return books_;
}

void Harness::wait_acked(std::uint64_t more) {
    const std::uint64_t target = books().acked + more;
    wait_until("acknowledged writes", [&] { return books().acked >= target; });
}

void Harness::wait_reads(std::uint64_t more) {
    const std::uint64_t target = books().reads + more;
    wait_until("reads", [&] { return books().reads >= target; });
}

Books Harness::finish(std::size_t primary, std::size_t old) {
    join();
    Books books = books_;
    books.doubted = database_->doubts();
    settle(books, primary, old);
    return books;
}

void Harness::settle(Books& books, std::size_t primary, std::size_t old) {
    const std::map<Row, std::uint64_t> there = rows_of(cluster_.server(primary));
    for (const auto& [row, count] : there) {
        books.duplicated += count > 1 ? 1U : 0U;
    }
    for (const Write& write : writes_) {
        const bool done = there.count({write.writer, write.number}) != 0;
        books.lost += write.acked && !done ? 1U : 0U;
        books.refused_but_done += !write.acked && !write.doubted && done ? 1U : 0U;
    }
    if (old == primary || !cluster_.server(old).running()) {
        return;
    }
    const std::uint32_t newest = database_->hosts().view()->timeline;
    const std::map<Row, std::uint64_t> there_too = rows_of(cluster_.server(old));
    for (const Write& write : writes_) {
        const bool done = there_too.count({write.writer, write.number}) != 0;
        books.accepted_by_old += done && write.known_timeline >= newest ? 1U : 0U;
    }
}

}  // namespace tenon::test
