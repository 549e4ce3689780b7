// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/records/replays.hpp"
#include "tests/unit/records/records_fixture.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <set>
#include <thread>
#include <vector>

using tenon::test::RecordsFixture;
namespace json = boost::json;

namespace {

constexpr auto k_ann = RecordsFixture::k_ann;
constexpr auto k_bob = RecordsFixture::k_bob;
constexpr auto k_ops = RecordsFixture::k_ops;

std::string trade_log(std::int64_t entry_us, const std::string& strategy = "grid") {
    return R"({"exchange":"internal","account_type":"demo","symbol":"BTCUSDT","side":"buy",)"
           R"("quantity":"0.00150","entry_price":"60000.10","strategy":)" +
           json::serialize(json::string{strategy}) + R"(,"entry_us":)" + std::to_string(entry_us) +
           "}";
}

std::string promo(const std::string& code, int uses_max) {
    return R"({"code":")" + code + R"(","license_type":"basic","duration_days":30,"uses_max":)" +
           std::to_string(uses_max) +
           R"(,"valid_from_us":1767000000000000,"valid_until_us":1768000000000000})";
}

const std::string k_payment =
    R"({"user_id":16,"idempotency_key":"k1","kind":"license","provider":"bank",)"
    R"("provider_reference":"r1","currency":"USD","amount":"29.90","license_type":"basic",)"
    R"("duration_days":30})";

}  // namespace

TEST_CASE(
    "a trade log is written, listed, closed once and seen by its user alone",
    "[records][T7]"
) {
    RecordsFixture api;
    const json::value made = api.ask(k_ann, "POST /api/trade-logs", trade_log(1000), 201);
    CHECK(made.at("quantity").as_string() == "0.0015");
    CHECK(made.at("entry_price").as_string() == "60000.1");
    CHECK(made.at("exit_price").is_null());
    const std::string path = "/api/trade-logs/" + std::to_string(made.at("id").as_int64());
    CHECK(api.ask(k_ann, "GET " + path) == made);
    CHECK(api.refusal(k_bob, "GET " + path) == "not_found ");
    CHECK(api.ask(k_bob, "GET /api/trade-logs").at("data").as_array().empty());
    CHECK(api.refusal(k_bob, "GET /api/trade-logs?user_id=16") == "forbidden ?user_id");
    CHECK(api.ask(k_ops, "GET /api/trade-logs?user_id=16").at("data").as_array().size() == 1);
    const std::string exit =
        R"({"exit_price":"61000","exit_us":2000,"pnl":"-1.49985","exit_reason":"manual"})";
    CHECK(api.refusal(k_bob, "PATCH " + path, exit) == "not_found ");
    CHECK(api.refusal(k_ann, "PATCH " + path, R"({"exit_price":"61000"})") == "rule_broken ");
    CHECK(api.ask(k_ann, "PATCH " + path, exit).at("pnl").as_string() == "-1.49985");
    CHECK(api.refusal(k_ann, "PATCH " + path, exit) == "already_closed ");
}

