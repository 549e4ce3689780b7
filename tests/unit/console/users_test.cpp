// SPDX-License-Identifier: Apache-2.0
// Users of the console in a database: on SQLite, and in tests/integration/console on PostgreSQL.
#include "plugins/console/users.hpp"

#include "plugins/console/roles.hpp"
#include "tests/unit/storage/backend.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <fstream>
#include <sodium.h>
#include <sstream>

using namespace tenon;
using namespace tenon::console;
using Catch::Contains;

namespace {

constexpr PasswordCost k_least{1, 8192};  // argon2id's least

template <class Backend>
struct Database {
    Database() : store{backend.storage(), k_least} {
        REQUIRE(sodium_init() >= 0);
        const char* const source = std::getenv("TENON_SOURCE_DIR");
        REQUIRE(source != nullptr);
        std::ifstream file{
            std::string{source} + "/migrations/0008_console_users." +
            std::string{backend.storage().dialect()} + ".up.sql"};
        std::ostringstream sql;
        sql << file.rdbuf();
        REQUIRE(!sql.str().empty());
        backend.storage().write(deadline(), [&](Session& session) { session.execute(sql.str()); });
    }

    [[nodiscard]] std::int64_t deadline() { return backend.deadline(); }

    Backend backend;
    UserStore store;
};

User user(std::string name) {
    User made;
    made.name = std::move(name);
    made.roles = k_role_trader | k_role_viewer;
    made.accounts = {"demo", "second"};
    made.created_real_ns = 5;
    made.updated_real_ns = 5;
    return made;
}

}  // namespace

TEMPLATE_TEST_CASE(
    "a user signs in with his password alone",
    "[console][M5]",
    TENON_STORAGE_BACKENDS
) {
    Database<TestType> db;
    db.store.add(user("anna"), "correct horse", db.deadline());
    const auto found = db.store.sign_in("anna", "correct horse", db.deadline());
    REQUIRE(found);
    CHECK(found->roles == (k_role_trader | k_role_viewer));
    CHECK(found->accounts == std::vector<std::string>{"demo", "second"});
    CHECK_FALSE(db.store.sign_in("anna", "correct horsf", db.deadline()));
    CHECK_FALSE(db.store.sign_in("anna", "", db.deadline()));
    CHECK_FALSE(db.store.sign_in("nobody", "correct horse", db.deadline()));
    CHECK_FALSE(db.store.sign_in("' OR 1=1 --", "correct horse", db.deadline()));
}

TEMPLATE_TEST_CASE(
    "users are changed, and who is not there is told",
    "[console][M5]",
    TENON_STORAGE_BACKENDS
) {
    Database<TestType> db;
    db.store.add(user("anna"), "one", db.deadline());
    CHECK_THROWS_WITH(db.store.add(user("anna"), "two", db.deadline()), Contains("already"));
    CHECK(db.store.sign_in("anna", "one", db.deadline()));
    db.store.set_password("anna", "two", 6, db.deadline());
    CHECK_FALSE(db.store.sign_in("anna", "one", db.deadline()));
    db.store.set_disabled("anna", true, 7, db.deadline());
    CHECK_FALSE(db.store.sign_in("anna", "two", db.deadline()));
    db.store.set_disabled("anna", false, 8, db.deadline());
    User changed = user("anna");
    changed.roles = k_role_operator;
    changed.accounts = {"third"};
    changed.updated_real_ns = 9;
    db.store.set_roles(changed, db.deadline());
    const std::vector<User> all = db.store.list(db.deadline());
    REQUIRE(all.size() == 1);
    CHECK(all[0].roles == k_role_operator);
    CHECK(all[0].accounts == std::vector<std::string>{"third"});
    CHECK(all[0].created_real_ns == 5);
    CHECK(all[0].updated_real_ns == 9);
    CHECK_THROWS_WITH(db.store.set_password("bob", "x", 1, db.deadline()), Contains("no user"));
    CHECK_THROWS_WITH(db.store.set_disabled("bob", true, 1, db.deadline()), Contains("no user"));
    CHECK_THROWS_WITH(db.store.set_roles(user("bob"), db.deadline()), Contains("no user"));
}

TEMPLATE_TEST_CASE(
    "passwords are kept as argon2id hashes that differ",
    "[console][M5]",
    TENON_STORAGE_BACKENDS
) {
    Database<TestType> db;
    db.store.add(user("anna"), "the same", db.deadline());
    db.store.add(user("bob"), "the same", db.deadline());
    std::vector<std::string> hashes;
    db.backend.storage().read(db.deadline(), [&](Session& session) {
        for (auto row = session.prepare("SELECT password_hash FROM console_users"); row.step();) {
            hashes.emplace_back(row.text(0));
        }
    });
    REQUIRE(hashes.size() == 2);
    CHECK_THAT(hashes[0], Catch::StartsWith("$argon2id$"));
    CHECK(hashes[0] != hashes[1]);
    CHECK(hashes[0].size() <= 128);
}

TEST_CASE("names of users are simple, passwords are long and never the same", "[console][M5]") {
    for (const char* const name :
         {"", "Anna", "a b", "a'b", "ä", "0123456789012345678901234567890123"}) {
        CHECK_THROWS_AS(check_user_name(name), Error);
    }
    CHECK_NOTHROW(check_user_name("anna.b-c_9"));
    CHECK(random_password().size() == 20);
    CHECK(random_password() != random_password());
    CHECK(PasswordCost::interactive().memory_bytes >= std::size_t{64} << 20U);
}

TEMPLATE_TEST_CASE(
    "a user changes his own password with the old one alone",
    "[console][M5]",
    TENON_STORAGE_BACKENDS
) {
    Database<TestType> db;
    db.store.add(user("anna"), "the old one", db.deadline());
    const auto change = [&](const char* name, const char* before, const char* after) {
        return db.store.change_password(name, before, after, 9, db.deadline());
    };
    CHECK_FALSE(change("anna", "not the old one", "the new one"));
    CHECK_FALSE(change("nobody", "the old one", "the new one"));
    CHECK(db.store.sign_in("anna", "the old one", db.deadline()));
    CHECK(change("anna", "the old one", "the new one"));
    CHECK_FALSE(db.store.sign_in("anna", "the old one", db.deadline()));
    const auto found = db.store.sign_in("anna", "the new one", db.deadline());
    REQUIRE(found);
    CHECK(found->updated_real_ns == 9);
    CHECK(found->roles == (k_role_trader | k_role_viewer));
    CHECK_FALSE(change("anna", "the old one", "a third one"));
    db.store.set_disabled("anna", true, 10, db.deadline());
    CHECK_FALSE(change("anna", "the new one", "a third one"));
}
