// SPDX-License-Identifier: Apache-2.0
#include "plugins/console/sessions.hpp"

#include <catch2/catch.hpp>

#include <set>
#include <vector>

using namespace tenon::console;

namespace {

constexpr SessionLimits k_limits{100, 1000, 50};

Principal someone(const std::string& actor) {
    Principal who;
    who.actor = actor;
    who.roles = k_role_viewer;
    return who;
}

}  // namespace

TEST_CASE("a session is found by its token alone", "[console][M5]") {
    Sessions sessions{k_limits};
    const std::string token = sessions.open(someone("user:anna"), 0);
    CHECK(token.size() == 43);
    const Sessions::Session* const found = sessions.find(token, 1, true);
    REQUIRE(found != nullptr);
    CHECK(found->who.actor == "user:anna");
    CHECK(found->csrf.size() == 43);
    CHECK(found->csrf != token);
    CHECK(sessions.find("", 1, true) == nullptr);
    CHECK(sessions.find(token + "A", 1, true) == nullptr);
    CHECK(sessions.find(token.substr(1), 1, true) == nullptr);
}

TEST_CASE("a session ends when it is not used, and at last whatever is done", "[console][M5]") {
    Sessions sessions{k_limits};
    const std::string idle = sessions.open(someone("user:a"), 0);
    CHECK(sessions.find(idle, 99, false) != nullptr);  // a look that is no use
    CHECK(sessions.find(idle, 100, true) == nullptr);
    const std::string busy = sessions.open(someone("user:b"), 0);
    for (std::int64_t now = 50; now < 1000; now += 50) {
        REQUIRE(sessions.find(busy, now, true) != nullptr);
    }
    CHECK(sessions.find(busy, 1000, true) == nullptr);
    CHECK(sessions.size() == 0);
}

TEST_CASE("sessions end by token, by actor and by sweeping, and it is told", "[console][M5]") {
    std::vector<std::uint64_t> ended;
    Sessions sessions{k_limits, [&](const Sessions::Session& s) { ended.push_back(s.id); }};
    const std::string one = sessions.open(someone("user:a"), 0);
    (void)sessions.open(someone("user:b"), 0);
    const std::string other = sessions.open(someone("user:b"), 0);
    const std::string last = sessions.open(someone("user:c"), 50);
    sessions.end(one);
    CHECK(sessions.find(one, 1, true) == nullptr);
    sessions.end_of("user:b");
    CHECK(sessions.find(other, 1, true) == nullptr);
    CHECK(sessions.find(last, 51, false) != nullptr);
    sessions.sweep(150);
    CHECK(sessions.size() == 0);
    CHECK(std::set<std::uint64_t>(ended.begin(), ended.end()).size() == 4);
}

TEST_CASE("sessions are ended by what they are", "[console][M5]") {
    Sessions sessions{k_limits};
    Principal by_key = someone("key:abc");
    by_key.api_key = "abc";
    const std::string key = sessions.open(by_key, 0);
    const std::string user = sessions.open(someone("user:a"), 0);
    sessions.end_if([](const Sessions::Session& session) { return !session.who.api_key.empty(); });
    CHECK(sessions.find(key, 1, true) == nullptr);
    CHECK(sessions.find(user, 1, true) != nullptr);
}

TEST_CASE("the sessions of one actor and of all are bounded", "[console][M5]") {
    Sessions sessions{k_limits};
    const std::string first = sessions.open(someone("user:a"), 0);
    std::string second = sessions.open(someone("user:a"), 1);
    for (std::int64_t i = 2; i < 17; ++i) {
        (void)sessions.open(someone("user:a"), i);
    }
    CHECK(sessions.size() == 16);
    CHECK(sessions.find(first, 20, false) == nullptr);
    CHECK(sessions.find(second, 20, false) != nullptr);
    for (int i = 0; i < 60; ++i) {
        (void)sessions.open(someone("user:" + std::to_string(i)), 30);
    }
    CHECK(sessions.size() == 50);
}

TEST_CASE("secrets are compared whole", "[console][M5]") {
    CHECK(same_secret("abc", "abc"));
    CHECK_FALSE(same_secret("abc", "abd"));
    CHECK_FALSE(same_secret("abc", "ab"));
    CHECK_FALSE(same_secret("", "a"));
    CHECK(random_token() != random_token());
}

TEST_CASE("a role has the rights that it is for, and a key's role is no user's", "[console][M5]") {
    CHECK(rights_of(k_role_viewer) == (k_right_account | k_right_watch));
    CHECK(rights_of(k_role_trader) == (k_right_account | k_right_trade));
    CHECK(rights_of(k_role_operator) == (k_right_watch | k_right_operate));
    CHECK(rights_of(k_role_reader) == k_right_account);
    CHECK(rights_of(k_role_placer) == k_right_trade);
    CHECK(rights_of(0) == 0);
    CHECK(role_of("operator") == k_role_operator);
    CHECK_FALSE(role_of("reader"));
    CHECK_FALSE(role_of("placer"));
    CHECK_FALSE(role_of("admin"));
    Principal who = someone("user:a");
    who.accounts = {{17, "demo"}};
    CHECK(who.may(k_right_watch));
    CHECK_FALSE(who.may(k_right_trade));
    CHECK(who.account("demo")->id == 17);
    CHECK(who.account("fees") == nullptr);
    CHECK(who.account(16) == nullptr);
}