TEST_CASE("what is wrong with a request is named by member or parameter", "[records][T7]") {
    RecordsFixture api;
    const auto with = [](std::string_view from, std::string_view to) {
        std::string body = trade_log(1000);
        return body.replace(body.find(from), from.size(), to);
    };
    const std::string post = "POST /api/trade-logs";
    CHECK(api.refusal(k_ann, post, "{") == "invalid ");
    CHECK(api.refusal(k_ann, post, "[]") == "invalid ");
    CHECK(api.refusal(k_ann, post, with(R"("buy")", R"("hold")")) == "invalid /side");
    CHECK(api.refusal(k_ann, post, with(R"("60000.10")", "60000.1")) == "invalid /entry_price");
    CHECK(api.refusal(k_ann, post, with("60000.10", "60000.101")) == "invalid /entry_price");
    CHECK(api.refusal(k_ann, post, with("60000.10", "0")) == "invalid /entry_price");
    CHECK(api.refusal(k_ann, post, with("0.00150", "99999999999999999999")) == "invalid /quantity");
    CHECK(api.refusal(k_ann, post, with("BTCUSDT", "NOSUCH")) == "not_found /symbol");
    CHECK(
        api.refusal(k_ann, post, with(R"("entry_us":1000)", R"("entry_us":-1)")) ==
        "invalid /entry_us"
    );
    CHECK(
        api.refusal(k_ann, post, with(R"("exchange")", R"("exchanged")")) == "invalid /exchanged"
    );
    CHECK(
        api.refusal(k_ann, post, with(R"("strategy":"grid")", R"("pnl":null,"pnl":null)")) ==
        "invalid "
    );
    CHECK(api.refusal(k_ann, post, with("grid", R"(a\u0000b)")) == "invalid /strategy");
    CHECK(api.refusal(k_ann, "GET /api/trade-logs?limit=0") == "invalid ?limit");
    CHECK(api.refusal(k_ann, "GET /api/trade-logs?limit=1&limit=2") == "invalid ?limit");
    CHECK(api.refusal(k_ann, "GET /api/trade-logs?cursor=x") == "invalid ?cursor");
    CHECK(api.refusal(k_ann, "GET /api/trade-logs?pnl=1") == "invalid ?pnl");
    CHECK(api.refusal(k_ann, "GET /api/trade-logs?side=%zz") == "invalid ?");
    CHECK(api.refusal(k_ann, "GET /api/trade-logs?strategy=%ff") == "invalid ?strategy");
    CHECK(api.refusal(k_ann, "GET /api/trade-logs/x") == "not_found ");
    CHECK(api.count("trade_logs") == 0);
}

TEST_CASE("a key does what its permissions say", "[records][T7]") {
    RecordsFixture api;
    const std::string news =
        R"({"source":"wire","external_id":"1","title":"t","published_us":1,"sentiment_score":"-0.25"})";
    CHECK(api.refusal(k_ann, "POST /api/news", news) == "forbidden ");
    CHECK(api.ask(k_ops, "POST /api/news", news, 201).at("sentiment_score").as_string() == "-0.25");
    CHECK(api.refusal(k_ops, "POST /api/news", news) == "rule_broken ");
    CHECK(api.ask(k_ann, "GET /api/news?source=wire").at("data").as_array().size() == 1);
    CHECK(api.refusal(k_ann, "GET /api/promo-codes") == "forbidden ");
    CHECK(api.refusal(k_ann, "POST /api/payments", k_payment) == "forbidden ");
    api.may_trade = false;
    CHECK(api.refusal(k_ann, "POST /api/trade-logs", trade_log(1)) == "forbidden ");
    CHECK(api.refusal(k_ops, "POST /api/news", news) == "forbidden ");
    api.may_read = false;
    CHECK(api.refusal(k_ann, "GET /api/news") == "forbidden ");
}

TEST_CASE("an account without a user owns nothing until it writes", "[records][T7]") {
    RecordsFixture api;
    (void)api.ask(k_ops, "POST /api/licenses", R"({"user_id":19,"license_type":"basic"})", 201);
    constexpr std::uint64_t k_accounts[]{RecordsFixture::k_new, RecordsFixture::k_namesake};
    for (const std::uint64_t account : k_accounts) {
        CHECK(api.ask(account, "GET /api/licenses").at("data").as_array().empty());
        CHECK(api.refusal(account, "GET /api/licenses?user_id=19") == "forbidden ?user_id");
        (void)api.ask(account, "PUT /api/settings", R"({"leverage":3})");
        (void)api.ask(account, "PUT /api/settings", R"({"leverage":4})");
        CHECK(api.ask(account, "GET /api/settings").at("leverage").as_int64() == 4);
        CHECK(api.ask(account, "GET /api/licenses").at("data").as_array().empty());
    }
    CHECK(api.count("users") == 6);
    CHECK(api.count("user_settings") == 2);
    CHECK(api.count("user_settings WHERE user_id = 19") == 0);
    CHECK(api.count("users WHERE name IN ('new', 'eve#20')") == 2);
}

