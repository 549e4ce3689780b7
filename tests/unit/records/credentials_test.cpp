// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/records/credentials.hpp"

#include "tests/unit/records/records_fixture.hpp"

#include <catch2/catch.hpp>

#include <set>

using tenon::ResealAnswer;
using tenon::ResealRequest;
using tenon::Session;
using tenon::records::OpenCredential;
using tenon::test::RecordsFixture;
namespace json = boost::json;

namespace {

constexpr auto k_ann = RecordsFixture::k_ann;
constexpr auto k_bob = RecordsFixture::k_bob;
constexpr auto k_ops = RecordsFixture::k_ops;

std::string credential(const std::string& label, const std::string& secret = "top-secret") {
    return R"({"exchange":"binance","label":")" + label +
           R"(","api_key":"abcdefghijklmnop-WXYZ","secret":")" + secret + R"("})";
}

std::int64_t store(RecordsFixture& api, std::uint64_t account, const std::string& body) {
    return api.ask(account, "POST /api/exchange-credentials", body, 201).at("id").as_int64();
}

OpenCredential open(RecordsFixture& api, std::uint64_t account, std::int64_t id) {
    OpenCredential out;
    api.backend.storage().read(api.backend.deadline(), [&](Session& s) {
        out = tenon::records::open_credential(
            s, api.secrets, {static_cast<std::int64_t>(account), false}, id
        );
    });
    return out;
}

void sql(RecordsFixture& api, const std::string& text) {
    api.backend.storage().write(api.backend.deadline(), [&](Session& s) { s.execute(text); });
}

ResealAnswer reseal(RecordsFixture& api, std::int64_t limit, const std::string& after = "") {
    ResealAnswer answer;
    api.backend.storage().write(api.backend.deadline(), [&](Session& s) {
        answer = tenon::records::reseal_credentials(s, api.secrets, ResealRequest{limit, after});
    });
    return answer;
}

std::string check(RecordsFixture& api) {
    std::string answer;
    api.backend.storage().read(api.backend.deadline(), [&](Session& s) {
        answer = tenon::records::check_credentials(s, api.secrets, ResealRequest{100, ""});
    });
    return answer;
}

}  // namespace

TEST_CASE("keys of an exchange are kept sealed and never shown", "[records][credentials][S8]") {
    RecordsFixture api;
    const json::value made =
        api.ask(k_ann, "POST /api/exchange-credentials", credential("main"), 201);
    CHECK(made.at("key_hint").as_string() == "WXYZ");
    const std::int64_t id = made.at("id").as_int64();
    const std::string path = "/api/exchange-credentials/" + std::to_string(id);
    for (const std::string& answer :
         {json::serialize(made),
          api.raw(k_ann, "GET " + path).body,
          api.raw(k_ann, "GET /api/exchange-credentials").body,
          api.raw(k_ann, "PATCH " + path, R"({"api_key":"another-key-of-mine","secret":"s2"})")
              .body}) {
        CAPTURE(answer);
        CHECK(answer.find("\"label\":\"main\"") != std::string::npos);
        for (const char* secret : {"top-secret", "abcdefghij", "another-key", "s2\""}) {
            CHECK(answer.find(secret) == std::string::npos);
        }
    }
    const OpenCredential opened = open(api, k_ann, id);
    CHECK(opened.exchange == "binance");
    CHECK(opened.api_key == "another-key-of-mine");
    CHECK(opened.secret == "s2");
    CHECK_FALSE(opened.passphrase);
    api.backend.storage().read(api.backend.deadline(), [&](Session& s) {
        auto row = s.prepare("SELECT api_key_sealed, secret_sealed FROM exchange_credentials");
        REQUIRE(row.step());
        CHECK(row.blob(0).find("another") == std::string::npos);
        CHECK(row.blob(1).find("s2") == std::string::npos);
        while (row.step()) {}
    });
    CHECK(api.ask(k_ann, "DELETE " + path).at("deleted").as_bool());
    CHECK(api.refusal(k_ann, "DELETE " + path) == "not_found ");
    CHECK(api.count("exchange_credentials") == 0);
}

