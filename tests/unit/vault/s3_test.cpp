// SPDX-License-Identifier: Apache-2.0
// Backups in an S3-compatible store: a peer that verifies signatures with code of its own, and
// fails when told to.
#include "sdk/vault/s3_place.hpp"
#include "sdk/vault/vault.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <cstdio>
#include <ctime>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace tenon::vault;
using tenon::Error;

namespace {

class Peer {
public:
    Peer() {
        std::array<int, 2> in{};
        std::array<int, 2> out{};
        REQUIRE(::pipe2(in.data(), O_CLOEXEC) == 0);
        REQUIRE(::pipe2(out.data(), O_CLOEXEC) == 0);
        posix_spawn_file_actions_t actions;
        ::posix_spawn_file_actions_init(&actions);
        ::posix_spawn_file_actions_adddup2(&actions, in[0], 0);
        ::posix_spawn_file_actions_adddup2(&actions, out[1], 1);
        std::string python = TENON_PYTHON;
        std::string script = TENON_S3_PEER;
        std::array<char*, 3> arguments{python.data(), script.data(), nullptr};
        REQUIRE(
            ::posix_spawn(&pid_, TENON_PYTHON, &actions, nullptr, arguments.data(), environ) == 0
        );
        ::posix_spawn_file_actions_destroy(&actions);
        ::close(in[0]);
        ::close(out[1]);
        to_ = in[1];
        from_ = ::fdopen(out[0], "r");
        port = line();
    }

    ~Peer() {
        ::close(to_);
        (void)std::fclose(from_);
        (void)::waitpid(pid_, nullptr, 0);
    }

    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;

    void tell(const std::string& command) {
        const std::string text = command + "\n";
        REQUIRE(::write(to_, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
        REQUIRE(line() == "ok");
    }

    [[nodiscard]] S3Options options() const {
        S3Options made;
        made.url = tenon::net::parse_url("http://127.0.0.1:" + port);
        made.bucket = "bucket";
        made.prefix = "here/";
        made.credentials = {"eu-test-1", "AKIDTEST", "wJalr-test/secret"};
        made.backoff = {1'000'000, 5'000'000};
        made.now_real_ns = [] { return std::int64_t{std::time(nullptr)} * 1'000'000'000; };
        return made;
    }

    std::string port;

private:
    [[nodiscard]] std::string line() {
        std::array<char, 64> text{};
        REQUIRE(std::fgets(text.data(), text.size(), from_) != nullptr);
        std::string got{text.data()};
        got.pop_back();
        return got;
    }

    pid_t pid_ = 0;
    int to_ = -1;
    std::FILE* from_ = nullptr;
};

Error failure_of(const std::function<void()>& body) {
    try {
        body();
    } catch (const Error& e) {
        return e;
    }
    return {TENON_OK, ""};
}

bool has(const Error& e, const std::string& text) {
    return std::string_view{e.what()}.find(text) != std::string_view::npos;
}

}  // namespace

TEST_CASE("a signature is the one of Amazon's documented example", "[vault][S14]") {
    // "GET Object" of sig-v4-header-based-auth has a Range header; this is "GET Bucket (List
    // Objects)", whose canonical form has the three headers that are signed here.
    const S3Signature made = sign(
        {"GET",
         "examplebucket.s3.amazonaws.com",
         "/",
         {{"max-keys", "2"}, {"prefix", "J"}},
         "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"us-east-1", "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"},
        1'369'353'600'000'000'000
    );
    CHECK(made.date == "20130524T000000Z");
    CHECK(made.target == "/?max-keys=2&prefix=J");
    CHECK(made.authorization.ends_with(
        "Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
    ));
}

TEST_CASE("a store keeps, lists over pages, and forgets", "[vault][S14]") {
    Peer peer;
    S3Place place{peer.options()};
    const Bytes content(300'000, 7);
    for (int i = 0; i < 8; ++i) {
        place.put(
            "some/piece-" + std::to_string(i), View{content}.first(static_cast<std::size_t>(i))
        );
    }
    place.put("other", content);
    CHECK(place.get("other") == content);
    CHECK(place.size("other") == content.size());
    CHECK_FALSE(place.size("none"));
    const auto all = place.list("some/");
    REQUIRE(all.size() == 8);
    CHECK(all[7].name == "some/piece-7");
    CHECK(all[7].bytes == 7);
    place.remove("some/piece-3");
    place.remove("some/piece-3");
    CHECK(place.list("some/").size() == 7);
    const Error missing = failure_of([&] { (void)place.get("some/piece-3"); });
    CHECK(missing.code() == TENON_NOT_FOUND);
    CHECK(has(missing, "s3://bucket/here/some/piece-3"));
}

TEST_CASE("what passes by itself is tried again, the rest is told", "[vault][S14]") {
    Peer peer;
    S3Place place{peer.options()};
    peer.tell("fail 503 3");
    place.put("a", Bytes(10));
    peer.tell("cut 2");
    CHECK(place.get("a") == Bytes(10));
    CHECK(place.retries() == 5);
    peer.tell("fail 500 6");
    const Error down = failure_of([&] { place.put("a", Bytes(1)); });
    CHECK(down.code() == TENON_UNAVAILABLE);
    CHECK(has(down, "500: SlowDown: later (tried 6 times)"));
    peer.tell("full");
    const Error full = failure_of([&] { place.put("b", Bytes(1)); });
    CHECK(full.code() == TENON_UNAVAILABLE);
    CHECK(has(full, "InsufficientStorage: no room"));
    peer.tell("free");
    place.put("b", Bytes(1));

    S3Options wrong = peer.options();
    wrong.credentials.secret_access_key = "not-it-secret";
    const Error refused = failure_of([&] { S3Place{wrong}.put("c", {}); });
    CHECK(refused.code() == TENON_DENIED);
    CHECK(has(refused, "SignatureDoesNotMatch"));
    CHECK_FALSE(has(refused, "not-it-secret"));
    S3Options elsewhere = peer.options();
    elsewhere.bucket = "none";
    CHECK(has(failure_of([&] { (void)S3Place{elsewhere}.get("c"); }), "there is no bucket none"));
}

TEST_CASE("a backup in a store is made, found damaged, and pruned", "[vault][S14]") {
    Peer peer;
    Vault vault{
        std::make_shared<S3Place>(peer.options()), {3, Key::parse(std::string(64, '1')), 65'536}};
    for (int i = 1; i <= 2; ++i) {
        Manifest made;
        made.id = std::to_string(i);
        made.started_ns = made.to_ns = i;
        const Bytes content(10'000, static_cast<unsigned char>(i));
        made.files.push_back({"file", content.size(), {vault.keep(content)}});
        vault.publish(made);
        vault.check(made, [](auto, auto, auto) {});
        vault.set_proof(made.id, {i, 0, "", {}});
    }
    CHECK(vault.prune({1, 0, 0, 0, 0}, false) == std::vector<std::string>{"1"});
    REQUIRE(vault.list().size() == 1);
    const Manifest left = vault.list().front();
    const std::string piece = "here/pieces/" + left.files[0].pieces[0].sum;
    peer.tell("flip " + piece);
    const Error damaged = failure_of([&] { vault.check(left, [](auto, auto, auto) {}); });
    CHECK(damaged.code() == TENON_CORRUPT);
    CHECK(has(damaged, piece));
}
