// SPDX-License-Identifier: Apache-2.0
#include "sdk/sealing/secret_box.hpp"
#include "tests/unit/sealing/folder.hpp"

#include <tenon/plugin.hpp>

using tenon::sealing::KeyRing;
using tenon::sealing::MasterKey;
using tenon::sealing::SecretBox;
using tenon::test::Credentials;
using tenon::test::Folder;

namespace {

const std::string k_key_a(32, 'a'), k_key_b(32, 'b');

std::string name_of(const Folder& dir, std::string_view file) {
    return MasterKey::read(dir / file, MasterKey::Source::file).name();
}

}  // namespace

TEST_CASE("during a rotation both keys open, and the new one seals", "[sealing][rotation][S8]") {
    const Folder dir;
    SecretBox box{dir.path(), true};
    const std::string old_key = name_of(dir, "master.key");
    const std::string before = box.seal("c", "hunter2");
    (void)box.rotate();
    const std::string status = box.rotate();  // the same rotation
    const std::string new_key = name_of(dir, "master.key.next");
    CHECK(
        status == R"({"key":")" + new_key + R"(","previous":")" + old_key +
                      R"(","rotating":true,"advice":""})"
    );
    const std::string after = box.seal("c", "hunter3");
    CHECK(tenon::sealing::hex_of(after.substr(1, 8)) == new_key);
    CHECK(box.open("c", before) == "hunter2");
    CHECK(box.open("c", after) == "hunter3");
    {
        const SecretBox again{dir.path(), false};
        CHECK(again.open("c", before) == "hunter2");
        CHECK(again.open("c", after) == "hunter3");
    }
    (void)box.finish(box.previous());
    CHECK(box.open("c", after) == "hunter3");
    CHECK_THROWS_WITH(
        box.open("c", before),
        "the secret was sealed under the master key " + old_key + ", which was retired; here is " +
            new_key
    );
    CHECK(name_of(dir, "master.key") == new_key);
    CHECK_FALSE(std::filesystem::exists(dir / "master.key.next"));
    // For what was backed up before.
    CHECK(name_of(dir, "master.key.retired-" + old_key) == old_key);
    CHECK_THROWS_WITH(box.finish(box.previous()), Catch::Contains("no rotation"));
    const SecretBox again{dir.path(), false};
    CHECK(again.open("c", after) == "hunter3");
    CHECK_THROWS_WITH(again.open("c", before), Catch::Contains("retired"));
}

TEST_CASE("the end of one rotation does not end the next", "[sealing][rotation][S8]") {
    const Folder dir;
    SecretBox box{dir.path(), true};
    (void)box.rotate();
    const std::string counted_for = box.previous();
    (void)box.finish(counted_for);
    (void)box.rotate();
    const std::string sealed_between = box.seal("c", "hunter2");
    CHECK_THROWS_WITH(box.finish(counted_for), Catch::Contains("another rotation"));
    CHECK(box.open("c", sealed_between) == "hunter2");
}

TEST_CASE("a next key in a file beside a credential is not mixed up", "[sealing][rotation][S8]") {
    const Folder dir, credentials;
    {
        SecretBox box{dir.path(), true};
        (void)box.rotate();
    }
    credentials.write("tenon-master-key", k_key_a, 0400);
    const Credentials given{credentials.path()};
    CHECK_THROWS_WITH((SecretBox{dir.path(), false}), Catch::Contains("master.key.next"));
}

TEST_CASE("a retired key that is put back is refused by name", "[sealing][rotation][S8]") {
    const Folder dir;
    std::string old;
    std::string name;
    {
        SecretBox box{dir.path(), true};
        old = dir.read("master.key");
        name = name_of(dir, "master.key");
        (void)box.rotate();
        (void)box.finish(box.previous());
    }
    dir.write("master.key", old);
    CHECK_THROWS_WITH(
        (SecretBox{dir.path(), false}), Catch::Contains(name) && Catch::Contains("was retired")
    );
}

TEST_CASE("a rotation goes on wherever it was killed", "[sealing][rotation][S8]") {
    const Folder dir;
    std::string before, after;
    {
        SecretBox box{dir.path(), true};
        before = box.seal("c", "hunter2");
        (void)box.rotate();
        after = box.seal("c", "hunter3");
    }
    const std::string old_key = name_of(dir, "master.key");
    SECTION("while a key was being written") {
        dir.write("master.key.next.new", "hal");
        dir.write("master.key.retired.new", "hal");
        SecretBox box{dir.path(), false};
        CHECK(box.open("c", before) == "hunter2");
        (void)box.finish(box.previous());
        CHECK(box.open("c", after) == "hunter3");
    }
    SECTION("between the list of retired keys and the new key's place") {
        const std::string new_key = name_of(dir, "master.key.next");
        dir.write("master.key.retired", old_key + "\n");
        const SecretBox box{dir.path(), false};
        CHECK(name_of(dir, "master.key") == new_key);
        CHECK_FALSE(std::filesystem::exists(dir / "master.key.next"));
        CHECK(box.open("c", after) == "hunter3");
        CHECK_THROWS_WITH(box.open("c", before), Catch::Contains("retired"));
    }
}

TEST_CASE("a key of systemd is rotated by a second credential", "[sealing][rotation][S8]") {
    const Folder dir, credentials;
    credentials.write("tenon-master-key", k_key_a, 0400);
    const Credentials given{credentials.path()};
    std::string before;
    {
        SecretBox box{dir.path(), true};
        before = box.seal("c", "hunter2");
        CHECK_THROWS_WITH(box.rotate(), Catch::Contains("tenon-master-key-next"));
    }
    credentials.write("tenon-master-key-next", k_key_b, 0400);
    std::string after;
    {
        SecretBox box{dir.path(), false};
        CHECK_THAT(box.rotate(), Catch::Contains(R"("rotating":true)"));
        after = box.seal("c", "hunter3");
        CHECK(box.open("c", before) == "hunter2");
        CHECK_THAT(box.finish(box.previous()), Catch::Contains("give the key"));
        CHECK_THROWS_WITH(box.open("c", before), Catch::Contains("retired"));
    }
    {
        const SecretBox box{dir.path(), false};  // the credentials are as they were
        CHECK(box.open("c", after) == "hunter3");
        CHECK_THROWS_WITH(box.open("c", before), Catch::Contains("retired"));
        CHECK_THAT(box.status(), Catch::Contains(R"("rotating":false)"));
    }
    credentials.write("tenon-master-key", k_key_b, 0600);  // moved, the next one still there
    CHECK(SecretBox{dir.path(), false}.open("c", after) == "hunter3");
    std::filesystem::remove(credentials / "tenon-master-key-next");
    CHECK(SecretBox{dir.path(), false}.open("c", after) == "hunter3");
    credentials.write("tenon-master-key", k_key_a, 0600);
    CHECK_THROWS_WITH((SecretBox{dir.path(), false}), Catch::Contains("was retired"));
}