TEST_CASE("a credential is its user's alone", "[records][credentials][S8]") {
    RecordsFixture api;
    const std::string path =
        "/api/exchange-credentials/" + std::to_string(store(api, k_ann, credential("main")));
    CHECK(api.refusal(k_bob, "GET " + path) == "not_found ");
    CHECK(api.refusal(k_bob, "PATCH " + path, R"({"api_key":"k","secret":"s"})") == "not_found ");
    CHECK(api.refusal(k_bob, "DELETE " + path) == "not_found ");
    CHECK(api.ask(k_bob, "GET /api/exchange-credentials").at("data").as_array().empty());
    // An administrator sees that it is there and may take it away, and cannot put other keys in it.
    CHECK(api.refusal(k_ops, "PATCH " + path, R"({"api_key":"k","secret":"s"})") == "not_found ");
    CHECK(api.ask(k_ops, "GET " + path).at("user_id").as_int64() == 16);
    CHECK(api.ask(k_ops, "DELETE " + path).at("deleted").as_bool());
}

TEST_CASE(
    "what is wrong with a credential is named, never its value",
    "[records][credentials][S8]"
) {
    RecordsFixture api;
    const std::string post = "POST /api/exchange-credentials";
    const auto refused = [&](const std::string& body, const std::string& expected) {
        CAPTURE(body);
        CHECK(api.refusal(k_ann, post, body) == expected);
        CHECK(api.raw(k_ann, post, body).body.find("hidden") == std::string::npos);
    };
    refused(R"({"exchange":"x","label":"l","api_key":"hidden"})", "invalid /secret");
    refused(R"({"exchange":"x","label":"l","secret":"hidden"})", "invalid /api_key");
    refused(R"({"exchange":"x","label":"l","api_key":null,"secret":"hidden"})", "invalid /api_key");
    refused(R"({"label":"l","api_key":"k","secret":"hidden"})", "invalid /exchange");
    refused(R"({"exchange":"x","label":"l","api_key":"k","secret":["hidden"]})", "invalid /secret");
    refused(
        R"({"exchange":"x","label":"l","api_key":"k","secret":"hidden)" + std::string(5000, 'x') +
            R"("})",
        "invalid /secret"
    );
    refused(
        R"({"exchange":"x","label":"l","api_key":"k","secret":"hidden","key_hint":"a"})",
        "invalid /key_hint"
    );
    (void)store(api, k_ann, credential("main"));
    refused(credential("main", "hidden"), "rule_broken ");
    CHECK(api.count("exchange_credentials") == 1);
    CHECK(
        api.ask(k_ann, "GET /api/exchange-credentials?exchange=binance")
            .at("data")
            .as_array()
            .size() == 1
    );
    CHECK(api.ask(k_ann, "GET /api/exchange-credentials?label=other").at("data").as_array().empty()
    );
}

TEST_CASE(
    "a sealed value opens in its row, user, exchange and column alone",
    "[records][credentials][S8]"
) {
    RecordsFixture api;
    const std::int64_t one = store(api, k_ann, credential("one")),
                       two = store(api, k_ann, credential("two", "second"));
    CHECK(open(api, k_ann, two).secret == "second");
    const std::string table = "UPDATE exchange_credentials SET ",
                      of_two = " WHERE id = " + std::to_string(two);
    const auto broken = [&](const std::string& set, const std::string& name) {
        CAPTURE(set);
        sql(api, table + set + of_two);
        CHECK_THROWS_WITH(
            open(api, k_ann, two),
            Catch::Contains(std::to_string(two)) && Catch::Contains(name) &&
                !Catch::Contains("second")
        );
        const std::string told = check(api);
        CHECK(told.find("\"checked\":2") != std::string::npos);
        CHECK(told.find("credential " + std::to_string(two) + ", " + name) != std::string::npos);
        CHECK(told.find("credential " + std::to_string(one)) == std::string::npos);
    };
    SECTION("another row's") {
        broken(
            "secret_sealed = (SELECT secret_sealed FROM exchange_credentials WHERE id = " +
                std::to_string(one) + ")",
            "secret"
        );
    }
    SECTION("another column's") {
        broken("secret_sealed = api_key_sealed", "secret");
    }
    SECTION("another exchange's") {
        broken("exchange = 'other'", "api_key");
    }
    SECTION("another user's") {
        sql(api, table + "user_id = 17" + of_two);
        CHECK_THROWS_WITH(open(api, k_bob, two), Catch::Contains("api_key"));
    }
    SECTION("cut") {
        broken("secret_sealed = substr(secret_sealed, 1, 50)", "secret");
    }
}

