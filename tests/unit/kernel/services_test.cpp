// SPDX-License-Identifier: Apache-2.0
#include "kernel/registry/admin_commands.hpp"
#include "kernel/registry/health.hpp"
#include "kernel/runtime/data_dir.hpp"
#include "kernel/runtime/log.hpp"
#include "kernel/runtime/metrics.hpp"
#include "sdk/loading/control_thread.hpp"
#include "sdk/manifest/secret_reference.hpp"
#include "tests/unit/kernel/scene.hpp"

#include <tenon/metrics.hpp>
#include <tenon/plugin.hpp>

#include <catch2/catch.hpp>

#include <future>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>
#include <vector>

using tenon::metrics::Histogram;
using namespace tenon::runtime;
using tenon::log::Format;
using tenon::log::format_line;
using tenon::test::TempDir;
using tenon::test::write_file;

namespace {

std::string line(Format format, std::initializer_list<tenon::Field> fields) {
    std::vector<tenon_log_field> raw;
    for (const tenon::Field& field : fields) {
        raw.push_back(field.raw());
    }
    return format_line(format, 1'700'000'000'123'456'789, TENON_LOG_WARN, "one", "thing_done", raw);
}

std::string contents(const std::filesystem::path& file) {
    std::ifstream in{file};
    return {std::istreambuf_iterator<char>{in}, {}};
}

}  // namespace

TEST_CASE("a log line is one line of text, whatever the values hold", "[kernel][log][K13]") {
    CHECK(
        line(Format::text, {{"n", 5}, {"t", "a b\n\"c\" {}%s"}, {"plain", "x/y"}}) ==
        "2023-11-14T22:13:20.123456Z level=warn plugin=one event=thing_done n=5 "
        "t=\"a b\\n\\\"c\\\" {}%s\" plain=x/y"
    );
    CHECK(
        line(Format::json, {{"n", 5}, {"yes", true}, {"t", "\x01\xff"}}) ==
        "{\"time\":\"2023-11-14T22:13:20.123456Z\",\"level\":\"warn\",\"plugin\":\"one\","
        "\"event\":\"thing_done\",\"n\":5,\"yes\":true,\"t\":\"\\u0001\xEF\xBF\xBD\"}"
    );
    CHECK(line(Format::journal, {}) == "<4>level=warn plugin=one event=thing_done");
}

TEST_CASE("fields that are named like secrets are not written", "[kernel][log][K13]") {
    const std::string text =
        line(Format::text, {{"api_secret", "hunter2"}, {"Password", "hunter2"}, {"key", "k"}});
    CHECK(text.find("hunter2") == std::string::npos);
    CHECK(text.find("api_secret=[redacted]") != std::string::npos);
    CHECK(text.find("key=k") != std::string::npos);
}

TEST_CASE("a number that is none is quoted", "[kernel][log]") {
    const tenon_log_field field{tenon::str("n"), tenon::str("1,\"x\":2"), TENON_FIELD_NUMBER, 0};
    const std::string text =
        format_line(Format::json, 0, TENON_LOG_INFO, "p", "e", std::span{&field, 1});
    CHECK(text.find("\"n\":\"1,\\\"x\\\":2\"") != std::string::npos);
}

TEST_CASE("levels are per plugin, change at run time, and files rotate", "[kernel][log][K13]") {
    TempDir dir;
    tenon::manifest::LogSettings settings;
    settings.level = "warn";
    settings.levels["two"] = "debug";
    settings.file = dir.path() / "tenon.log";
    settings.max_size_mb = 1;
    settings.max_files = 2;
    LogRouter router{settings};
    LogSource& one = router.source("one");
    CHECK(&router.source("one") == &one);
    CHECK_FALSE(one.enabled(TENON_LOG_INFO));
    CHECK(router.source("two").enabled(TENON_LOG_DEBUG));
    one.write(TENON_LOG_INFO, "unseen", {});
    CHECK(router.set_level("one", TENON_LOG_INFO));
    CHECK_FALSE(router.set_level("three", TENON_LOG_INFO));
    const std::string padding(600, 'x');
    const tenon_log_field field{tenon::str("pad"), tenon::str(padding), TENON_FIELD_TEXT, 0};
    for (int i = 0; i < 4000; ++i) {
        one.write(TENON_LOG_INFO, "seen", std::span{&field, 1});
    }
    router.close();
    const std::string text = contents(settings.file);
    CHECK(text.find("unseen") == std::string::npos);
    CHECK(text.find("event=seen") != std::string::npos);
    CHECK(text.size() <= (1U << 20U));
    CHECK(std::filesystem::exists(dir.path() / "tenon.1.log"));
}

