// SPDX-License-Identifier: Apache-2.0
#include "sdk/sealing/secret_box.hpp"
#include "tests/unit/sealing/folder.hpp"

#include <tenon/plugin.hpp>

#include <functional>
#include <sodium.h>
#include <unistd.h>

using tenon::sealing::MasterKey;
using tenon::sealing::SecretBox;
using tenon::test::Credentials;
using tenon::test::Folder;

namespace {

const std::string k_key_a(32, 'a'), k_key_b(32, 'b');

tenon_status status_of(const std::function<void()>& call) {
    try {
        call();
    } catch (const tenon::Error& e) {
        return e.code();
    }
    return TENON_OK;
}

// As a server of the version before sealed it.
std::string
seal_without_id(const std::string& key, std::string_view context, std::string_view plain) {
    const std::string nonce(24, 'n');
    std::string cipher(plain.size() + 16, '\0');
    const auto raw = [](std::string_view text) {
        return reinterpret_cast<const unsigned char*>(text.data());
    };
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(
        reinterpret_cast<unsigned char*>(cipher.data()),
        nullptr,
        raw(plain),
        plain.size(),
        raw(context),
        context.size(),
        nullptr,
        raw(nonce),
        raw(key)
    );
    return '\1' + nonce + cipher;
}

}  // namespace

TEST_CASE("a sealed secret opens under its key and context alone", "[sealing][S8]") {
    const Folder dir;
    const SecretBox box{dir.path(), true};
    const std::string sealed = box.seal("account 1", "hunter2");
    CHECK(sealed.find("hunter2") == std::string::npos);
    CHECK(box.seal("account 1", "hunter2") != sealed);
    CHECK(box.open("account 1", sealed) == "hunter2");
    CHECK_THROWS_AS(box.open("account 2", sealed), tenon::Error);
    for (std::size_t i = 0; i < sealed.size(); ++i) {
        for (const char flip : {'\1', '\x80'}) {
            std::string damaged = sealed;
            damaged[i] = static_cast<char>(damaged[i] ^ flip);
            CHECK_THROWS_AS(box.open("account 1", damaged), tenon::Error);
        }
        CHECK_THROWS_AS(box.open("account 1", sealed.substr(0, i)), tenon::Error);
    }
    CHECK_THROWS_AS(box.open("account 1", sealed + "x"), tenon::Error);
    const SecretBox again{dir.path(), false};
    CHECK(again.open("account 1", sealed) == "hunter2");
}

TEST_CASE("a secret of another master key is refused by the names of both", "[sealing][S8]") {
    const Folder one, other;
    one.write("master.key", k_key_a);
    other.write("master.key", k_key_b);
    const SecretBox mine{one.path(), false}, theirs{other.path(), false};
    const std::string sealed = theirs.seal("account 1", "hunter2");
    const std::string a = MasterKey::read(one / "master.key", MasterKey::Source::file).name();
    const std::string b = MasterKey::read(other / "master.key", MasterKey::Source::file).name();
    CHECK(a.size() == 16);
    CHECK_THROWS_WITH(
        mine.open("account 1", sealed),
        "the secret was sealed under the master key " + b + ", which is not here; here is " + a
    );
    CHECK(status_of([&] { (void)mine.open("account 1", sealed); }) == TENON_DENIED);
}

TEST_CASE("what was sealed before keys had names opens still", "[sealing][S8]") {
    const Folder dir;
    dir.write("master.key", k_key_a);
    SecretBox box{dir.path(), false};
    const std::string old = seal_without_id(k_key_a, "account 1", "hunter2");
    CHECK(box.open("account 1", old) == "hunter2");
    CHECK_THROWS_AS(box.open("account 2", old), tenon::Error);
    (void)box.rotate();
    CHECK(box.open("account 1", old) == "hunter2");
    (void)box.finish(box.previous());
    CHECK(status_of([&] { (void)box.open("account 1", old); }) == TENON_CORRUPT);
    CHECK_THROWS_AS(
        box.open("account 1", seal_without_id(k_key_b, "account 1", "x")), tenon::Error
    );
}