TEST_CASE("a user that is switched off gets nothing", "[records][T7]") {
    RecordsFixture api;
    api.backend.storage().write(api.backend.deadline(), [](tenon::Session& s) {
        s.execute("UPDATE users SET enabled = 0 WHERE id = 16");
    });
    CHECK(api.refusal(k_ann, "GET /api/licenses") == "user_disabled ");
    CHECK(api.refusal(k_ann, "PUT /api/settings", "{}") == "user_disabled ");
    CHECK(api.count("user_settings") == 0);
}

TEST_CASE("a signed write counts once while its time is accepted", "[records][T7]") {
    using tenon::records::Replays;
    Replays replays;
    CHECK(replays.remember("a", 100, 50, 2) == Replays::Result::fresh);
    CHECK(replays.remember("a", 100, 100, 2) == Replays::Result::replayed);
    CHECK(replays.remember("b", 90, 60, 2) == Replays::Result::fresh);
    CHECK(replays.remember("c", 120, 90, 2) == Replays::Result::full);
    CHECK(replays.remember("c", 120, 91, 2) == Replays::Result::fresh);
    CHECK(replays.remember("a", 140, 101, 2) == Replays::Result::fresh);
}

TEST_CASE("pages stay as they are while rows are inserted", "[records][T7]") {
    RecordsFixture api;
    for (int i = 0; i < 10; ++i) {
        (void)api.ask(k_ann, "POST /api/trade-logs", trade_log(1000 + i / 2), 201);
    }
    std::vector<std::int64_t> seen;
    std::string cursor;
    do {
        const json::value page = api.ask(k_ann, "GET /api/trade-logs?limit=3" + cursor);
        for (const json::value& row : page.at("data").as_array()) {
            seen.push_back(row.at("id").as_int64());
        }
        (void)api.ask(k_ann, "POST /api/trade-logs", trade_log(5000), 201);
        const json::value& next = page.at("next_cursor");
        cursor = next.is_null() ? "" : "&cursor=" + std::string{next.as_string()};
    } while (!cursor.empty());
    CHECK(seen == std::vector<std::int64_t>{10, 9, 8, 7, 6, 5, 4, 3, 2, 1});
    CHECK(
        api.ask(k_ann, "GET /api/trade-logs?from_us=1001&to_us=1002")
            .at("data")
            .as_array()
            .size() == 4
    );
}

TEST_CASE("a list is whole whatever chunks it is read in", "[records][T7]") {
    RecordsFixture api;
    constexpr int k_rows = 300;  // more than two chunks
    api.backend.storage().write(api.backend.deadline(), [](tenon::Session& s) {
        for (int i = 0; i < k_rows; ++i) {
            s.prepare(
                 "INSERT INTO news_items (source, external_id, title, published_real_ns, "
                 "fetched_real_ns) VALUES ('wire', ?, 't', ?, 1)"
            )
                .bind_all(std::to_string(i), std::int64_t{i / 3})
                .run();
        }
    });
    for (const int limit : {127, 128, 129, 255, 256, 257, 299, 300, 301, 1000}) {
        CAPTURE(limit);
        std::vector<int> seen;
        std::string cursor;
        do {
            const json::value page =
                api.ask(k_ann, "GET /api/news?limit=" + std::to_string(limit) + cursor);
            const json::array& rows = page.at("data").as_array();
            CHECK(static_cast<int>(rows.size()) <= limit);
            for (const json::value& row : rows) {
                seen.push_back(std::stoi(std::string{row.at("external_id").as_string()}));
            }
            const json::value& next = page.at("next_cursor");
            CHECK(next.is_null() == (seen.size() == k_rows));
            cursor = next.is_null() ? "" : "&cursor=" + std::string{next.as_string()};
        } while (!cursor.empty());
        REQUIRE(seen.size() == k_rows);
        for (int i = 0; i < k_rows; ++i) {
            CHECK(seen[static_cast<std::size_t>(i)] == k_rows - 1 - i);
        }
    }
}

