// SPDX-License-Identifier: Apache-2.0
// Pieces and backups in a folder: kept, found damaged, healed, pruned.
#include "sdk/vault/vault.hpp"

#include "sdk/vault/folder_place.hpp"
#include "tests/support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <random>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace fs = std::filesystem;
using namespace tenon::vault;
using tenon::Error;

namespace {

const auto k_quiet = [](auto, auto, auto) {};
const std::string k_hex_key(64, 'a');

Bytes random_bytes(std::size_t count, unsigned seed) {
    std::mt19937 random{seed};
    Bytes bytes(count);
    for (auto& byte : bytes) {
        byte = static_cast<unsigned char>(random() % 7);
    }
    return bytes;
}

struct World {
    explicit World(std::shared_ptr<const Key> key = nullptr)
        : vault{std::make_shared<FolderPlace>(root()), {3, std::move(key), 65'536}} {}

    [[nodiscard]] std::string root() const { return (folder.path() / "deep" / "store").string(); }

    Manifest backup(const std::string& id, const Bytes& content, bool anew = false) {
        std::size_t at = 0;
        Manifest made;
        made.id = id;
        made.started_ns = made.to_ns = std::stoll(id);
        made.files.push_back(vault.keep_file(
            "file",
            [&](std::span<unsigned char> to) {
                const std::size_t count = std::min(to.size(), content.size() - at);
                std::copy_n(content.begin() + static_cast<std::ptrdiff_t>(at), count, to.begin());
                at += count;
                return count;
            },
            false,
            anew,
            {}
        ));
        vault.publish(made);
        return made;
    }

    Bytes restored(const Manifest& manifest) {
        Bytes all;
        vault.fetch_file(manifest.files.at(0), [&](View part) {
            all.insert(all.end(), part.begin(), part.end());
        });
        return all;
    }

    [[nodiscard]] std::vector<fs::path> pieces() const {
        std::vector<fs::path> all;
        for (const auto& entry : fs::directory_iterator{root() + "/pieces"}) {
            all.push_back(entry.path());
        }
        return all;
    }

    tenon::test::TemporaryFolder folder;
    Vault vault;
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

TEST_CASE("a backup gives back what was put in, in the clear and encrypted", "[vault][S14]") {
    const bool is_encrypted = GENERATE(false, true);
    World world{is_encrypted ? Key::parse(k_hex_key + "\n") : nullptr};
    for (const std::size_t size : {0UL, 1UL, 65'536UL, 400'001UL}) {
        const Bytes content = random_bytes(size, static_cast<unsigned>(size));
        const Manifest made = world.backup(std::to_string(size + 1), content);
        CHECK(world.restored(world.vault.manifest(made.id)) == content);
        world.vault.check(made, k_quiet);
    }
    CHECK(world.vault.list().size() == 4);
    CHECK(failure_of([&] {
              world.vault.publish(world.vault.manifest("1"));
          }).code() == TENON_CONFLICT);
    const auto perms = fs::status(world.root()).permissions();
    CHECK((perms & fs::perms::others_all) == fs::perms::none);
}

TEST_CASE("a piece that is flipped anywhere, cut, swapped or missing is named", "[vault][S14]") {
    const bool is_encrypted = GENERATE(false, true);
    World world{is_encrypted ? Key::parse(k_hex_key) : nullptr};
    const Bytes content = random_bytes(200'000, 5);
    const Manifest made = world.backup("1", content);
    const auto pieces = world.pieces();
    REQUIRE(pieces.size() == 4);
    std::mt19937 random{GENERATE(1U, 2U)};
    for (const fs::path& piece : pieces) {
        const fs::path kept = world.folder.path() / "kept";
        fs::copy_file(piece, kept, fs::copy_options::overwrite_existing);
        const auto size = fs::file_size(piece);
        const auto check = [&](const char* what) {
            CAPTURE(what, piece);
            const Error e = failure_of([&] { world.vault.check(made, k_quiet); });
            CHECK(e.code() == TENON_CORRUPT);
            CHECK(has(e, piece.string()));
            CHECK(failure_of([&] { (void)world.restored(made); }).code() == TENON_CORRUPT);
            fs::copy_file(kept, piece, fs::copy_options::overwrite_existing);
        };
        for (int i = 0; i < 40; ++i) {
            const auto at = static_cast<std::streamoff>(
                i % 2 == 1 ? static_cast<unsigned>(i) : random() % size
            );
            std::fstream stream{piece, std::ios::in | std::ios::out | std::ios::binary};
            stream.seekg(at);
            const int byte = stream.get();
            stream.seekp(at);
            stream.put(static_cast<char>(byte ^ (1 << random() % 8)));
            stream.close();
            check("flipped");
        }
        fs::resize_file(piece, random() % size);
        check("cut");
        fs::resize_file(piece, size + 1);
        check("longer");
        fs::copy_file(
            piece == pieces[0] ? pieces[1] : pieces[0], piece, fs::copy_options::overwrite_existing
        );
        check("swapped");
        fs::remove(piece);
        check("missing");
    }
    world.vault.check(made, k_quiet);
    // What is put anew heals.
    std::ofstream{pieces[0], std::ios::app} << "x";
    (void)world.backup("2", content);
    CHECK(failure_of([&] { world.vault.check(made, k_quiet); }).code() == TENON_CORRUPT);
    (void)world.backup("3", content, true);
    world.vault.check(made, k_quiet);
}

TEST_CASE("under a key nothing counts that was made without it", "[vault][S14]") {
    World plain;
    const auto made = plain.vault.keep(View{tenon::vault::Bytes(100, 'a')});
    Manifest manifest;
    manifest.id = "20260504T030201.000Z";
    plain.vault.publish(manifest);
    Vault keyed{std::make_shared<FolderPlace>(plain.root()), {3, Key::parse(k_hex_key), 65'536}};
    CHECK_THROWS_WITH(
        keyed.fetch_file({"a", made.bytes, {made}}, [](View) {}),
        Catch::Contains("is not encrypted, and a key is set")
    );
    CHECK_THROWS_WITH(keyed.manifest(manifest.id), Catch::Contains("was made without a key"));
    std::vector<std::string> damaged;
    CHECK(keyed.list(&damaged).empty());
    CHECK(damaged.size() == 1);
    CHECK(plain.vault.list().size() == 1);
}

TEST_CASE(
    "what comes before a damaged piece is given in order, and then the piece is named",
    "[vault][S14]"
) {
    World world;
    const tenon::vault::Bytes content = random_bytes(20 * 65'536, 7);
    const Manifest made = world.backup("1", content);
    const tenon::vault::File& file = made.files[0];
    REQUIRE(file.pieces.size() == 20);
    constexpr std::size_t k_bad = 11;
    std::fstream piece{
        world.root() + "/pieces/" + file.pieces[k_bad].sum,
        std::ios::in | std::ios::out | std::ios::binary};
    piece.seekp(500);
    piece.put('\x7f');
    piece.put('\x55');
    piece.close();
    tenon::vault::Bytes given;
    const Error e = failure_of([&] {
        world.vault.fetch_file(file, [&](View part) {
            given.insert(given.end(), part.begin(), part.end());
        });
    });
    CHECK(e.code() == TENON_CORRUPT);
    CHECK(has(e, "piece 12 of 20 of " + file.name));
    REQUIRE(given.size() == k_bad * 65'536);
    CHECK(std::equal(given.begin(), given.end(), content.begin()));
}

TEST_CASE("a wrong key, or none, is told with the ids of both", "[vault][S14]") {
    World world{Key::parse(k_hex_key)};
    const Manifest made = world.backup("1", random_bytes(1000, 1));
    for (const auto& key : {std::shared_ptr<const Key>{}, Key::parse(std::string(64, 'b'))}) {
        Vault other{std::make_shared<FolderPlace>(world.root()), {3, key, 65'536}};
        const Error e = failure_of([&] { (void)other.manifest("1"); });
        CHECK(e.code() == TENON_DENIED);
        CHECK(has(e, Key::parse(k_hex_key)->name()));
        CHECK(has(e, key ? key->name() : "no key is set"));
        CHECK(failure_of([&] {
                  other.fetch_file(made.files[0], [](View) {});
              }).code() == TENON_DENIED);
    }
    const Error bad = failure_of([] { (void)Key::parse("secret-text"); });
    CHECK(bad.code() == TENON_INVALID);
    CHECK_FALSE(has(bad, "secret-text"));
}

TEST_CASE("a manifest that was changed is no backup, and no piece goes meanwhile", "[vault][S14]") {
    World world;
    (void)world.backup("1", random_bytes(100'000, 1));
    (void)world.backup("2", random_bytes(100'000, 2));
    world.vault.set_proof("2", {5, 0, "", {}});
    const std::string file = world.root() + "/backups/1";

    fs::rename(file, world.folder.path() / "kept");
    fs::copy_file(world.root() + "/backups/2", file);
    std::vector<std::string> damaged;
    CHECK(world.vault.list(&damaged).size() == 1);
    REQUIRE(damaged.size() == 1);
    CHECK(damaged[0].find("is the manifest of 2") != std::string::npos);
    CHECK(world.vault.prune({1, 0, 0, 0, 0}, false).empty());
    CHECK(world.pieces().size() == 4);
    fs::rename(world.folder.path() / "kept", file);
    CHECK(world.vault.prune({1, 0, 0, 0, 0}, true) == std::vector<std::string>{"1"});
    CHECK(world.pieces().size() == 4);
    CHECK(world.vault.prune({1, 0, 0, 0, 0}, false) == std::vector<std::string>{"1"});
    CHECK(world.pieces().size() == 2);
    world.vault.check(world.vault.manifest("2"), k_quiet);
}

TEST_CASE("names that lead out of the store are refused", "[vault][S14]") {
    World world;
    for (const char* name : {"../x", "a/../x", "/x", "a//b", "", "a/", ".x", "a/.x", "a b"}) {
        CAPTURE(name);
        CHECK(failure_of([&] { world.vault.keep_named(name, {}); }).code() == TENON_INVALID);
    }
    world.vault.keep_named("wal/1/x", random_bytes(9, 1));
    CHECK(world.vault.fetch_named("wal/1/x") == random_bytes(9, 1));
    fs::rename(world.root() + "/wal/1/x", world.root() + "/wal/1/y");
    CHECK(failure_of([&] { (void)world.vault.fetch_named("wal/1/y"); }).code() == TENON_CORRUPT);
}

TEST_CASE("without room a put fails, names the file and leaves nothing", "[vault][S14]") {
    World world;
    (void)world.backup("1", random_bytes(1000, 1));
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        (void)::signal(SIGXFSZ, SIG_IGN);
        const rlimit limit{4096, 4096};
        (void)::setrlimit(RLIMIT_FSIZE, &limit);
        std::mt19937 random{7};
        Bytes big(50'000);
        for (auto& byte : big) {
            byte = static_cast<unsigned char>(random());
        }
        const Error e = failure_of([&] { (void)world.vault.keep(big); });
        ::_exit(e.code() == TENON_UNAVAILABLE && has(e, world.root() + "/pieces") ? 0 : 1);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    CHECK(world.pieces().size() == 1);
    CHECK(world.vault.list().size() == 1);
}

TEST_CASE("a sweep leaves alone what others write, of one name too", "[vault][S14]") {
    World world;
    std::atomic<int> running{3};
    std::vector<std::string> failures(3);
    std::vector<std::thread> writers;
    for (std::size_t i = 0; i < failures.size(); ++i) {
        writers.emplace_back([&, i] {
            FolderPlace place{world.root()};
            const Bytes content(300'000 + i, static_cast<unsigned char>('a' + i));
            try {
                for (int n = 0; n < 20; ++n) {
                    place.put("deep/same", content);
                    place.put("deep/mine-" + std::to_string(i), content);
                }
            } catch (const Error& e) {
                failures[i] = e.what();
            }
            --running;
        });
    }
    FolderPlace sweeper{world.root()};
    while (running > 0) {
        sweeper.sweep();
    }
    for (std::size_t i = 0; i < failures.size(); ++i) {
        writers[i].join();
        CHECK(failures[i].empty());
        CHECK(sweeper.get("deep/mine-" + std::to_string(i)).size() == 300'000 + i);
    }
    const Bytes same = sweeper.get("deep/same");
    CHECK(same == Bytes(same.size(), static_cast<unsigned char>('a' + same.size() % 1000)));
    CHECK(sweeper.list("").size() == 4);
}

TEST_CASE("a sweep removes what a writer that was killed has left", "[vault][S14]") {
    World world;
    FolderPlace place{world.root()};
    place.put("whole", random_bytes(9, 1));
    const auto left = [&](std::uintmax_t bytes_min) {
        int count = 0;
        for (const auto& entry : fs::directory_iterator{world.root()}) {
            const bool is_left = entry.path().filename().string().starts_with(".unfinished-");
            count += is_left && entry.file_size() >= bytes_min ? 1 : 0;
        }
        return count;
    };
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        const Bytes content(10'000'000, 'c');
        for (;;) {
            place.put("killed", content);
        }
    }
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{60};
    bool is_stopped = false;  // in the middle of a file
    while (!is_stopped && std::chrono::steady_clock::now() < deadline) {
        ::kill(child, SIGSTOP);
        int status = 0;
        ::waitpid(child, &status, WUNTRACED);
        is_stopped = left(1) > 0;
        if (!is_stopped) {
            ::kill(child, SIGCONT);
        }
    }
    place.sweep();
    CHECK(left(1) == (is_stopped ? 1 : 0));  // it lives, and may go on
    ::kill(child, SIGKILL);
    int status = 0;
    CHECK(::waitpid(child, &status, 0) == child);
    REQUIRE(is_stopped);
    place.sweep();
    CHECK(left(0) == 0);
    CHECK(place.get("whole") == random_bytes(9, 1));
}

TEST_CASE("a cancel ends the work, and the next run goes on", "[vault][S14]") {
    World world;
    world.vault.cancel();
    CHECK(failure_of([&] {
              (void)world.backup("1", random_bytes(9, 1));
          }).code() == TENON_UNAVAILABLE);
    world.vault.allow();
    (void)world.backup("1", random_bytes(9, 1));
}

TEST_CASE("regression_times_before_1970_and_beyond_64_bits", "[vault][S14]") {
    CHECK(iso_time(-1) == "1969-12-31T23:59:59.999Z");
    CHECK(iso_time(-1'000'000'000) == "1969-12-31T23:59:59.000Z");
    CHECK(time_of_iso("1969-12-31T23:59:59.999Z") == -1'000'000);
    CHECK(time_of_iso("2262-04-11T23:47:16Z") == 9'223'372'036'000'000'000);
    for (const char* const text :
         {"2262-04-11T23:47:17Z", "9999-12-31T00:00:00Z", "0000-01-01T00:00:00Z"}) {
        INFO(text);
        CHECK(failure_of([&] { (void)time_of_iso(text); }).code() == TENON_INVALID);
    }
}