TEST_CASE("a key file that others could have written or read is refused", "[sealing][S8]") {
    const Folder dir;
    const auto file = dir / "master.key";
    CHECK_THROWS_WITH((SecretBox{dir.path(), false}), Catch::Contains("missing"));
    { const SecretBox made{dir.path(), true}; }

    struct stat info {};

    REQUIRE(::stat(file.c_str(), &info) == 0);
    CHECK((info.st_mode & 07777U) == 0600U);
    CHECK(info.st_size == 32);
    const std::string key = dir.read("master.key");
    const auto refusal = [&]() -> std::string {
        try {
            const SecretBox box{dir.path(), false};
        } catch (const tenon::Error& e) {
            CHECK(std::string{e.what()}.find(key) == std::string::npos);
            CHECK(std::string{e.what()}.find(file.string()) != std::string::npos);
            return e.what();
        }
        return "taken";
    };
    for (const auto& [mode, shown] :
         {std::pair{0640U, "0640"}, std::pair{0604U, "0604"}, std::pair{0700U, "0700"}}) {
        REQUIRE(::chmod(file.c_str(), mode) == 0);
        CHECK_THAT(refusal(), Catch::Contains(shown) && Catch::Contains("0400 or 0600"));
    }
    REQUIRE(::chmod(file.c_str(), 0400) == 0);
    CHECK(refusal() == "taken");
    for (const unsigned mode : {0702U, 01777U}) {
        REQUIRE(::chmod(dir.path().c_str(), mode) == 0);
        CHECK_THAT(refusal(), Catch::Contains("everybody may write to"));
    }
    REQUIRE(::chmod(dir.path().c_str(), 0700) == 0);
    REQUIRE(::chmod(file.c_str(), 0600) == 0);
    dir.write("master.key", "too short");
    CHECK_THAT(refusal(), Catch::Contains("9 bytes; expected 32"));
    dir.write("master.key", std::string(33, 'x'));
    CHECK_THAT(refusal(), Catch::Contains("33 bytes; expected 32"));
    std::filesystem::remove(file);
    REQUIRE(::mkfifo(file.c_str(), 0600) == 0);
    CHECK_THAT(refusal(), Catch::Contains("not a regular file"));
}

TEST_CASE("a link to a key counts by who made it and where it leads", "[sealing][S8]") {
    const Folder dir, elsewhere;
    elsewhere.write("key", k_key_a);
    std::filesystem::create_symlink(elsewhere / "key", dir / "master.key");
    CHECK_NOTHROW((SecretBox{dir.path(), false}));
    REQUIRE(::chmod(elsewhere.path().c_str(), 0777) == 0);
    CHECK_THROWS_WITH((SecretBox{dir.path(), false}), Catch::Contains(elsewhere.path().string()));
    REQUIRE(::chmod(elsewhere.path().c_str(), 0700) == 0);
    if (::geteuid() == 0) {  // nobody else can give things away
        constexpr uid_t k_other = 65534;
        REQUIRE(::lchown((dir / "master.key").c_str(), k_other, k_other) == 0);
        CHECK_THROWS_WITH(
            (SecretBox{dir.path(), false}),
            Catch::Contains("symbolic link") && Catch::Contains("65534")
        );
        REQUIRE(::lchown((dir / "master.key").c_str(), 0, 0) == 0);
        REQUIRE(::chown((elsewhere / "key").c_str(), k_other, k_other) == 0);
        CHECK_THROWS_WITH((SecretBox{dir.path(), false}), Catch::Contains("belongs to user 65534"));
        REQUIRE(::chown((elsewhere / "key").c_str(), 0, 0) == 0);
        REQUIRE(::chown(elsewhere.path().c_str(), k_other, k_other) == 0);
        CHECK_THROWS_WITH(
            (SecretBox{dir.path(), false}), Catch::Contains("folder") && Catch::Contains("65534")
        );
    }
}

TEST_CASE("a credential of systemd goes before the file", "[sealing][S8]") {
    const Folder dir, credentials;
    dir.write("master.key", k_key_b);
    const SecretBox of_file{dir.path(), false};
    credentials.write("tenon-master-key", k_key_a, 0440);
    const Credentials given{credentials.path()};
    const SecretBox box{dir.path(), false};
    CHECK_THROWS_AS(of_file.open("c", box.seal("c", "hunter2")), tenon::Error);
    const Folder fresh;
    const SecretBox first{fresh.path(), true};
    CHECK_FALSE(std::filesystem::exists(fresh / "master.key"));
    CHECK(first.open("c", box.seal("c", "hunter2")) == "hunter2");
    credentials.write("tenon-master-key", k_key_a, 0444);
    CHECK_THROWS_WITH(
        (SecretBox{dir.path(), false}),
        Catch::Contains("0444") && Catch::Contains("tenon-master-key")
    );
    credentials.write("tenon-master-key", "short", 0400);
    CHECK_THROWS_WITH((SecretBox{dir.path(), false}), Catch::Contains("5 bytes; expected 32"));
}
