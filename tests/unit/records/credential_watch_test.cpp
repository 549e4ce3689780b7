// SPDX-License-Identifier: Apache-2.0
#include "plugins/venue/binance/credential_watch.hpp"

#include "tests/unit/records/records_fixture.hpp"

#include <catch2/catch.hpp>

#include <vector>

using tenon::Error;
using tenon::Session;
using tenon::binance_venue::CredentialWatch;
using tenon::binance_venue::Signer;
using tenon::test::RecordsFixture;

namespace {

constexpr auto k_ann = RecordsFixture::k_ann;
constexpr auto k_bob = RecordsFixture::k_bob;

struct Fixture : RecordsFixture {
    CredentialWatch watch{
        {"ann", "binance", "main"},
        backend.storage(),
        secrets,
        [this](std::shared_ptr<const Signer> signer) {
            if (fails) {
                throw Error{TENON_UNAVAILABLE, "the reactor's queue is full"};
            }
            delivered.push_back(std::move(signer));
        }};
    std::vector<std::shared_ptr<const Signer>> delivered;
    bool fails = false;

    std::string look() { return watch.look(backend.deadline()); }

    static std::string body(const std::string& label, const std::string& key) {
        return R"({"exchange":"binance","label":")" + label + R"(","api_key":")" + key +
               R"(","secret":"secret-of-)" + key + R"("})";
    }

    std::string store(std::uint64_t account, const std::string& label, const std::string& key) {
        const auto made = ask(account, "POST /api/exchange-credentials", body(label, key), 201);
        return "/api/exchange-credentials/" + std::to_string(made.at("id").as_int64());
    }

    void sql(const std::string& text) {
        backend.storage().write(backend.deadline(), [&](Session& s) { s.execute(text); });
    }
};

}  // namespace

TEST_CASE("a stored credential is followed from its first to its last key", "[binance][S8][T4]") {
    Fixture f;
    CHECK(f.look() == "there is no credential main of ann for binance");
    (void)f.store(k_bob, "main", "bobs-key");
    (void)f.store(k_ann, "spare", "spare-key");
    CHECK_FALSE(f.look().empty());
    CHECK(f.delivered.empty());

    const std::string path = f.store(k_ann, "main", "first-key");
    CHECK(f.look().empty());
    CHECK(f.look().empty());
    REQUIRE(f.delivered.size() == 1);
    CHECK(f.delivered[0]->api_key() == "first-key");
    CHECK(f.delivered[0]->sign("a=1") == Signer{"first-key", "secret-of-first-key"}.sign("a=1"));

    (void)f.ask(k_ann, "PATCH " + path, R"({"api_key":"first-key","secret":"another"})");
    CHECK(f.look().empty());
    REQUIRE(f.delivered.size() == 2);
    CHECK(f.delivered[1]->sign("a=1") == Signer{"first-key", "another"}.sign("a=1"));

    (void)f.ask(k_ann, "DELETE " + path);
    CHECK_FALSE(f.look().empty());
    CHECK_FALSE(f.look().empty());
    REQUIRE(f.delivered.size() == 3);
    CHECK(f.delivered[2] == nullptr);
}

TEST_CASE("a disabled user's credential signs nothing", "[binance][K9][T4]") {
    Fixture f;
    (void)f.store(k_ann, "main", "the-key");
    CHECK(f.look().empty());
    f.sql("UPDATE users SET enabled = 0 WHERE id = 16");
    CHECK_FALSE(f.look().empty());
    REQUIRE(f.delivered.size() == 2);
    CHECK(f.delivered[1] == nullptr);
    f.sql("UPDATE users SET enabled = 1 WHERE id = 16");
    CHECK(f.look().empty());
    CHECK(f.delivered.size() == 3);
}

TEST_CASE("a credential that is only sealed anew is not told again", "[binance][K9][T4]") {
    Fixture f;
    const std::string path = f.store(k_ann, "main", "the-key");
    CHECK(f.look().empty());
    (void)f.ask(k_ann, "PATCH " + path, R"({"api_key":"the-key","secret":"secret-of-the-key"})");
    CHECK(f.look().empty());
    CHECK(f.delivered.size() == 1);
}

TEST_CASE("what does not open keeps the last key and shows no value", "[binance][K9][T4]") {
    Fixture f;
    const std::string path = f.store(k_ann, "main", "the-key");
    (void)f.store(k_bob, "other", "bobs-key");
    CHECK(f.look().empty());
    f.sql(
        "UPDATE exchange_credentials SET secret_sealed = "
        "(SELECT b.secret_sealed FROM exchange_credentials b WHERE b.user_id = 17) "
        "WHERE user_id = 16"
    );
    const std::string wrong = f.look();
    CHECK(wrong.find("credential " + path.substr(path.rfind('/') + 1)) == 0);
    CHECK(wrong.find("secret-of") == std::string::npos);
    CHECK(wrong.find("the-key") == std::string::npos);
    CHECK(f.delivered.size() == 1);
}

TEST_CASE("a key that could not be handed on is handed on later", "[binance][T4]") {
    Fixture f;
    (void)f.store(k_ann, "main", "the-key");
    f.fails = true;
    CHECK_FALSE(f.look().empty());
    f.fails = false;
    CHECK(f.look().empty());
    CHECK(f.delivered.size() == 1);
    CHECK(f.look().empty());
    CHECK(f.delivered.size() == 1);
}