TEST_CASE("metrics are checked by name and come out as Prometheus text", "[kernel][metrics]") {
    Metrics metrics;
    const tenon_label label{tenon::str("kind"), tenon::str("a\"b\n")};
    std::uint64_t* counter = metrics.counter("tenon_x_total", "How\nmany", {label});
    REQUIRE(counter != nullptr);
    CHECK(metrics.counter("tenon_x_total", "", {label}) == counter);
    CHECK(metrics.gauge("tenon_x_total", "", {}) == nullptr);
    CHECK(metrics.counter("x_total", "", {}) == nullptr);
    CHECK(metrics.counter("tenon_X", "", {}) == nullptr);
    CHECK(metrics.counter("tenon_y", "", {{tenon::str("le"), tenon::str("1")}}) == nullptr);
    std::atomic_ref{*counter}.fetch_add(3);
    Histogram* histogram = metrics.histogram("tenon_h_seconds", "h", {});
    histogram->observe(5'000);
    histogram->observe(1'500'000'000);
    histogram->observe(60'000'000'000);
    const std::string text = metrics.collect();
    const auto has = [&](std::string_view part) { return text.find(part) != std::string::npos; };
    CHECK(has("# HELP tenon_x_total How\\nmany\n# TYPE tenon_x_total counter\n"));
    CHECK(has("tenon_x_total{kind=\"a\\\"b\\n\"} 3\n"));
    CHECK(has("tenon_h_seconds_bucket{le=\"0.000005\"} 1\n"));
    CHECK(has("tenon_h_seconds_bucket{le=\"2.5\"} 2\n"));
    CHECK(has("tenon_h_seconds_bucket{le=\"+Inf\"} 3\n"));
    CHECK(has("tenon_h_seconds_sum 61.500005\ntenon_h_seconds_count 3\n"));
}

TEST_CASE("each duration falls into the bucket of its bound", "[kernel][metrics][M1]") {
    const auto bucket_of = [](std::int64_t duration_ns) {
        Histogram histogram{"tenon_h_seconds", ""};
        histogram.observe(duration_ns);
        std::string page;
        histogram.append_to(page);
        std::size_t at = 0;
        for (std::size_t line = 0; line <= Histogram::k_bounds_ns.size(); ++line) {
            const std::size_t end = page.find('\n', at);
            if (page.substr(end - 2, 2) == " 1") {
                return line;
            }
            at = end + 1;
        }
        return Histogram::k_bounds_ns.size() + 1;
    };
    for (std::size_t i = 0; i < Histogram::k_bounds_ns.size(); ++i) {
        const std::int64_t bound = Histogram::k_bounds_ns[i];
        CHECK(bucket_of(bound - 1) == i);
        CHECK(bucket_of(bound) == i);
        CHECK(bucket_of(bound + 1) == i + 1);
    }
    for (const std::int64_t least : {std::int64_t{0}, std::int64_t{-5}, INT64_MIN}) {
        CHECK(bucket_of(least) == 0);
    }
    CHECK(bucket_of(INT64_MAX) == Histogram::k_bounds_ns.size());
}

TEST_CASE("no observation is lost among more threads than parts", "[kernel][metrics][M1]") {
    Metrics metrics;
    Histogram* const histogram = metrics.histogram("tenon_h_seconds", "h", {});
    constexpr int k_each = 2'000;
    // Some come when others have gone, and take over what those counted in.
    for (int round = 0; round < 2; ++round) {
        std::promise<void> go;
        const std::shared_future<void> begin = go.get_future().share();
        std::vector<std::thread> threads;
        for (std::size_t i = 0; i < 2 * tenon::metrics::k_parts; ++i) {
            threads.emplace_back([&] {
                histogram->observe(1);  // all have their part before any ends
                begin.wait();
                for (int k = 1; k < k_each; ++k) {
                    histogram->observe(1'000'000);
                }
            });
        }
        go.set_value();
        for (std::thread& thread : threads) {
            thread.join();
        }
    }
    const std::size_t total = std::size_t{2} * 2 * tenon::metrics::k_parts * k_each;
    const std::string page = metrics.collect();
    CHECK(page.find("tenon_h_seconds_count " + std::to_string(total) + "\n") != std::string::npos);
}

// Counts when its thread ends, after the thread has given its part back: it was made before the
// thread joined.
struct LateCount {
    ~LateCount() {
        if (counter != nullptr) {
            counter->add();
        }
    }

    const tenon::Counter* counter = nullptr;
};

std::uint64_t counted(Metrics& metrics) {
    const std::string page = metrics.collect();
    const std::string head = "\ntenon_n_total ";
    return std::stoull(page.substr(page.find(head) + head.size()));
}

TEST_CASE("no count is lost among more threads than parts", "[kernel][metrics][M1]") {
    Metrics metrics;
    const tenon::Service<tenon_metrics_1> service{&metrics, &Metrics::table()};
    const tenon::Counter counter = tenon::Metrics{service}.counter("tenon_n_total", "n");
    // As a plugin that was built against an earlier release counts.
    std::uint64_t* const cell = metrics.counter("tenon_n_total", "", {});
    constexpr std::uint64_t k_each = 20'000;
    std::uint64_t expected = 0;
    for (int round = 0; round < 3; ++round) {
        std::promise<void> go;
        const std::shared_future<void> begin = go.get_future().share();
        std::vector<std::thread> threads;
        for (std::size_t i = 0; i < 2 * tenon::metrics::k_parts; ++i) {
            threads.emplace_back([&] {
                static thread_local LateCount late;
                late.counter = &counter;
                counter.add();
                begin.wait();
                for (std::uint64_t k = 0; k < k_each; ++k) {
                    counter.add(2);
                }
                std::atomic_ref{*cell}.fetch_add(3);
            });
        }
        go.set_value();
        expected += threads.size() * (1 + 2 * k_each + 3 + 1);
        std::uint64_t last = 0;
        bool falls = false;
        for (int page = 0; page < 100; ++page) {
            const std::uint64_t now = counted(metrics);
            falls = falls || now < last;
            last = now;
        }
        CHECK_FALSE(falls);
        for (std::thread& thread : threads) {
            thread.join();
        }
        CHECK(counted(metrics) == expected);
    }
}

TEST_CASE("the number of series is bounded", "[kernel][metrics][K10]") {
    Metrics metrics;
    std::size_t made = 0;
    for (std::size_t i = 0; i < Metrics::k_max_series + 5; ++i) {
        const std::string value = std::to_string(i);
        const tenon_label label{tenon::str("i"), tenon::str(value)};
        made += metrics.gauge("tenon_g", "", {label}) != nullptr ? 1U : 0U;
    }
    CHECK(made == Metrics::k_max_series);
}

TEST_CASE("health is the worst of plugins and components", "[kernel][health]") {
    LogRouter router{[] {
        tenon::manifest::LogSettings settings;
        settings.level = "off";
        return settings;
    }()};
    using tenon::registry::PluginState;
    tenon::registry::Health health{router.source("kernel")};
    health.add_plugin({"a", "test.a", "1.0.0", false, PluginState::started, ""});
    CHECK(health.ready());
    CHECK(health.report().at("state") == "healthy");
    health.set("a", "disk", TENON_DEGRADED, "nearly full");
    CHECK(health.ready());
    CHECK(health.report().at("state") == "degraded");
    CHECK(health.report().at("components").at(0).at("reason") == "nearly full");
    health.set("a", "disk", TENON_CRITICAL, "full");
    CHECK_FALSE(health.ready());
    health.set("a", "disk", TENON_HEALTHY, "");
    CHECK(health.ready());
    health.add_plugin({"b", "test.b", "1.0.0", true, PluginState::failed, "boom"});
    CHECK_FALSE(health.ready());
    CHECK(health.report().at("state") == "critical");
}

TEST_CASE("a command is its owner's, and removed when it does not run", "[kernel][admin]") {
    tenon::registry::AdminCommands commands;
    std::promise<void> begun;
    std::promise<void> open;
    CHECK(commands.add("p", "x.run", "x", [&](std::string_view args) {
        begun.set_value();
        open.get_future().wait();
        return std::string{args};
    }));
    CHECK_FALSE(commands.add("q", "x.run", "x", [](std::string_view) { return std::string{}; }));
    auto answer = std::async(std::launch::async, [&] { return commands.run("x.run", "{}"); });
    begun.get_future().wait();
    commands.remove("q", "x.run");
    CHECK(commands.list().size() == 1);
    auto removed = std::async(std::launch::async, [&] { commands.remove("p", "x.run"); });
    open.set_value();
    removed.wait();
    CHECK(answer.get() == "{}");
    CHECK(commands.list().empty());
    CHECK_THROWS_AS(commands.run("x.run", "{}"), tenon::Error);
}

TEST_CASE("the data folder has one owner, who is named", "[kernel][K1]") {
    TempDir dir;
    const auto path = dir.path() / "deep" / "data";
    {
        const DataDir first{path};

        struct stat info {};

        REQUIRE(::stat(path.c_str(), &info) == 0);
        CHECK((info.st_mode & 0777U) == 0700U);
        CHECK(first.fresh());
        CHECK_THROWS_WITH(
            DataDir{path},
            Catch::Contains("process " + std::to_string(::getpid())) &&
                Catch::Contains(path.string())
        );
        first.write("deployment.json", "{}");
        CHECK_FALSE(first.fresh());
    }
    CHECK_NOTHROW(DataDir{path});
    write_file(dir.path() / "file", "");
    CHECK_THROWS_AS(DataDir{dir.path() / "file"}, InUse);
    CHECK_THROWS_AS(DataDir{"/proc/tenon"}, InUse);
}

TEST_CASE("addresses to listen on are checked", "[kernel][K1]") {
    CHECK_NOTHROW(probe_listen("127.0.0.1:0"));
    CHECK_NOTHROW(probe_listen("[::1]:0"));
    for (const char* bad : {"127.0.0.1", ":80", "127.0.0.1:x", "127.0.0.1:70000", "nohost:1"}) {
        CHECK_THROWS_AS(probe_listen(bad), std::invalid_argument);
    }
    CHECK_THROWS_AS(probe_listen("203.0.113.7:0"), InUse);
}

TEST_CASE("systemd is told over its socket, when it asked", "[kernel][K1]") {
    const TempDir dir;
    const std::string path = (dir.path() / "notify").string();
    const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    notify_systemd("UNHEARD=1");
    REQUIRE(::setenv("NOTIFY_SOCKET", path.c_str(), 1) == 0);
    notify_systemd("READY=1");
    ::unsetenv("NOTIFY_SOCKET");
    char text[32] = {};
    CHECK(::recv(fd, text, sizeof text, MSG_DONTWAIT) == 7);
    CHECK(std::string{text} == "READY=1");
    ::close(fd);
}

TEST_CASE("a control call that hangs is left behind", "[kernel][loader]") {
    // What the lost task touches must outlive it.
    static std::promise<void> open;
    tenon::loader::ControlThread control{[] {}};
    CHECK(control.run([] {}, std::chrono::seconds{10}));
    CHECK_FALSE(control.lost());
    CHECK_FALSE(control.run([] { open.get_future().wait(); }, std::chrono::milliseconds{1}));
    CHECK(control.lost());
    bool ran = false;
    CHECK(control.run([&] { ran = true; }, std::chrono::seconds{10}));
    CHECK(ran);
    open.set_value();
}

TEST_CASE("secret references are resolved where the schema says so", "[kernel][S8]") {
    TempDir dir;
    write_file(dir.path() / "pw", "hunter2\n");
    const auto schema = boost::json::parse(R"({"type":"object","properties":{
        "a":{"type":"string","x-secret":true},"b":{"type":"string"}}})");
    boost::json::value config{{"a", "file:pw"}, {"b", "file:pw"}};
    tenon::manifest::resolve_secrets(schema.as_object(), config, dir.path());
    CHECK(config.at("a") == "hunter2");
    CHECK(config.at("b") == "file:pw");
    boost::json::value missing{{"a", "file:nothing"}};
    CHECK_THROWS_WITH(
        tenon::manifest::resolve_secrets(schema.as_object(), missing, dir.path()),
        Catch::Contains("file:nothing")
    );
}
