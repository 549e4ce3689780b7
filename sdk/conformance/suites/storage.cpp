// SPDX-License-Identifier: Apache-2.0
// tenon.storage/1: transactions that are whole, values that come back, leases that end. The file is
// long because a suite is read as a whole: one function a check.
#include "sdk/conformance/suites/suites.hpp"

#include <tenon/storage.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <fcntl.h>
#include <limits>
#include <string>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace tenon::suites {
namespace {

constexpr std::int64_t k_ms = 1'000'000;
constexpr std::int64_t k_patience = 20'000 * k_ms;

constexpr std::string_view k_table =
    "CREATE TABLE t (id BIGINT PRIMARY KEY, name TEXT, amount BIGINT, "
    "CONSTRAINT amount_not_negative CHECK (amount >= 0))";

class Database {
public:
    explicit Database(Bench& bench, bool with_table = true)
        : bench_{bench}, instance_{bench.open()} {
        storage_ = Storage{instance_->service<tenon_storage_1>("tenon.storage/1")};
        if (with_table) {
            write([](Session& s) { s.execute(k_table); });
        }
    }

    template <class Body>
    void write(Body&& body) const {
        storage_.write(deadline(), body);
    }

    template <class Body>
    void read(Body&& body) const {
        storage_.read(deadline(), body);
    }

    void insert(std::int64_t id, std::int64_t amount = 0) const {
        write([&](Session& s) {
            s.prepare("INSERT INTO t (id, name, amount) VALUES (?, ?, ?)")
                .bind_all(id, "row", amount)
                .run();
        });
    }

    // The first column of every row.
    [[nodiscard]] std::vector<std::int64_t> numbers(std::string_view sql) const {
        std::vector<std::int64_t> found;
        read([&](Session& s) {
            found.clear();
            auto query = s.prepare(sql);
            while (query.step()) {
                found.push_back(query.integer(0));
            }
        });
        return found;
    }

    [[nodiscard]] std::int64_t count() const { return numbers("SELECT count(*) FROM t").at(0); }

    [[nodiscard]] Lease lease(std::uint32_t intent) const {
        return storage_.lease(intent, deadline());
    }

    [[nodiscard]] std::int64_t deadline(std::int64_t in_ns = k_patience) const {
        return bench_.now_ns() + in_ns;
    }

    [[nodiscard]] const Storage& storage() const noexcept { return storage_; }