TEST_CASE(
    "a rotation seals credentials anew, batch by batch, and goes on",
    "[records][credentials][rotation][S8]"
) {
    RecordsFixture api;
    std::vector<std::int64_t> ids;
    for (int i = 0; i < 10; ++i) {
        ids.push_back(store(
            api,
            i % 2 == 0 ? k_ann : k_bob,
            credential("k" + std::to_string(i), "s" + std::to_string(i))
        ));
    }
    CHECK(reseal(api, 0).remaining == 0);
    (void)api.box->rotate();
    CHECK(reseal(api, 0).remaining == 10);
    const ResealAnswer first = reseal(api, 4);
    CHECK(first.resealed == 4);
    CHECK(first.remaining == 6);
    REQUIRE(first.next);
    // Both keys open in between, and what is new stands under the new one.
    for (std::size_t i = 0; i < ids.size(); ++i) {
        CHECK(open(api, i % 2 == 0 ? k_ann : k_bob, ids[i]).secret == "s" + std::to_string(i));
    }
    (void)store(api, k_ann, credential("new"));
    CHECK(reseal(api, 0).remaining == 6);
    // As if the process had been killed: another one on the same folder, from the start.
    api.box.emplace(api.folder.path(), false);
    const ResealAnswer second = reseal(api, 100);
    CHECK(second.resealed == 6);
    CHECK(second.remaining == 0);
    CHECK_FALSE(second.next);
    (void)api.box->finish(api.box->previous());
    for (std::size_t i = 0; i < ids.size(); ++i) {
        CHECK(open(api, i % 2 == 0 ? k_ann : k_bob, ids[i]).secret == "s" + std::to_string(i));
    }
}

TEST_CASE(
    "a value that does not open stops neither the rotation of others nor is it forgotten",
    "[records][credentials][rotation][S8]"
) {
    RecordsFixture api;
    std::vector<std::int64_t> ids;
    for (int i = 0; i < 3; ++i) {
        ids.push_back(store(api, k_ann, credential("k" + std::to_string(i))));
    }
    sql(api,
        "UPDATE exchange_credentials SET secret_sealed = api_key_sealed WHERE id = " +
            std::to_string(ids[1]));
    (void)api.box->rotate();
    std::set<std::string> unreadable;
    std::string after;
    std::int64_t resealed = 0;
    for (int i = 0; i < 10; ++i) {
        const ResealAnswer answer = reseal(api, 1, after);
        resealed += answer.resealed;
        unreadable.insert(answer.unreadable.begin(), answer.unreadable.end());
        if (!answer.next) {
            break;
        }
        after = *answer.next;
    }
    CHECK(resealed == 2);
    CHECK(unreadable == std::set<std::string>{std::to_string(ids[1])});
    CHECK(reseal(api, 0).remaining == 1);
    (void)api.ask(k_ann, "DELETE /api/exchange-credentials/" + std::to_string(ids[1]));
    CHECK(reseal(api, 0).remaining == 0);
    CHECK_THROWS_WITH(reseal(api, 1, "x"), Catch::Contains("args/after"));
}
