// SPDX-License-Identifier: Apache-2.0
// Modes × scenarios. By default the synchronous mode with little load; TENON_LONG=1: all modes,
// more load. TENON_SEED repeats the choices of the readers.
#include "tests/integration/failover/harness.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

namespace tenon::test {
namespace {

struct Mode {
    const char* name;
    const char* synchronous_commit;
    bool waits_for_replica;
};

constexpr Mode k_on{"on", "on", true};
constexpr Mode k_remote_apply{"remote_apply", "remote_apply", true};
constexpr Mode k_async{"async", "local", false};
constexpr std::size_t k_writers = 8;
constexpr std::size_t k_readers = 4;

bool is_long() {
    const char* set = std::getenv("TENON_LONG");
    return set != nullptr && std::string{set} == "1";
}

std::vector<Mode> modes() {
    return is_long() ? std::vector{k_async, k_on, k_remote_apply} : std::vector{k_on};
}

std::uint64_t seed() {
    const char* set = std::getenv("TENON_SEED");
    return set != nullptr ? std::strtoull(set, nullptr, 10) : 20'260'607;
}

std::uint64_t load() {
    return is_long() ? 5'000 : 500;
}

class Scene {
public:
    Scene(const Mode& mode, const std::string& scenario)
        : mode_{mode},
          name_{scenario + " " + mode.name},
          cluster_{{.replicas = 2, .settings = {{"synchronous_commit", mode.synchronous_commit}}}} {
        std::cout << name_ << ": seed " << seed() << std::endl;
        if (mode_.waits_for_replica) {
            cluster_.set_synchronous("ANY 1 (member_1, member_2)");
        }
        harness_ = std::make_unique<Harness>(cluster_, seed(), mode_.waits_for_replica);
        harness_->wait_view([](const postgres::TopologyView& view) {
            return view.primary == 0U && view.hosts[1].health == postgres::Health::up &&
                   view.hosts[2].health == postgres::Health::up;
        });
        harness_->start(k_writers, k_readers);
        harness_->wait_acked(load());
    }

    // Of the replicas the one that received most: every acknowledged commit is on it.
    std::size_t promote_best() {
        const bool second = cluster_.server(1).execute(
                                "SELECT pg_last_wal_receive_lsn() < '" +
                                cluster_.server(2).execute("SELECT pg_last_wal_receive_lsn()") + "'"
                            ) == "t";
        best_ = second ? 2 : 1;
        cluster_.promote(best_);
        cluster_.follow(3 - best_, best_);
        return best_;
    }

    // With the old primary running: it must not find another replica that confirms its commits, so
    // that one changes sides first, and the new primary has all that was confirmed before.
    void hand_over() {
        best_ = 1;
        cluster_.follow(2, best_);
        const std::string written = cluster_.server(0).execute("SELECT pg_current_wal_flush_lsn()");
        cluster_.wait_until(best_, "pg_last_wal_receive_lsn() >= '" + written + "'");
        cluster_.promote(best_);
    }

    void wait_new_timeline() {
        harness_->wait_view([](const postgres::TopologyView& view) {
            return view.timeline == 2 && view.primary;
        });
    }

    Books finish(std::size_t old) {
        const Books books = harness_->finish(best_, old);
        std::cout << name_ << ": " << to_text(books) << std::endl;
        INFO(name_ << ": " << to_text(books));
        CHECK(books.acked >= load());
        CHECK(books.duplicated == 0);
        CHECK(books.unresolved == 0);
        CHECK(books.acked_by_old == 0);
        CHECK(books.refused_but_done == 0);
        CHECK(books.violations == 0);
        CHECK(books.reads > 0);
        if (mode_.waits_for_replica) {
            CHECK(books.lost == 0);
            CHECK(books.accepted_by_old == 0);
        }
        return books;
    }

