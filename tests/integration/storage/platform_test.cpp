// SPDX-License-Identifier: Apache-2.0
// Every statement of the platform, on both dialects: the same random inputs, with 64-bit extremes,
// exact decimals, all of Unicode, empty and missing ones, have to give the same answers and the
// same tables. Statements that the plugins' source has and that were never run fail the test.
#include "plugins/trading/engine/projection.hpp"
#include "tests/integration/storage/platform_database.hpp"
#include "tests/integration/storage/platform_source.hpp"
#include "tests/support/fake_instruments.hpp"

#include <boost/json.hpp>
#include <catch2/catch.hpp>

#include <array>
#include <map>
#include <random>

using tenon::Session;
using tenon::records::Resource;
using tenon::test::PlatformDatabase;
using tenon::test::PostgresBackend;
using tenon::test::Source;
using tenon::test::SqliteBackend;
namespace records = tenon::records;

namespace {

using Sqlite = PlatformDatabase<SqliteBackend>;
using Postgres = PlatformDatabase<PostgresBackend>;

const std::vector<const Resource*>& created() {
    static const std::vector<const Resource*> all{
        &records::k_promo_codes,
        &records::k_models,
        &records::k_signals,
        &records::k_predictions,
        &records::k_news,
        &records::k_trade_logs};
    return all;
}

const std::vector<const Resource*>& listed() {
    static const std::vector<const Resource*> all{
        &records::k_promo_codes,
        &records::k_models,
        &records::k_signals,
        &records::k_predictions,
        &records::k_news,
        &records::k_trade_logs,
        &records::k_licenses,
        &records::k_payments,
        &records::k_credentials,
        &records::k_performance,
        &records::k_news_sentiment};
    return all;
}

class Pair {
public:
    explicit Pair(std::uint64_t seed) : source{seed} {}

    // Both answers have to be the same; gives it back.
    std::string ask(
        std::uint64_t account,
        const std::string& method,
        const std::string& path,
        const std::string& query = {},
        const std::string& body = {}
    ) {
        ++asked;
        // Days pass now and then: licences end.
        now_ns += source.draw(40) == 0 ? 3 * 86'400'000'000'000 : 1'000'000;
        const std::string here = told(sqlite, account, method, path, query, body);
        const std::string there = told(postgres, account, method, path, query, body);
        INFO(method << " " << path << "?" << query << " " << body);
        REQUIRE(here == there);
        ++by_status[here.substr(0, 3)];
        return here;
    }

    // Credentials have random ids: "#2" in a path is the third one, -3 in answers.
    template <class Database>
    std::string told(
        Database& database,
        std::uint64_t account,
        const std::string& method,
        std::string path,
        const std::string& query,
        const std::string& body
    ) {
        std::vector<std::string>& ids = database.credential_ids;
        if (const std::size_t at = path.find('#'); at != std::string::npos) {
            const std::size_t which = std::stoul(path.substr(at + 1));
            path = path.substr(0, at) + (which < ids.size() ? ids[which] : "7");
        }
        std::string answer = database.ask(account, method, path, query, body, now_ns);
        if (method == "POST" && path == "/api/exchange-credentials" &&
            answer.compare(0, 3, "201") == 0) {
            ids.push_back(std::to_string(boost::json::parse(answer.substr(4)).at("id").as_int64()));
        }
        // Of two rules that one row breaks, PostgreSQL names the first by name, SQLite by place.
        if (answer.find("\"rule_broken\"") != std::string::npos) {
            return answer.substr(0, answer.find("\"message\""));
        }
        for (std::size_t i = 0; i < ids.size(); ++i) {
            for (std::size_t at = answer.find(ids[i]); at != std::string::npos;
                 at = answer.find(ids[i])) {
                answer.replace(at, ids[i].size(), "-" + std::to_string(i + 1));
            }
        }
        return answer;
    }

    std::uint64_t account() {
        return std::array{
            Sqlite::k_ann, Sqlite::k_bob, Sqlite::k_ops, Sqlite::k_new}[source.draw(4)];
    }

