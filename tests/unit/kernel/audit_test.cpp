// SPDX-License-Identifier: Apache-2.0
#include "sdk/audit/audit_log.hpp"
#include "tests/unit/kernel/scene.hpp"

#include <tenon/plugin.hpp>

#include <catch2/catch.hpp>

#include <csignal>
#include <sys/resource.h>
#include <sys/stat.h>
#include <thread>

using tenon::test::TempDir;
using tenon::test::write_file;
namespace audit = tenon::audit;
namespace json = boost::json;

namespace {

tenon_audit_event event(std::string_view action, std::string_view detail = "") {
    return {
        sizeof(tenon_audit_event),
        0,
        tenon::str("user:anna"),
        tenon::str(action),
        tenon::str("order 7"),
        tenon::str(detail)};
}

std::string contents(const std::filesystem::path& file) {
    std::ifstream in{file, std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, {}};
}

// A log of three lines; its text.
std::string three(const TempDir& dir) {
    audit::Log log{dir.path() / "audit.log"};
    log.record("risk", event("one"), 1);
    log.record("risk", event("two", R"({"limit":5})"), 1);
    log.record("risk", event("three"), 1);
    return contents(log.file());
}

}  // namespace

TEST_CASE("the audit log is a chain that goes on after a restart", "[audit][K5]") {
    const TempDir dir;
    (void)three(dir);
    {
        audit::Log again{dir.path() / "audit.log"};
        CHECK(again.found().good());
        CHECK(again.found().lines == 3);
        again.record("kernel", event("four", "\"\xC3\xA4\\n\""), 1);
    }
    const audit::Check check = audit::check_file(dir.path() / "audit.log");
    CHECK(check.good());
    CHECK(check.lines == 4);
    CHECK(check.last_sequence == 4);
    const json::array newest = audit::newest(dir.path() / "audit.log", 2);
    REQUIRE(newest.size() == 2);
    CHECK(newest[0].at("action") == "three");
    CHECK(newest[1].at("plugin") == "kernel");
    CHECK(newest[1].at("detail") == "\xC3\xA4\n");
    CHECK(newest[1].at("prev") == newest[0].at("hash"));
    CHECK(audit::newest(dir.path() / "audit.log", 10)[1].at("detail").at("limit") == 5);

    struct stat info {};

    REQUIRE(::stat((dir.path() / "audit.log").c_str(), &info) == 0);
    CHECK((info.st_mode & 0777U) == 0600U);
}

TEST_CASE("every byte that is changed is found, with its line", "[audit][K5]") {
    const TempDir dir;
    const std::string text = three(dir);
    const auto file = dir.path() / "audit.log";
    for (std::size_t at = 0; at < text.size(); ++at) {
        std::string changed = text;
        changed[at] = static_cast<char>(changed[at] ^ 1);
        write_file(file, changed);
        const audit::Check check = audit::check_file(file);
        INFO("byte " << at);
        // The last line end gone is a torn tail, which no chain can tell from a crash.
        REQUIRE((!check.good() || (at + 1 == text.size() && check.torn_bytes != 0)));
    }
}

TEST_CASE("a line taken out, doubled or moved breaks the chain", "[audit][K5]") {
    const TempDir dir;
    const std::string text = three(dir);
    const auto first = text.find('\n') + 1;
    const auto second = text.find('\n', first) + 1;
    const std::string a = text.substr(0, first), b = text.substr(first, second - first),
                      c = text.substr(second);
    const auto file = dir.path() / "audit.log";
    const auto broken = [&](const std::string& changed) {
        write_file(file, changed);
        return audit::check_file(file).first_broken;
    };
    CHECK(broken(a + b + c).empty());
    CHECK(broken(a + c) == "line 2 does not follow the line before it");
    CHECK(broken(b + c) == "line 1 does not follow the line before it");
    CHECK(broken(a + b + b + c) == "line 3 does not follow the line before it");
    CHECK(broken(a + c + b) == "line 2 does not follow the line before it");
    CHECK(broken(a + "{}\n" + b + c) == "line 2 is not a line of this log");
    CHECK(broken(a + b).empty());  // only the last hash, kept elsewhere, would show it
}