    [[nodiscard]] Instance& instance() const noexcept { return *instance_; }

private:
    Bench& bench_;
    std::unique_ptr<Instance> instance_;
    Storage storage_;
};

// The status that the body ends with, and what it said.
struct Ending {
    tenon_status status = TENON_OK;
    bool retryable = false;
    std::string message;
};

template <class Body>
[[nodiscard]] Ending ending_of(Body&& body) {
    try {
        body();
    } catch (const StorageError& e) {
        return {e.code(), e.retryable(), e.what()};
    } catch (const Error& e) {
        return {e.code(), false, e.what()};
    }
    return {};
}

void dialect(Bench& bench) {
    const Database database{bench, false};
    const std::string_view name = database.storage().dialect();
    expect(
        name == "sqlite" || name == "postgres",
        "the dialect is ",
        printable(name),
        ", the contract knows sqlite and postgres"
    );
}

void commit(Bench& bench) {
    const Database database{bench};
    database.insert(1);
    expect(database.count() == 1, "a committed row is not there");
    const Ending ending = ending_of([&] {
        database.write([](Session& s) {
            for (int id = 2; id < 6; ++id) {
                s.prepare("INSERT INTO t (id) VALUES (?)").bind_all(id).run();
            }
            throw Error{TENON_DENIED, "changed my mind"};
        });
    });
    expect_status(ending.status, TENON_DENIED, "a transaction whose function fails");
    expect(database.count() == 1, "a transaction that failed left ", database.count() - 1, " rows");
    const Ending broken = ending_of([&] {
        database.write([](Session& s) {
            s.prepare("INSERT INTO t (id) VALUES (?)").bind_all(7).run();
            s.prepare("INSERT INTO t (id) VALUES (?)").bind_all(1).run();
        });
    });
    expect(broken.status < 0, "a transaction with a duplicate key came through");
    expect(database.count() == 1, "the first half of a batch that failed is there");
}

// Acknowledged ones stay, refused ones are not there, whatever the neighbours do.
void failures_alone(Bench& bench) {
    constexpr std::size_t k_threads = 4;
    constexpr std::int64_t k_each = 40;
    const Database database{bench};
    std::array<std::vector<std::int64_t>, k_threads> kept;
    bench.in_parallel(k_threads, [&](std::size_t thread) {
        Random random{bench.seed() + thread};
        for (std::int64_t i = 0; i < k_each; ++i) {
            const std::int64_t id = static_cast<std::int64_t>(thread) * 1'000 + i;
            const bool fails = random.one_in(3);
            const Ending ending = ending_of([&] {
                database.write([&](Session& s) {
                    s.prepare("INSERT INTO t (id) VALUES (?)").bind_all(id).run();
                    if (fails) {
                        throw Error{TENON_DENIED, "no"};
                    }
                });
            });
            if (ending.status == TENON_OK) {
                kept[thread].push_back(id);
            }
        }
    });
    std::vector<std::int64_t> wanted;
    for (const auto& one : kept) {
        wanted.insert(wanted.end(), one.begin(), one.end());
    }
    const auto found = database.numbers("SELECT id FROM t ORDER BY id");
    expect(
        found == wanted,
        "after ",
        k_threads,
        " threads with failing neighbours ",
        found.size(),
        " rows are there, ",
        wanted.size(),
        " were acknowledged"
    );
}

// Each adds one to what it read, after waiting a moment for another writer to have read as well.
void exclusive(Bench& bench) {
    constexpr std::size_t k_threads = 4;
    constexpr std::int64_t k_each = 15;
    const Database database{bench};
    database.insert(1);
    std::atomic<std::int64_t> acknowledged{0};
    std::atomic<int> inside{0};
    bench.in_parallel(k_threads, [&](std::size_t) {
        for (std::int64_t i = 0; i < k_each; ++i) {
            const Ending ending = ending_of([&] {
                database.write([&](Session& s) {
                    auto query = s.prepare("SELECT amount FROM t WHERE id = 1");
                    if (!query.step()) {
                        throw Error{TENON_CORRUPT, "the row is gone"};
                    }
                    const std::int64_t amount = query.integer(0);
                    (void)query.step();
                    ++inside;
                    (void)bench.wait([&] { return inside > 1; }, 3 * k_ms);
                    --inside;
                    s.prepare("UPDATE t SET amount = ? WHERE id = 1").bind_all(amount + 1).run();
                });
            });
            acknowledged += ending.status == TENON_OK ? 1 : 0;
        }
    });
    const std::int64_t found = database.numbers("SELECT amount FROM t").at(0);
    expect(
        acknowledged > 0 && found == acknowledged,
        acknowledged.load(),
        " transactions added one each, the sum is ",
        found
    );
}

void integers(Bench& bench) {
    const Database database{bench};
    const std::vector<std::int64_t> all{
        INT64_MIN,
        INT64_MIN + 1,
        -(std::int64_t{1} << 53U) - 1,
        -1,
        0,
        1,
        (std::int64_t{1} << 53U) + 1,
        INT64_MAX - 1,
        INT64_MAX};
    database.write([&](Session& s) {
        s.execute("CREATE TABLE i (v BIGINT)");
        for (const std::int64_t one : all) {
            s.prepare("INSERT INTO i (v) VALUES (?)").bind_all(one).run();
        }
    });
    const auto found = database.numbers("SELECT v FROM i ORDER BY v");
    for (std::size_t i = 0; i < all.size(); ++i) {
        expect(
            i < found.size() && found[i] == all[i],
            "stored ",
            all[i],
            ", read ",
            i < found.size() ? std::to_string(found[i]) : "nothing"
        );
    }
}

void values(Bench& bench) {
    Random random{bench.seed()};
    const Database database{bench, false};
    const std::string nul{"a\0b", 3};
    const bool takes_nul = database.storage().dialect() == "sqlite";  // PostgreSQL's text does not
    const std::string words = takes_nul ? nul : "a b";
    const std::string umlauts = "żółć Ünïcode 日本 \xf0\x9f\x8c\x8d";
    std::string blob = random.bytes(70'000);
    blob.append(1, '\0');
    database.write([&](Session& s) {
        s.execute("CREATE TABLE v (id BIGINT, r DOUBLE PRECISION, x TEXT, y TEXT)");
        s.execute(
            database.storage().dialect() == "sqlite" ? "CREATE TABLE b (v BLOB)"
                                                     : "CREATE TABLE b (v BYTEA)"
        );
        s.prepare("INSERT INTO v VALUES (?, ?, ?, ?)").bind_all(1, -1.5e300, words, umlauts).run();
        s.prepare("INSERT INTO b VALUES (?)").bind_all(bytes(blob)).run();
    });
    database.read([&](Session& s) {
        auto query = s.prepare("SELECT r, x, y FROM v");
        expect(query.step(), "the row is not there");
        expect(query.real(0) == -1.5e300, "a real number came back as another");
        expect(
            query.text(1) == words, "stored ", printable(words), ", read ", printable(query.text(1))
        );
        expect(
            query.text(2) == umlauts,
            "stored ",
            printable(umlauts),
            ", read ",
            printable(query.text(2))
        );
        expect(!query.step(), "one row was stored, two are read");
        auto stored = s.prepare("SELECT v FROM b");
        expect(stored.step(), "the blob is not there");
        const tenon_value found = stored.value(0);
        expect(
            found.kind == TENON_VALUE_BLOB && view(found.b) == blob,
            "stored a blob of ",
            blob.size(),
            " bytes, read kind ",
            found.kind,
            " with ",
            found.b.n
        );
    });
}

void empty_and_null(Bench& bench) {
    const Database database{bench};
    database.write([](Session& s) {
        auto insert = s.prepare("INSERT INTO t (id, name, amount) VALUES (?, ?, ?)");
        insert.bind_all(1, "", 0).run();
        insert.bind_all(2, nullptr, nullptr).run();
    });
    database.read([](Session& s) {
        auto query = s.prepare("SELECT name, amount FROM t ORDER BY id");
        expect(query.step(), "the row is not there");
        expect(
            query.value(0).kind == TENON_VALUE_TEXT && query.text(0).empty(),
            "an empty text came back with kind ",
            query.value(0).kind
        );
        expect(!query.is_null(1), "0 came back as NULL");
        expect(query.step(), "the second row is not there");
        expect(query.is_null(0) && query.is_null(1), "NULL came back as something else");
    });
}

void columns(Bench& bench) {
    const Database database{bench};
    database.insert(1, 5);
    database.read([](Session& s) {
        auto query = s.prepare("SELECT id AS first, amount AS second FROM t");
        expect(query.column_count() == 2, "two columns, column_count says ", query.column_count());
        for (const auto& [at, wanted] : {std::pair{0U, "first"}, std::pair{1U, "second"}}) {
            expect(
                query.column_name(at) == wanted,
                "column ",
                at,
                " is called ",
                printable(query.column_name(at)),
                ", expected ",
                wanted
            );
        }
    });
}

void prepared(Bench& bench) {
    const Database database{bench};
    for (int id = 0; id < 5; ++id) {
        database.insert(id);
    }
    database.read([](Session& s) {
        constexpr std::string_view k_sql = "SELECT id FROM t WHERE id >= ? ORDER BY id";
        auto half_read = s.prepare(k_sql);
        half_read.bind(1, 1);
        expect(half_read.step() && half_read.integer(0) == 1, "the first row");
        auto again = s.prepare(k_sql);
        again.bind(1, 3);
        expect(again.step(), "a statement that was prepared again has no row");
        expect(
            again.integer(0) == 3,
            "a statement that was prepared again goes on where the last use stopped: ",
            again.integer(0),
            " instead of 3"
        );
        std::vector<Statement> held;
        for (int i = 0; i < 20; ++i) {
            held.push_back(s.prepare(text("SELECT ", i, " + id FROM t WHERE id = 1")));
        }
        for (std::size_t i = 0; i < held.size(); ++i) {
            expect(
                held[i].step() && held[i].integer(0) == static_cast<std::int64_t>(i) + 1,
                "one of 20 statements that are held at once gives another's row"
            );
        }
    });
}

void bindings_stay(Bench& bench) {
    const Database database{bench};
    database.insert(7);
    database.read([](Session& s) {
        auto query = s.prepare("SELECT id FROM t WHERE id = ?");
        query.bind(1, 7);
        for (int round = 0; round < 3; ++round) {
            expect(query.step(), "round ", round, ": no row: the binding was lost at the end");
            expect(!query.step(), "round ", round, ": more than one row");
        }
    });
}

void changes(Bench& bench) {
    const Database database{bench};
    for (int id = 0; id < 5; ++id) {
        database.insert(id);
    }
    database.write([](Session& s) {
        s.prepare("UPDATE t SET amount = 1 WHERE id < ?").bind_all(3).run();
        expect(s.changes() == 3, "an update of 3 rows: changes says ", s.changes());
        s.prepare("DELETE FROM t WHERE id = ?").bind_all(4).run();
        expect(s.changes() == 1, "a delete of 1 row: changes says ", s.changes());
    });
}

void bulk(Bench& bench) {
    constexpr std::int64_t k_rows = 3'000;
    const Database database{bench};
    const std::array<tenon_str, 3> names{str("id"), str("name"), str("amount")};
    std::vector<tenon_value> rows;
    for (std::int64_t i = 0; i < k_rows; ++i) {
        rows.push_back(value_of(i));
        rows.push_back(i % 2 == 0 ? value_of("name") : null_value());
        rows.push_back(value_of(i * 3));
    }
    database.write([&](Session& s) { s.bulk_insert("t", names, rows); });
    expect(database.count() == k_rows, k_rows, " rows went in, ", database.count(), " are there");
    const auto sums = database.numbers("SELECT sum(amount) FROM t WHERE name IS NULL");
    expect(sums.at(0) == k_rows / 2 * k_rows / 2 * 3, "the rows are not those that went in");
    rows[0] = value_of(k_rows + 1);
    const Ending ending =
        ending_of([&] { database.write([&](Session& s) { s.bulk_insert("t", names, rows); }); });
    expect_status(ending.status, TENON_CONFLICT, "a bulk insert with duplicate keys");
    expect(database.count() == k_rows, "a bulk insert that failed left rows");
}

void constraints(Bench& bench) {
    const Database database{bench};
    database.insert(1);
    const Ending twice = ending_of([&] { database.insert(1); });
    expect_status(twice.status, TENON_CONFLICT, "a duplicate key");
    const Ending negative = ending_of([&] { database.insert(2, -1); });
    expect_status(negative.status, TENON_CONFLICT, "a broken CHECK");
    expect(!negative.message.empty(), "a broken constraint without a message");
    expect(database.count() == 1, "a row that breaks a constraint is there");
}

void not_retryable(Bench& bench) {
    const Database database{bench};
    database.insert(1);
    const Ending twice = ending_of([&] { database.insert(1); });
    expect(twice.status < 0, "a duplicate key came through");
    expect(!twice.retryable, "a duplicate key is called retryable: ", twice.message);
    const Ending nonsense =
        ending_of([&] { database.write([](Session& s) { (void)s.prepare("SELEC 1"); }); });
    expect(nonsense.status < 0, "SELEC came through");
    expect(!nonsense.retryable, "nonsense is called retryable: ", nonsense.message);
}

void bad_sql(Bench& bench) {
    const Database database{bench};
    database.read([](Session& s) {
        for (const char* sql :
             {"SELEC 1",
              "SELECT * FROM nothing_here",
              "SELECT no_column FROM t",
              "SELECT 1; SELECT 2",
              ""}) {
            const Ending ending = ending_of([&] { (void)s.prepare(sql); });
            expect_status(ending.status, TENON_INVALID, text("prepare of ", printable(sql)));
            expect(
                ending.message.find("storage failed with status") == std::string::npos,
                "prepare of ",
                printable(sql),
                " fails without a message"
            );
        }
    });
}

void bad_parameters(Bench& bench) {
    const Database database{bench};
    database.read([](Session& s) {
        auto query = s.prepare("SELECT id FROM t WHERE id = ?");
        for (const std::uint32_t index : {0U, 2U, 4'000'000'000U}) {
            const Ending ending = ending_of([&] { query.bind(index, 1); });
            expect_status(ending.status, TENON_INVALID, text("bind of parameter ", index, " of 1"));
        }
        query.bind(1, 1);
        (void)query.step();
    });
}

void ordered(Bench& bench) {
    Random random{bench.seed()};
    const Database database{bench};
    std::vector<std::int64_t> ids;
    for (int i = 0; i < 60; ++i) {
        ids.push_back(random.between(-1'000'000, 1'000'000) * 2 + i % 2);
    }
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    std::vector<std::int64_t> shuffled = ids;
    for (std::size_t i = shuffled.size() - 1; i > 0; --i) {
        std::swap(shuffled[i], shuffled[random.below(i + 1)]);
    }
    database.write([&](Session& s) {
        for (const std::int64_t id : shuffled) {
            s.prepare("INSERT INTO t (id, amount) VALUES (?, ?)").bind_all(-id, 1).run();
        }
    });
    std::vector<std::int64_t> wanted;
    for (const std::int64_t id : ids) {
        wanted.push_back(-id);
    }
    expect(
        database.numbers("SELECT id FROM t ORDER BY id DESC") == wanted,
        "rows do not come in the order of ORDER BY … DESC"
    );
    std::reverse(wanted.begin(), wanted.end());
    expect(
        database.numbers("SELECT id FROM t ORDER BY id") == wanted,
        "rows do not come in the order of ORDER BY"
    );
}

void snapshot(Bench& bench) {
    const Database database{bench};
    database.insert(1);
    Lease reader = database.lease(TENON_INTENT_READ);
    const auto seen = [&] {
        auto query = reader->prepare("SELECT count(*) FROM t");
        expect(query.step(), "count gives no row");
        const std::int64_t count = query.integer(0);
        (void)query.step();
        return count;
    };
    reader->begin();
    expect(seen() == 1, "a reader sees ", seen(), " rows of 1");
    database.insert(2);
    expect(seen() == 1, "a row that was committed meanwhile is seen within a read transaction");
    reader->commit();
    expect(seen() == 2, "after the read transaction its session still sees the old rows");
}

void read_only(Bench& bench) {
    const Database database{bench};
    const Ending ending = ending_of([&] {
        database.read([](Session& s) { s.prepare("INSERT INTO t (id) VALUES (1)").run(); });
    });
    expect(ending.status < 0, "an INSERT with the intent to read came through");
    expect(database.count() == 0, "an INSERT with the intent to read was refused and is there");
}

void deadline(Bench& bench) {
    constexpr std::int64_t k_soon = 50 * k_ms;
    constexpr std::int64_t k_late = 3'000 * k_ms;
    const Database database{bench};
    Lease writer = database.lease(TENON_INTENT_WRITE);
    writer->begin();
    Ending ending;
    std::int64_t took = 0;
    bool ran = false;
    bench.in_parallel(1, [&](std::size_t) {
        const std::int64_t before = bench.now_ns();
        ending = ending_of([&] {
            database.storage().write(database.deadline(k_soon), [&](Session&) { ran = true; });
        });
        took = bench.now_ns() - before;
    });
    expect_status(ending.status, TENON_TIMEOUT, "a write while another holds the writer");
    expect(!ran, "a transaction that timed out ran");
    expect(
        took < k_late, "a deadline of ", k_soon / k_ms, " ms was kept after ", took / k_ms, " ms"
    );
    bench.in_parallel(1, [&](std::size_t) {
        ending = ending_of([&] {
            (void)database.storage().lease(TENON_INTENT_WRITE, database.deadline(k_soon));
        });
    });
    expect_status(ending.status, TENON_TIMEOUT, "a second lease of the writer");
    writer->rollback();
}

void lease(Bench& bench) {
    const Database database{bench};
    const auto insert = [](Lease& lease, int id) {
        lease->prepare("INSERT INTO t (id) VALUES (?)").bind_all(id).run();
    };
    {
        Lease writer = database.lease(TENON_INTENT_WRITE);
        writer->begin();
        insert(writer, 1);
    }
    expect(database.count() == 0, "a lease that ended inside a transaction committed it");
    {
        Lease writer = database.lease(TENON_INTENT_WRITE);
        writer->begin();
        insert(writer, 2);
        writer->rollback();
        writer->begin();
        insert(writer, 3);
        writer->commit();
    }
    expect(
        database.numbers("SELECT id FROM t") == std::vector<std::int64_t>{3},
        "of one rolled back and one committed row others are there"
    );
    database.insert(4);  // the writer came back
}

void explain(Bench& bench) {
    const Database database{bench};
    database.read([](Session& s) {
        expect(!s.explain("SELECT name FROM t WHERE id = 7").empty(), "the plan is empty");
        const Ending ending = ending_of([&] { (void)s.explain("SELEC"); });
        expect_status(ending.status, TENON_INVALID, "explain of nonsense");
    });
}

void stats(Bench& bench) {
    const Database database{bench};
    const tenon_storage_stats before = database.storage().stats();
    for (int id = 0; id < 5; ++id) {
        database.insert(id);
    }
    const tenon_storage_stats after = database.storage().stats();
    expect(
        after.transactions >= before.transactions + 5,
        "5 transactions later stats count ",
        after.transactions - before.transactions
    );
    expect(after.limit > 0, "stats say that the pool's limit is 0");
    {
        const Lease reader = database.lease(TENON_INTENT_READ);
        const tenon_storage_stats held = database.storage().stats();
        expect(held.in_use > 0, "a session is leased, stats say that none is in use");
        expect(held.leases > before.leases, "stats do not count leases");
    }
    expect(database.storage().stats().in_use == 0, "no session is leased, stats say otherwise");
}

void reopen(Bench& bench) {
    const Database database{bench};
    database.insert(1, 77);
    database.instance().stop();
    database.instance().start();
    expect(
        database.numbers("SELECT amount FROM t") == std::vector<std::int64_t>{77},
        "after stop and start the row is not there"
    );
    database.insert(2);
    expect(database.count() == 2, "after stop and start a write is not there");
}

// Rows that were acknowledged before kill -9 are there afterwards, and no half of a transaction.
void durable(Bench& bench) {
    constexpr std::int64_t k_rows = 60;
    std::array<int, 2> pipe{};
    expect(::pipe2(pipe.data(), O_CLOEXEC) == 0, "cannot make a pipe");
    const pid_t child = ::fork();
    expect(child >= 0, "cannot fork");
    if (child == 0) {
        (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
        try {
            const Database database{bench};
            for (std::int64_t id = 0;; ++id) {
                database.write([&](Session& s) {
                    auto insert = s.prepare("INSERT INTO t (id, amount) VALUES (?, ?)");
                    insert.bind_all(id * 2, id).run();
                    insert.bind_all(id * 2 + 1, id).run();
                });
                if (::write(pipe[1], &id, sizeof id) != static_cast<ssize_t>(sizeof id)) {
                    ::_exit(1);
                }
            }
        } catch (...) {
            ::_exit(1);
        }
    }
    ::close(pipe[1]);
    std::int64_t acknowledged = -1;
    std::int64_t id = 0;
    while (acknowledged < k_rows &&
           ::read(pipe[0], &id, sizeof id) == static_cast<ssize_t>(sizeof id)) {
        acknowledged = id;
    }
    (void)::kill(child, SIGKILL);
    while (::read(pipe[0], &id, sizeof id) == static_cast<ssize_t>(sizeof id)) {
        acknowledged = id;
    }
    ::close(pipe[0]);
    (void)::waitpid(child, nullptr, 0);
    expect(acknowledged >= k_rows, "the writing process ended by itself");
    const Database database{bench, false};
    const auto found = database.numbers("SELECT id FROM t ORDER BY id");
    for (std::size_t i = 0; i < found.size(); ++i) {
        expect(found[i] == static_cast<std::int64_t>(i), "row ", i, " is missing after kill -9");
    }
    const auto rows = static_cast<std::int64_t>(found.size());
    expect(
        rows >= 2 * (acknowledged + 1),
        acknowledged + 1,
        " transactions of 2 rows were acknowledged before kill -9, ",
        rows,
        " rows are there"
    );
    expect(rows % 2 == 0, "half of a transaction is there after kill -9");
    database.insert(-1);
}

constexpr std::string_view k_storage = "tenon.storage/1";

constexpr Check k_checks[] = {
    {"storage.dialect", "the dialect is one of the contract's", k_storage, &checked<&dialect>},
    {"storage.commit", "a transaction is there whole or not at all", k_storage, &checked<&commit>},
    {"storage.failures-alone",
     "a failure touches no neighbour",
     k_storage,
     &checked<&failures_alone>},
    {"storage.exclusive",
     "writers do not lose each other's updates",
     k_storage,
     &checked<&exclusive>},
    {"storage.integers", "64-bit integers are exact", k_storage, &checked<&integers>},
    {"storage.values", "texts, reals and blobs come back whole", k_storage, &checked<&values>},
    {"storage.empty-and-null", "an empty text is not NULL", k_storage, &checked<&empty_and_null>},
    {"storage.columns", "columns have their count and names", k_storage, &checked<&columns>},
    {"storage.prepared", "prepare begins a statement anew", k_storage, &checked<&prepared>},
    {"storage.bindings-stay",
     "bindings stay after the last row",
     k_storage,
     &checked<&bindings_stay>},
    {"storage.changes", "changes counts rows", k_storage, &checked<&changes>},
    {"storage.bulk", "a bulk insert is all rows or none", k_storage, &checked<&bulk>},
    {"storage.constraints", "a broken constraint is a CONFLICT", k_storage, &checked<&constraints>},
    {"storage.not-retryable",
     "what will fail again is not retryable",
     k_storage,
     &checked<&not_retryable>},
    {"storage.bad-sql", "bad SQL is INVALID, with a message", k_storage, &checked<&bad_sql>},
    {"storage.bad-parameters",
     "a parameter that is not there is INVALID",
     k_storage,
     &checked<&bad_parameters>},
    {"storage.ordered", "rows come in the order asked for", k_storage, &checked<&ordered>},
    {"storage.snapshot", "a read transaction keeps its snapshot", k_storage, &checked<&snapshot>},
    {"storage.read-only", "the intent to read does not write", k_storage, &checked<&read_only>},
    {"storage.deadline", "who waits gives up at the deadline", k_storage, &checked<&deadline>},
    {"storage.lease", "a lease that ends rolls back", k_storage, &checked<&lease>},
    {"storage.explain", "explain prints a plan", k_storage, &checked<&explain>},
    {"storage.stats", "stats count", k_storage, &checked<&stats>},
    {"storage.reopen", "the data is there after stop and start", k_storage, &checked<&reopen>},
    {"storage.durable", "what was acknowledged survives kill -9", k_storage, &checked<&durable>},
};

}  // namespace
}  // namespace tenon::suites

namespace tenon::conformance {

std::span<const Check> storage_checks() {
    return suites::k_checks;
}

}  // namespace tenon::conformance