TEST_CASE("a broken rule has the same name on every database", "[records][S8]") {
    RecordsFixture api;
    const auto told = [&](const std::string& request, const std::string& body) {
        return api.raw(k_ops, request, body).body;
    };
    const std::string news =
        R"({"source":"wire","external_id":"1","title":"t","published_us":1,"sentiment_score":"0"})";
    (void)api.ask(k_ops, "POST /api/news", news, 201);
    CHECK_THAT(told("POST /api/news", news), Catch::Contains("the rule news_is_kept_once"));
    const std::string model = R"({"name":"m","version":1,"provider":"p","status":"active"})";
    (void)api.ask(k_ops, "POST /api/models", model, 201);
    CHECK_THAT(told("POST /api/models", model), Catch::Contains("the rule model_"));
    CHECK_THAT(
        told("POST /api/models", R"({"name":"m","version":2,"provider":"p","status":"active"})"),
        Catch::Contains("the rule model_registry_active")
    );
    CHECK_THAT(
        told(
            "POST /api/predictions",
            R"({"model_id":77,"symbol":"BTCUSDT","side":"buy","price":"1","confidence_bp":1,)"
            R"("made_us":1,"due_us":2})"
        ),
        Catch::Contains("the rows that are there do not allow it")
    );
}

TEST_CASE("a page ends at its size, and the next one goes on there", "[records][T7]") {
    RecordsFixture api;
    constexpr int k_rows = 100;
    for (int i = 0; i < k_rows; ++i) {
        const std::string n = std::to_string(1'000 + i);
        (void)api.ask(
            k_ops,
            "POST /api/news",
            R"({"source":"wire","external_id":")" + n + R"(","title":"t","summary":")" +
                std::string(16'000, 'x') + R"(","published_us":)" + n + "}",
            201
        );
    }
    std::set<std::int64_t> seen;
    std::string query = "GET /api/news?limit=1000";
    int pages = 0;
    for (bool more = true; more; ++pages) {
        const tenon::records::Answer answer = api.raw(k_ann, query);
        REQUIRE(answer.status == 200);
        CHECK(answer.body.size() < 1'048'576 + 20'000);
        const json::value page = json::parse(answer.body);
        for (const json::value& row : page.at("data").as_array()) {
            CHECK(seen.insert(row.at("id").as_int64()).second);
        }
        more = page.at("next_cursor").is_string();
        if (more) {
            query = "GET /api/news?limit=1000&cursor=" +
                    std::string{page.at("next_cursor").as_string()};
        }
    }
    CHECK(pages == 2);
    CHECK(seen.size() == k_rows);
}

TEST_CASE("settings are kept by member, and a version guards them", "[records][T7]") {
    RecordsFixture api;
    CHECK(api.refusal(k_ann, "GET /api/settings") == "not_found ");
    CHECK(api.ask(k_ann, "PUT /api/settings", R"({"leverage":3})").at("version").as_int64() == 1);
    const json::value second = api.ask(
        k_ann, "PUT /api/settings", R"({"extra":{"a":[1,"x"]},"trading_enabled":true,"version":1})"
    );
    CHECK(second.at("leverage").as_int64() == 3);
    CHECK(second.at("extra") == json::parse(R"({"a":[1,"x"]})"));
    CHECK(
        api.refusal(k_ann, "PUT /api/settings", R"({"leverage":4,"version":1})") ==
        "version_conflict "
    );
    CHECK(api.refusal(k_ann, "PUT /api/settings", R"({"leverage":126})") == "invalid /leverage");
    CHECK(
        api.refusal(k_ann, "PUT /api/settings", R"({"risk_per_trade_bp":900})") == "rule_broken "
    );
    CHECK(api.ask(k_ann, "GET /api/settings") == second);
}

TEST_CASE(
    "a promotion code is redeemed once per user, in its window, into a licence",
    "[records][T7]"
) {
    RecordsFixture api;
    (void)api.ask(k_ops, "POST /api/promo-codes", promo("WELCOME", 5), 201);
    const std::string redeem = "POST /api/promo-codes/redeem";
    const std::string code = R"({"code":"WELCOME"})";
    CHECK_FALSE(
        api.ask(k_ann, "GET /api/licenses/check?license_type=basic").at("licensed").as_bool()
    );
    const json::value license = api.ask(k_ann, redeem, code, 201);
    CHECK(license.at("source").as_string() == "promo");
    CHECK(api.ask(k_ann, "GET /api/licenses/check?license_type=basic").at("licensed").as_bool());
    CHECK(api.refusal(k_ann, redeem, code) == "promo_already_redeemed ");
    CHECK(api.refusal(k_ann, redeem, R"({"code":"NOSUCH"})") == "promo_unknown /code");
    api.now_ns = 1'768'000'000'000'000'000;
    CHECK(api.refusal(k_bob, redeem, code) == "promo_expired ");
    api.now_ns = 1'766'000'000'000'000'000;
    CHECK(api.refusal(k_bob, redeem, code) == "promo_not_yet_valid ");
    api.now_ns = RecordsFixture::k_now_ns;
    (void)api.ask(k_ops, "PATCH /api/promo-codes/1", R"({"is_active":false})");
    CHECK(api.refusal(k_bob, redeem, code) == "promo_inactive ");
    CHECK(api.count("promo_redemptions") == 1);
    CHECK(api.ask(k_ops, "GET /api/promo-codes/1").at("uses").as_int64() == 1);
}

TEST_CASE("of 32 who redeem the last use at once, one gets it", "[records][T7]") {
    RecordsFixture api;
    constexpr int k_clients = 32;
    api.backend.storage().write(api.backend.deadline(), [](tenon::Session& s) {
        for (int i = 0; i < k_clients; ++i) {
            s.prepare("INSERT INTO accounts (id, name) VALUES (?, ?)")
                .bind_all(100 + i, "client" + std::to_string(i))
                .run();
        }
    });
    (void)api.ask(k_ops, "POST /api/promo-codes", promo("LAST", 1), 201);
    std::atomic<int> won{0}, used_up{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < k_clients; ++i) {
        threads.emplace_back([&, i] {
            const auto answer = api.raw(
                100 + static_cast<std::uint64_t>(i),
                "POST /api/promo-codes/redeem",
                R"({"code":"LAST"})"
            );
            won += answer.status == 201 ? 1 : 0;
            used_up += answer.body.find("promo_used_up") != std::string::npos ? 1 : 0;
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    CHECK(won == 1);
    CHECK(used_up == k_clients - 1);
    CHECK(api.count("promo_redemptions") == 1);
    CHECK(api.count("user_licenses") == 1);
}

TEST_CASE("a payment is booked once for its key, whoever repeats it", "[records][T7]") {
    RecordsFixture api;
    (void)api.ask(k_ann, "PUT /api/settings", "{}");  // makes the user
    const json::value first = api.ask(k_ops, "POST /api/payments", k_payment, 201);
    CHECK(first.at("amount").as_string() == "29.9");
    CHECK(first.at("status").as_string() == "booked");
    CHECK(api.ask(k_ops, "POST /api/payments", k_payment, 201) == first);
    std::string other = k_payment;
    other.replace(other.find("29.90"), 5, "29.91");
    CHECK(api.refusal(k_ops, "POST /api/payments", other) == "idempotency_conflict ");
    std::string longer = k_payment;
    longer.replace(longer.find("basic"), 5, "trial");
    CHECK(api.refusal(k_ops, "POST /api/payments", longer) == "idempotency_conflict ");
    std::string fee = k_payment;
    fee.replace(fee.find("\"license\""), 9, "\"fee\"");
    CHECK(api.refusal(k_ops, "POST /api/payments", fee) == "invalid /license_type");
    std::string nobody = k_payment;
    nobody.replace(nobody.find("\"user_id\":16,"), 13, "");
    CHECK(api.refusal(k_ops, "POST /api/payments", nobody) == "invalid /user_id");
    other.replace(other.find("k1"), 2, "k2");
    CHECK(
        api.refusal(k_ops, "POST /api/payments", other) == "rule_broken "
    );  // the bank's reference
    std::set<std::string> bodies;
    std::vector<std::string> answers(16);
    std::vector<std::thread> threads;
    std::string third = k_payment;
    third.replace(third.find("k1"), 2, "k3").replace(third.find("r1"), 2, "r3");
    for (std::string& answer : answers) {
        threads.emplace_back([&] { answer = api.raw(k_ops, "POST /api/payments", third).body; });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    bodies.insert(answers.begin(), answers.end());
    CHECK(bodies.size() == 1);
    CHECK(api.count("payments") == 2);
    CHECK(api.ask(k_ann, "GET /api/payments?idempotency_key=k3").at("data").as_array().size() == 1);
    CHECK(api.ask(k_bob, "GET /api/payments").at("data").as_array().empty());
    const json::value license = api.ask(k_ann, "GET /api/licenses/1");
    CHECK(license.at("end_us").as_int64() == 1767225600000000 + 60 * 86'400'000'000);
}

TEST_CASE("text of an attacker is data in every parameter and member", "[records][T7]") {
    RecordsFixture api;
    const std::vector<std::string> attacks{
        "'; DROP TABLE trade_logs; --",
        "x' OR '1'='1",
        "\"; DELETE FROM users; --",
        "?",
        "$1",
        "1) UNION SELECT key FROM api_credentials --",
        "\\'; --",
        "%27%20OR%201=1"};
    for (const std::string& attack : attacks) {
        CAPTURE(attack);
        const json::value made = api.ask(k_ann, "POST /api/trade-logs", trade_log(1, attack), 201);
        CHECK(made.at("strategy").as_string() == attack);
        std::string encoded;
        for (const char c : attack) {
            constexpr std::string_view k_hex = "0123456789ABCDEF";
            const auto byte = static_cast<unsigned char>(c);
            encoded.append({'%', k_hex[byte / 16], k_hex[byte % 16]});
        }
        for (const tenon::records::Endpoint& endpoint : tenon::records::endpoints()) {
            if (endpoint.operation != tenon::records::Operation::list) {
                continue;
            }
            for (const auto& field : endpoint.resource->fields) {
                const auto answer = api.raw(
                    k_ops, "GET " + endpoint.path + "?" + std::string{field.name} + "=" + encoded
                );
                CHECK(answer.status < 500);
                CHECK((answer.status != 200 || answer.body.find("\"data\":[]") != std::string::npos)
                );
            }
            for (const char* name : {"limit", "cursor", "from_us", "to_us", "user_id"}) {
                CHECK(
                    api.raw(k_ops, "GET " + endpoint.path + "?" + name + "=" + encoded).status ==
                    400
                );
            }
            CHECK(api.raw(k_ops, "GET " + endpoint.path + "/" + attack.substr(1)).status < 500);
        }
        const json::value found = api.ask(k_ann, "GET /api/trade-logs?strategy=" + encoded);
        REQUIRE(found.at("data").as_array().size() == 1);
        CHECK(found.at("data").as_array()[0].at("strategy").as_string() == attack);
    }
    CHECK(api.count("trade_logs") == static_cast<std::int64_t>(attacks.size()));
    CHECK(api.count("users") == 4);
}

TEST_CASE("a prediction is resolved once it is due", "[records][T7]") {
    RecordsFixture api;
    (void)api.ask(k_ops, "POST /api/models", R"({"name":"m","version":1,"provider":"p"})", 201);
    const std::string prediction =
        R"({"model_id":1,"symbol":"BTCUSDT","side":"sell","price":"59000","confidence_bp":7000,)"
        R"("made_us":1000,"due_us":2000})";
    (void)api.ask(k_ops, "POST /api/predictions", prediction, 201);
    CHECK(api.refusal(k_ops, "POST /api/predictions", prediction) == "rule_broken ");
    const std::string patch = "PATCH /api/predictions/1";
    CHECK(
        api.refusal(k_ops, patch, R"({"outcome_price":"1","resolved_us":1999})") == "rule_broken "
    );
    CHECK(
        api.ask(k_ops, patch, R"({"outcome_price":"59500.5","resolved_us":2000})")
            .at("outcome_price")
            .as_string() == "59500.5"
    );
    const std::string signal =
        R"({"symbol":"BTCUSDT","side":"buy","strategy":"s","source":"x","model_id":9,"price":"1",)"
        R"("confidence_bp":1,"time_us":1})";
    CHECK(api.refusal(k_ops, "POST /api/signals", signal) == "rule_broken ");
}