    // All pages of a list.
    void list(const Resource& resource) {
        // A cursor holds an id: those of credentials are random.
        const std::string query =
            &resource == &records::k_credentials ? "limit=1000" : source.query(resource);
        const std::uint64_t who = source.draw(3) == 0 ? account() : Sqlite::k_ops;
        std::string cursor;
        for (int page = 0; page < 4; ++page) {
            const std::string answer =
                ask(who, "GET", "/api/" + std::string{resource.name}, query + cursor);
            if (answer.compare(0, 3, "200") != 0) {
                return;
            }
            const boost::json::value json = boost::json::parse(answer.substr(4));
            rows += json.at("data").as_array().size();
            if (json.at("next_cursor").is_null()) {
                return;
            }
            cursor = "&cursor=" + Source::escaped(std::string{json.at("next_cursor").as_string()});
        }
    }

    void write() {
        const Resource& resource = *created()[source.draw(created().size())];
        const std::string path = "/api/" + std::string{resource.name};
        const std::uint64_t who = resource.create == records::Right::admin && source.draw(20) != 0
                                      ? Sqlite::k_ops
                                      : account();
        if (resource.change != records::Right::none && source.draw(3) == 0) {
            ask(who,
                "PATCH",
                path + "/" + std::to_string(1 + source.draw(12)),
                {},
                source.body(resource, records::k_change));
        } else {
            ask(who, "POST", path, {}, source.body(resource, records::k_create));
        }
    }

    void operate() {
        const std::string user = std::to_string(16 + source.draw(5));
        const std::string type = source.choice("trial|basic|professional|enterprise");
        switch (source.draw(9)) {
            case 0:
                ask(account(),
                    "PUT",
                    "/api/settings",
                    {},
                    source.body(records::k_settings, records::k_change));
                break;
            case 1:
                ask(account(), "GET", "/api/settings");
                break;
            case 2:
                ask(account(), "GET", "/api/licenses/check", "license_type=" + type);
                break;
            case 3:
                ask(Sqlite::k_ops,
                    "POST",
                    "/api/licenses",
                    {},
                    R"({"user_id":)" + user + R"(,"license_type":")" + type + R"(")" +
                        (source.draw(3) == 0
                             ? ""
                             : ",\"duration_days\":" + std::to_string(source.number(1, 3660))) +
                        "}");
                break;
            case 4: {
                const std::string code = "CODE" + std::to_string(source.draw(6));
                ask(Sqlite::k_ops,
                    "POST",
                    "/api/promo-codes",
                    {},
                    R"({"code":")" + code + R"(","license_type":")" + type +
                        R"(","duration_days":30,"uses_max":2,"valid_from_us":0,"valid_until_us":9000000000000000})"
                );
                ask(account(),
                    "POST",
                    "/api/promo-codes/redeem",
                    {},
                    R"({"code":")" + code + R"("})");
                break;
            }
            case 5: {
                const std::string body = R"({"user_id":)" + user + R"(,"idempotency_key":"k)" +
                                         std::to_string(source.draw(12)) + R"(","kind":")" +
                                         (source.draw(2) == 0 ? R"(license","license_type":")" +
                                                                    type + R"(","duration_days":5,)"
                                                              : std::string{R"(deposit",)"}) +
                                         R"("provider":"p","currency":"USDT","amount":")" +
                                         Source::decimal(source.number(1, INT64_MAX), 8) + R"("})";
                ask(Sqlite::k_ops, "POST", "/api/payments", {}, body);
                ask(Sqlite::k_ops, "POST", "/api/payments", {}, body);
                break;
            }
            case 6:
                ask(account(),
                    "POST",
                    "/api/exchange-credentials",
                    {},
                    R"({"exchange":"x)" + std::to_string(source.draw(3)) + R"(","label":"l)" +
                        std::to_string(source.draw(3)) +
                        R"(","api_key":"key-of-some-length","secret":"s"})");
                break;
            case 7:
                ask(account(),
                    "PATCH",
                    "/api/exchange-credentials/#" + std::to_string(source.draw(6)),
                    {},
                    R"({"api_key":"another-key-here","secret":"t","passphrase":"p"})");
                break;
            default:
                ask(account(),
                    "DELETE",
                    "/api/exchange-credentials/#" + std::to_string(source.draw(6)));
                break;
        }
        for (const Resource* resource :
             {&records::k_licenses,
              &records::k_payments,
              &records::k_news,
              &records::k_trade_logs}) {
            if (source.draw(6) == 0) {
                ask(account(),
                    "GET",
                    "/api/" + std::string{resource->name} + "/" + std::to_string(1 + source.draw(8))
                );
            }
        }
    }

    Source source;
    Sqlite sqlite;
    Postgres postgres;
    std::size_t asked = 0, rows = 0;
    std::map<std::string, std::size_t> by_status;
    std::int64_t now_ns = Sqlite::k_now_ns;
};