    Mode mode_;
    std::string name_;
    PostgresCluster cluster_;
    std::unique_ptr<Harness> harness_;
    std::size_t best_ = 0;
};

}  // namespace

TEST_CASE(
    "a killed primary is replaced and nothing is lost or doubled",
    "[postgres][failover][S6]"
) {
    for (const Mode& mode : modes()) {
        Scene scene{mode, "kill"};
        scene.cluster_.server(0).kill_9();
        (void)scene.promote_best();
        scene.wait_new_timeline();
        scene.harness_->wait_acked(load());
        (void)scene.finish(scene.best_);
        const auto view = scene.harness_->database().hosts().view();
        CHECK(view->primary == scene.best_);
        CHECK(view->failovers == 1);
    }
}

TEST_CASE(
    "a promotion in the middle of a burst loses and doubles nothing",
    "[postgres][failover][S6]"
) {
    for (const Mode& mode : modes()) {
        Scene scene{mode, "promote"};
        scene.hand_over();  // the old one runs, and takes writes until it is barred
        scene.wait_new_timeline();
        scene.harness_->wait_acked(load());
        (void)scene.finish(0);
        const auto view = scene.harness_->database().hosts().view();
        CHECK(view->primary == scene.best_);
        CHECK(view->failovers == 1);
    }
}

TEST_CASE("an old primary that wakes up writable takes no write", "[postgres][failover][S6]") {
    for (const Mode& mode : modes()) {
        Scene scene{mode, "freeze"};
        PostgresServer& old = scene.cluster_.server(0);
        old.pause();
        (void)scene.promote_best();
        scene.wait_new_timeline();
        scene.harness_->wait_acked(load());
        old.resume();
        // It does take writes, from who does not know better.
        (void)old.execute("SET synchronous_commit = local; INSERT INTO work VALUES (-1, -1)");
        CHECK(old.execute("SELECT pg_is_in_recovery()") == "f");
        scene.harness_->wait_view([](const postgres::TopologyView& view) {
            return view.hosts[0].reason == postgres::Reason::fenced;
        });
        scene.harness_->wait_acked(load());
        (void)scene.finish(0);
        CHECK(scene.harness_->database().hosts().view()->primary == scene.best_);
    }
}

TEST_CASE("reads go to replicas or not, as the flag of a running server says", "[postgres][K8]") {
    Scene scene{modes().front(), "flag"};
    const auto on_replicas = [&] { return scene.harness_->books().replica_reads; };
    const auto wait_for_some = [&] {
        const std::uint64_t before = on_replicas();
        wait_until("reads on replicas", [&] { return on_replicas() > before; });
    };
    wait_for_some();
    scene.harness_->read_from_replicas(false);
    const std::uint64_t before = on_replicas();
    const std::uint64_t reads = 40 * k_readers;
    scene.harness_->wait_reads(reads);
    // Those that were under way, and some that found the primary busy: not two of three, as else.
    CHECK(on_replicas() - before < reads / 4);
    scene.harness_->read_from_replicas(true);
    wait_for_some();
    (void)scene.finish(0);
}

TEST_CASE("readers see their writes while replicas stand still", "[postgres][failover][S6]") {
    for (const Mode& mode : modes()) {
        if (std::string{mode.name} == "remote_apply") {
            continue;  // its commits wait for the replay that this stops
        }
        Scene scene{mode, "stall"};
        scene.harness_->wait_reads(load());
        CHECK(scene.harness_->books().replica_reads > 0);
        scene.cluster_.pause_replay(1);
        scene.cluster_.pause_replay(2);
        scene.harness_->wait_acked(load());
        scene.harness_->wait_reads(load());
        scene.cluster_.resume_replay(1);
        scene.cluster_.resume_replay(2);
        const std::uint64_t before = scene.harness_->books().replica_reads;
        wait_until("replicas that serve again", [&] {
            return scene.harness_->books().replica_reads > before;
        });
        const Books books = scene.finish(0);
        CHECK(books.lost == 0);
        CHECK(books.doubted == 0);
    }
}

}  // namespace tenon::test