TEST_CASE("a torn tail is taken away, a break stays and is named", "[audit][K5]") {
    const TempDir dir;
    const std::string text = three(dir);
    const auto file = dir.path() / "audit.log";
    write_file(file, text + text.substr(0, 50));
    {
        audit::Log log{dir.path() / "audit.log"};
        CHECK(log.found().good());
        CHECK(log.found().torn_bytes == 50);
        log.record("risk", event("four"), 1);
    }
    CHECK(audit::check_file(file).good());
    CHECK(audit::check_file(file).lines == 4);

    std::string changed = contents(file);
    changed[changed.find("two")] = 'T';
    write_file(file, changed);
    {
        audit::Log log{dir.path() / "audit.log"};
        CHECK(log.found().first_broken == "line 2 was changed: its hash does not fit");
        log.record("risk", event("five"), 1);
    }
    CHECK(audit::check_file(file).broken == 1);
    CHECK(audit::check_file(file).lines == 5);
}

TEST_CASE("events that are no events are refused and leave no line", "[audit][K5]") {
    const TempDir dir;
    audit::Log log{dir.path() / "audit.log"};
    CHECK_THROWS_AS(log.record("p", event("x", "{not json"), 1), tenon::Error);
    CHECK_THROWS_AS(log.record("p", event(""), 1), tenon::Error);
    CHECK_THROWS_AS(log.record("p", event(std::string(300, 'x')), 1), tenon::Error);
    CHECK(contents(log.file()).empty());
    log.record("p", event("x", "null"), 1);
    CHECK(audit::check_file(log.file()).lines == 1);
}

TEST_CASE("a full disk refuses an event and harms nothing", "[audit][K5]") {
    const TempDir dir;
    audit::Log log{dir.path() / "audit.log"};
    log.record("p", event("first"), 1);
    const auto size = std::filesystem::file_size(log.file());
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
    const rlimit tight{size + 20, before.rlim_max};
    auto* const old = std::signal(SIGXFSZ, SIG_IGN);
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &tight) == 0);
    CHECK_THROWS_AS(log.record("p", event("second"), 1), tenon::Error);
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
    (void)std::signal(SIGXFSZ, old);
    CHECK(std::filesystem::file_size(log.file()) == size);
    log.record("p", event("third"), 1);
    CHECK(audit::check_file(log.file()).good());
    CHECK(audit::check_file(log.file()).lines == 2);
}

TEST_CASE("threads record at once and the chain holds", "[audit][K5]") {
    const TempDir dir;
    audit::Log log{dir.path() / "audit.log"};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            for (int n = 0; n < 25; ++n) {
                log.record("p", event("x"), 1);
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    CHECK(audit::check_file(log.file()).good());
    CHECK(audit::check_file(log.file()).lines == 100);
}

TEST_CASE("the newest lines are read from the end, however long they are", "[audit][K5]") {
    const TempDir dir;
    const auto file = dir.path() / "audit.log";
    CHECK(audit::newest(file, 5).empty());
    // Around the size of what is read at once, and much longer than it.
    const std::vector<std::size_t> lengths{
        0, 1, 65'533, 65'534, 65'535, 65'536, 3, 200'000, 1, 131'070, 2};
    std::vector<std::string> lines;
    std::string text;
    for (std::size_t i = 0; i < lengths.size(); ++i) {
        lines.push_back("\"" + std::string(lengths[i], static_cast<char>('a' + i)) + "\"");
        text.append(lines.back()).append("\n");
    }
    for (const std::string_view torn : {"", "{\"seq\":12,\"ti"}) {
        write_file(file, text + std::string{torn});
        for (std::size_t count = 0; count <= lines.size() + 1; ++count) {
            INFO("the newest " << count);
            const json::array newest = audit::newest(file, count);
            const std::size_t told = std::min(count, lines.size());
            REQUIRE(newest.size() == told);
            for (std::size_t i = 0; i < told; ++i) {
                CHECK(json::serialize(newest[i]) == lines[lines.size() - told + i]);
            }
        }
    }
    write_file(file, "\n\nno json\n");
    const json::array odd = audit::newest(file, 9);
    REQUIRE(odd.size() == 3);
    CHECK(odd[2].at("damaged") == "no json");
    CHECK(audit::newest(file, 1).size() == 1);
    CHECK_THROWS_AS(audit::newest(dir.path(), 1), tenon::Error);
}

TEST_CASE("what is before the newest lines is not read", "[audit][K5]") {
    const TempDir dir;
    const auto file = dir.path() / "audit.log";
    // A hole that no memory would hold, read as one line.
    write_file(file, "");
    std::filesystem::resize_file(file, std::uintmax_t{1} << 36U);
    std::ofstream{file, std::ios::binary | std::ios::app} << "\n\"one\"\n\"two\"\n";
    const json::array newest = audit::newest(file, 2);
    REQUIRE(newest.size() == 2);
    CHECK(newest[0] == "one");
    CHECK(newest[1] == "two");
}