// Rotations of the sealing key and checks of what opens.
template <class Database>
std::string reseal(Database& database) {
    std::string out;
    database.storage().write(database.backend.deadline(), [&](Session& s) {
        const auto answer =
            records::reseal_credentials(s, database.secrets, tenon::ResealRequest{100, ""});
        out = std::to_string(answer.resealed) + " ";
    });
    database.storage().read(database.backend.deadline(), [&](Session& s) {
        out += records::check_credentials(s, database.secrets, tenon::ResealRequest{100, ""});
    });
    return out;
}

// The projection of a history, and what the engine asks of it.
template <class Database>
std::string project(
    Database& database,
    std::uint32_t seed,
    std::size_t commands,
    tenon::Service<tenon_instruments_1> instruments
) {
    const tenon::test::ProjectionEvents events{seed, commands};
    const tenon::Host host{database.backend.host.raw()};
    tenon::engine::ProjectionOptions options;
    options.instruments = instruments;
    tenon::engine::Projection projection{
        database.storage().service(),
        database.backend.host.exec(),
        host.service<tenon_clock_1>("tenon.clock/1"),
        host.log(),
        options};
    std::string out = std::to_string(projection.load_offset()) + "\n";
    tenon::call_on_reactor(database.backend.host.exec(), 0, [&] {
        for (std::size_t i = 0; i < events.size(); ++i) {
            REQUIRE(projection.enqueue(events.command(i)));
        }
    });
    projection.stop(database.backend.deadline());
    const auto order = [&](const tenon_order& o) {
        out += std::to_string(o.order_id) + " " + std::to_string(o.price) + " " +
               std::to_string(o.quantity) + " " + std::to_string(o.status) + " " +
               std::string{o.client_id.text, o.client_id.length} + "\n";
    };
    std::mt19937 engine{seed};
    const auto random = [&] { return static_cast<std::uint32_t>(engine()); };
    const auto sometimes = [&](std::uint32_t below) {
        return random() % 3 == 0 ? std::int64_t{random() % below} : 0;
    };
    for (int i = 0; i < 120; ++i) {
        auto query = tenon::sized<tenon_order_query>();
        query.account = TENON_ACCOUNT_FIRST + random() % 3;
        query.instrument = static_cast<std::uint32_t>(random() % 3);
        query.which = random() % 2 == 0 ? TENON_ORDERS_OPEN : TENON_ORDERS_ALL;
        query.instrument = query.which == TENON_ORDERS_OPEN && random() % 2 == 0
                               ? TENON_ANY_INSTRUMENT
                               : query.instrument;
        query.limit = 1 + random() % 20;
        query.from_order_id = random() % 3 == 0 ? random() % 200 : 0;
        query.start_real_ns = sometimes(100'000);
        query.end_real_ns = sometimes(200'000);
        for (const tenon_order& one : projection.orders(query)) {
            order(one);
        }
        auto trades = tenon::sized<tenon_trade_query>();
        trades.account = query.account;
        trades.instrument = static_cast<std::uint32_t>(random() % 3);
        trades.order_id = random() % 4 == 0 ? 1 + random() % 100 : 0;
        trades.from_trade_id = random() % 3 == 0 ? 1 + random() % 50 : 0;
        trades.start_real_ns = sometimes(100'000);
        trades.end_real_ns = sometimes(200'000);
        trades.limit = query.limit;
        for (const tenon_trade& t : projection.trades(trades)) {
            out += std::to_string(t.trade_id) + " " + std::to_string(t.price) + " " +
                   std::to_string(t.quote_amount) + " " + std::to_string(t.fee) + "\n";
        }
        tenon_client_id client{};
        const auto found = projection.order(
            query.account,
            random() % 2 == 0 ? TENON_ANY_INSTRUMENT : trades.instrument,
            i % 3 == 0 ? 0 : random() % 100,
            &client
        );
        if (found) {
            order(*found);
        }
    }
    return out;
}

const std::vector<std::string>& tables() {
    static const std::vector<std::string> all{
        "users",
        "accounts",
        "assets",
        "instruments",
        "api_credentials",
        "orders",
        "order_lists",
        "order_list_orders",
        "order_amendments",
        "prevented_matches",
        "trades",
        "balances",
        "ledger_entries",
        "projection_offset",
        "user_settings",
        "user_licenses",
        "promo_codes",
        "promo_redemptions",
        "payments",
        "model_registry",
        "signals",
        "predictions",
        "news_items",
        "trade_logs",
        "mv_portfolio_performance",
        "mv_news_sentiment"};
    return all;
}

}  // namespace

TEST_CASE(
    "every query of the platform answers alike on both dialects",
    "[platform][postgres][S8]"
) {
    const auto seed = Catch::rngSeed();
    INFO("seed " << seed);
    Pair pair{seed + 1};
    // A licence that ends, a new one, and that one for longer: chance may not come to it.
    for (const int days : {0, 3, 0}) {
        pair.now_ns += days * 86'400'000'000'000;
        pair.ask(
            Sqlite::k_ops,
            "POST",
            "/api/licenses",
            {},
            R"({"user_id":16,"license_type":"trial","duration_days":1})"
        );
    }
    for (int i = 0; i < 500; ++i) {
        pair.write();
        if (i % 2 == 0) {
            pair.operate();
        }
        if (i % 3 == 0) {
            pair.list(*listed()[pair.source.draw(listed().size())]);
        }
    }
    CHECK(reseal(pair.sqlite) == reseal(pair.postgres));
    CHECK(pair.sqlite.look_at_sums() == pair.postgres.look_at_sums());
    // First as a server does that knows no instruments, then with a list of them and more events.
    tenon::test::FakeInstruments instruments;
    std::string here, there;
    for (const auto& [commands, list] :
         {std::pair{300U, tenon::Service<tenon_instruments_1>{}},
          std::pair{340U, instruments.service()}}) {
        here += project(pair.sqlite, seed + 2, commands, list);
        there += project(pair.postgres, seed + 2, commands, list);
    }
    CHECK(here == there);
    CHECK(here.size() > 1000);
    for (const std::string& table : tables()) {
        INFO(table);
        // When the row was written is the machine's time.
        const std::string columns = table == "projection_offset" ? "name, sequence, 0" : "*";
        const std::string dump = pair.sqlite.dump(table, columns);
        CHECK(dump == pair.postgres.dump(table, columns));
        CHECK_FALSE(dump.empty());
    }
    WARN(
        "seed " << seed << ", requests " << pair.asked << ", rows listed " << pair.rows
                << ", 201: " << pair.by_status["201"] << ", 200: " << pair.by_status["200"]
    );
    CHECK(pair.rows > 200);
    CHECK(pair.by_status["201"] > 100);
    CHECK(pair.by_status["200"] > 150);
    const auto ran = tenon::test::Recorder::statements();
    std::size_t expected = 0;
    for (const char* file :
         {"trading/records/operations.cpp",
          "trading/records/store.cpp",
          "trading/records/values.cpp",
          "trading/records/credentials.cpp",
          "trading/records/summaries.cpp",
          "trading/engine/projection_sql.cpp",
          "storage/upkeep/views.cpp"}) {
        for (const std::string& sql :
             tenon::test::sql_of(tenon::test::source_dir() + "/plugins/" + file)) {
            ++expected;
            INFO(file << " never ran: " << sql);
            CHECK(std::any_of(ran.begin(), ran.end(), [&](const std::string& one) {
                return one.find(sql) != std::string::npos;
            }));
        }
    }
    CHECK(expected > 40);
}
