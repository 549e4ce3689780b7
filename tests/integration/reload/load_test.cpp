// SPDX-License-Identifier: Apache-2.0
// A real server, the conservative deployment, signed REST orders on connections that stay, and a
// hundred reloads meanwhile, or restarts of each plugin, or new libraries.
#include "tests/integration/kernel/process.hpp"
#include "tests/integration/reload/new_library.hpp"
#include "tests/integration/reload/open_files.hpp"
#include "tools/cli/admin_client.hpp"
#include "tools/cli/http_client.hpp"

#include <catch2/catch.hpp>

#include <arpa/inet.h>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

using tenon::cli::AdminClient;
using tenon::test::build_dir;
using tenon::test::open_files;
using tenon::test::Process;
using tenon::test::TempDir;
using tenon::test::told;
using tenon::test::write_file;
namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

constexpr int k_reloads = 100;
constexpr int k_spans = 6;
constexpr std::int64_t k_span_growth_kb = 512;
constexpr int k_clients = 4;
constexpr std::int64_t k_plenty = 4'000'000'000;

std::string contents(const fs::path& file) {
    std::ifstream in{file};
    return {std::istreambuf_iterator<char>{in}, {}};
}

// A number of /proc/PID/status.
std::int64_t status_of(pid_t pid, const std::string& key) {
    std::ifstream in{"/proc/" + std::to_string(pid) + "/status"};
    for (std::string line; std::getline(in, line);) {
        if (line.starts_with(key + ":")) {
            return std::stoll(line.substr(key.size() + 1));
        }
    }
    return -1;
}

class Server {
public:
    // With `own_plugins` the folder of plugins is a copy of its own.
    explicit Server(bool own_plugins = false) {
        const char* source = std::getenv("TENON_SOURCE_DIR");
        REQUIRE(source != nullptr);
        const fs::path etc = fs::path{source} / "etc/deployments";
        document_ = json::parse(contents(etc / "conservative.json")).as_object();
        document_["x-deployment-dir"] = etc.string();
        setting("engine", "demo_account") =
            json::object{{"name", "demo"}, {"funds", {{"BTC", "100000"}, {"ETH", "1000000"}}}};
        for (const char* limit :
             {"weight_per_minute",
              "requests_per_5_minutes",
              "orders_per_10_seconds",
              "orders_per_day"}) {
            setting("binance", limit) = k_plenty;
        }
        // Checks of the database begin a minute after the start and take memory while they run.
        for (const char* check : {"views_every_s", "integrity_every_s"}) {
            setting("upkeep", check) = 0;
        }
        write();
        std::vector<std::string> command{
            (build_dir() / "bin/tenond").string(),
            "--listen",
            "127.0.0.1:0",
            "--deployment",
            file().string(),
            "--data-dir",
            data().string()};
        if (own_plugins) {
            fs::create_directories(plugins());
            for (const auto& one : fs::directory_iterator{build_dir() / "plugins"}) {
                if (fs::exists(one.path() / "plugin.json")) {
                    fs::copy(one.path(), plugins() / one.path().filename());
                }
            }
            command.insert(command.end(), {"--plugin-path", plugins().string()});
        }
        process_ = std::make_unique<Process>(std::move(command));
        REQUIRE(process_->says("event=ready"));
        address_ = contents(data() / "listen");
        address_.erase(address_.find_last_not_of('\n') + 1);
        const json::value key =
            admin("keys.create", {{"account", "demo"}, {"permissions", {"trade", "read"}}});
        key_ = key.at("api_key").as_string();
        secret_ = key.at("secret").as_string();
    }

    json::value& setting(const char* plugin, const char* name) {
        json::object& entry = document_["plugins"].as_object()[plugin].as_object();
        json::value& config = entry["config"];
        if (!config.is_object()) {
            config.emplace_object();
        }
        return config.as_object()[name];
    }

    void write() const {
        // By rename: a reload never sees half a file.
        write_file(file().string() + ".new", json::serialize(document_));
        fs::rename(file().string() + ".new", file());
    }

    json::value admin(const std::string& command, const json::object& args) const {
        auto client = AdminClient::connect(data());
        REQUIRE(client);
        return client->run(command, args);
    }

    [[nodiscard]] std::int64_t weight_limit() const {
        const auto answer =
            tenon::cli::http_request(address_, "GET", "/api/v3/exchangeInfo?symbol=ETHBTC");
        REQUIRE(answer.status == 200);
        const json::value info = json::parse(answer.body);
        for (const json::value& limit : info.at("rateLimits").as_array()) {
            if (limit.at("rateLimitType") == "REQUEST_WEIGHT") {
                return limit.at("limit").to_number<std::int64_t>();
            }
        }
        return -1;
    }

    // Of an order that was acknowledged.
    [[nodiscard]] std::string look_up(const std::string& order_id) const {
        return sign("symbol=ETHBTC&orderId=" + order_id + "&recvWindow=60000&timestamp=");
    }

    [[nodiscard]] std::string order(bool buy) const {
        return sign(
            "symbol=ETHBTC&side=" + std::string{buy ? "BUY" : "SELL"} +
            "&type=LIMIT&timeInForce=GTC&quantity=0.100&price=0.05000&recvWindow=60000&timestamp="
        );
    }

    // A request for /api/v3/order; the query lacks the time and the signature.
    [[nodiscard]] std::string sign(std::string query) const {
        const auto now = std::chrono::system_clock::now().time_since_epoch();
        query += std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
        return "/api/v3/order?" + query +
               "&signature=" + tenon::cli::hmac_sha256_hex(secret_, query);
    }

    [[nodiscard]] fs::path file() const { return dir_.path() / "d.json"; }

    [[nodiscard]] fs::path plugins() const { return dir_.path() / "plugins"; }

    [[nodiscard]] fs::path data() const { return dir_.path() / "data"; }

    [[nodiscard]] Process& process() const { return *process_; }

    [[nodiscard]] const std::string& address() const { return address_; }

    [[nodiscard]] const std::string& key() const { return key_; }

private:
    TempDir dir_;
    json::object document_;
    std::unique_ptr<Process> process_;
    std::string address_, key_, secret_;
};

// Orders one after the other on one connection that stays.
class Client {
public:
    explicit Client(const Server& server) : server_{&server} {
        fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        // As it is now: a restart of the gateway takes another free port.
        const std::string address = contents(server.data() / "listen");
        const auto colon = address.find(':');
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(static_cast<std::uint16_t>(std::stoi("0" + address.substr(colon + 1))));
        ::inet_pton(AF_INET, address.substr(0, colon).c_str(), &to.sin_addr);
        if (::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) {
            ::close(fd_);
            throw std::runtime_error{"no connection"};
        }
    }

    ~Client() { ::close(fd_); }

    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    // "" when the order was taken, else what came instead.
    std::string order(bool buy) {
        const std::string text = ask("POST", server_->order(buy));
        return text.starts_with("HTTP/1.1 200") ? std::string{} : text;
    }

    // The whole answer, or what went wrong.
    std::string ask(const std::string& method, const std::string& target) {
        const std::string request = method + " " + target +
                                    " HTTP/1.1\r\nHost: t\r\nX-MBX-APIKEY: " + server_->key() +
                                    "\r\nContent-Length: 0\r\n\r\n";
        if (::send(fd_, request.data(), request.size(), MSG_NOSIGNAL) !=
            static_cast<ssize_t>(request.size())) {
            return "the connection is gone";
        }
        std::string text;
        for (;;) {
            const auto head = text.find("\r\n\r\n");
            if (head != std::string::npos) {
                const auto length = text.find("Content-Length: ");
                const std::size_t body = std::stoul(text.substr(length + 16));
                if (text.size() >= head + 4 + body) {
                    return text;
                }
            }
            char block[4096];
            const ssize_t got = ::recv(fd_, block, sizeof block, 0);
            if (got <= 0) {
                return "the connection ended: " + text;
            }
            text.append(block, static_cast<std::size_t>(got));
        }
    }

private:
    const Server* server_;
    int fd_;
};

class Load {
public:
    explicit Load(const Server& server) {
        for (int i = 0; i < k_clients; ++i) {
            threads_.emplace_back([this, &server] {
                Client client{server};
                for (bool buy = false; !stop_; buy = !buy) {
                    const std::string wrong = client.order(buy);
                    if (!wrong.empty()) {
                        const std::lock_guard lock{mutex_};
                        wrong_ += wrong + "\n";
                        return;
                    }
                    ++orders_;
                }
            });
        }
    }

    ~Load() { end(); }

    Load(const Load&) = delete;
    Load& operator=(const Load&) = delete;

    void end() {
        stop_ = true;
        for (std::thread& thread : threads_) {
            thread.join();
        }
        threads_.clear();
    }

    // Waits until so many more orders were answered.
    void pass(std::uint64_t more) {
        const std::uint64_t until = orders_ + more;
        while (orders_ < until && wrong().empty()) {
            (void)::poll(nullptr, 0, 1);
        }
    }

    std::string wrong() {
        const std::lock_guard lock{mutex_};
        return wrong_;
    }

    [[nodiscard]] std::uint64_t orders() const { return orders_; }

private:
    std::atomic<bool> stop_{false};
    std::atomic<std::uint64_t> orders_{0};
    std::mutex mutex_;
    std::string wrong_;  // guarded by mutex_
    std::vector<std::thread> threads_;
};

// Orders on a connection that is made anew whenever it ends; the ids of those that were taken.
std::vector<std::string> place_orders(const Server& server, const std::atomic<bool>& stop) {
    std::vector<std::string> taken;
    std::unique_ptr<Client> client;
    for (bool buy = false; !stop; buy = !buy) {
        std::string answer;
        try {
            if (!client) {
                client = std::make_unique<Client>(server);
            }
            answer = client->ask("POST", server.order(buy));
        } catch (const std::exception&) {
            answer.clear();  // nobody listens for the moment
        }
        const auto id = answer.find("\"orderId\":");
        if (answer.starts_with("HTTP/1.1 200") && id != std::string::npos) {
            const std::size_t begin = id + 10;
            taken.push_back(answer.substr(begin, answer.find(',', begin) - begin));
        } else {
            client.reset();
        }
        (void)::poll(nullptr, 0, client ? 2 : 10);  // leaves the machine to what restarts
    }
    return taken;
}

// A plugin with its folder and the library that was built.
struct Kind {
    const char* name;
    fs::path folder;
    std::string library;
};

// Gives the server another build of it; the number of its replaced libraries.
int replace(const Server& server, const Kind& kind, int build) {
    tenon::test::install(kind.folder, tenon::test::another_build(kind.library, build));
    const json::value answer =
        server.admin("plugins.reload", {{"plugin", kind.name}, {"watch_ms", 0}});
    INFO(json::serialize(answer));
    REQUIRE(answer.at("result") == "replaced");
    REQUIRE(answer.at("way") == "side by side");
    return answer.at("old_images").to_number<int>();
}

}  // namespace

TEST_CASE("each plugin restarted under orders comes back and loses none", "[restart][M6]") {
    Server server;
    const pid_t pid = server.process().pid();
    const json::value plugins = server.admin("plugins.list", {});
    std::atomic<bool> stop{false};
    std::array<std::vector<std::string>, 2> taken;
    std::vector<std::thread> threads;
    for (std::vector<std::string>& mine : taken) {
        threads.emplace_back([&] { mine = place_orders(server, stop); });
    }
    std::int64_t running = 0;
    for (int round = 0; round < 2; ++round) {
        for (const json::value& plugin : plugins.as_array()) {
            const json::value answer =
                server.admin("plugins.restart", {{"plugin", plugin.at("name")}});
            INFO(json::serialize(answer));
            CHECK(answer.at("ok") == true);
            CHECK(server.admin("status", {}).at("ready") == true);
        }
        // What is opened when it is first wanted is open after the first round.
        const std::int64_t now = status_of(pid, "Threads");
        CHECK((round == 0 || now == running));
        running = now;
    }
    stop = true;
    for (std::thread& thread : threads) {
        thread.join();
    }
    Client client{server};
    std::size_t count = 0;
    for (const std::vector<std::string>& mine : taken) {
        for (const std::string& id : mine) {
            const std::string answer = client.ask("GET", server.look_up(id));
            INFO(id << ": " << answer);
            REQUIRE(answer.starts_with("HTTP/1.1 200"));
            ++count;
        }
    }
    CHECK(count > 0);
    std::cout << count << " orders taken during restarts of " << plugins.as_array().size()
              << " plugins, twice\n";
    server.process().signal(SIGTERM);
    CHECK(server.process().wait().code == 0);
}

TEST_CASE(
    "each plugin given a new library under orders comes back and loses none",
    "[replace][K5]"
) {
    Server server{true};
    const json::value plugins = server.admin("plugins.list", {});
    std::map<std::string, fs::path> folders;  // by id
    for (const auto& one : fs::directory_iterator{server.plugins()}) {
        const json::value manifest = json::parse(contents(one.path() / "plugin.json"));
        folders[manifest.at("id").as_string().c_str()] = one.path();
    }
    std::atomic<bool> stop{false};
    std::vector<std::string> taken;
    std::thread trader{[&] { taken = place_orders(server, stop); }};
    for (const json::value& plugin : plugins.as_array()) {
        const fs::path folder = folders.at(plugin.at("id").as_string().c_str());
        const std::string library = contents(folder / (folder.filename().string() + ".so"));
        tenon::test::install(folder, tenon::test::another_build(library, 1));
        const json::value answer =
            server.admin("plugins.reload", {{"plugin", plugin.at("name")}, {"watch_ms", 0}});
        INFO(json::serialize(answer));
        CHECK(answer.at("result") == "replaced");
        CHECK(server.admin("status", {}).at("ready") == true);
    }
    stop = true;
    trader.join();
    Client client{server};
    for (const std::string& id : taken) {
        const std::string answer = client.ask("GET", server.look_up(id));
        INFO(id << ": " << answer);
        REQUIRE(answer.starts_with("HTTP/1.1 200"));
    }
    CHECK(!taken.empty());
    std::cout << taken.size() << " orders taken during a new library of each of "
              << plugins.as_array().size() << " plugins\n";
    server.process().signal(SIGTERM);
    CHECK(server.process().wait().code == 0);
}

TEST_CASE("a hundred reloads under load lose no request and leak nothing", "[reload][K5]") {
    Server server;
    const pid_t pid = server.process().pid();
    Load load{server};
    load.pass(100);
    // Not while a connection of before is still closing.
    auto files = open_files(pid);
    for (int i = 0; i < 50; ++i) {
        load.pass(1);
        files = std::min(files, open_files(pid), [](const auto& a, const auto& b) {
            return a.at("socket") < b.at("socket");
        });
    }
    const std::int64_t threads = status_of(pid, "Threads");
    std::int64_t generation = 1;
    std::int64_t weight = k_plenty;
    for (int i = 1; i <= k_reloads; ++i) {
        const bool good = i % 2 == 0;
        const bool by_signal = i % 4 < 2;
        const std::string mark = "bad-" + std::to_string(i);
        server.setting("binance", "weight_per_minute") = k_plenty - i;
        server.setting("http", "idle_timeout_ms") = 70'000 + i;
        server.setting("health", "probe_interval_ms") = 30'000 + i;
        server.setting("engine", "queue_max") = good ? 4096 : 4096 + i;
        server.setting("binance", "orders_per_day") =
            good ? json::value(k_plenty) : json::value(mark);
        server.write();
        if (by_signal) {
            server.process().signal(SIGHUP);
            const std::string said =
                good ? "result=applied generation=" + std::to_string(generation + 1) + " " : mark;
            REQUIRE(server.process().says(said));
        } else {
            const json::value answer = server.admin("reload", {});
            INFO(json::serialize(answer));
            REQUIRE(answer.at("reloaded") == good);
            // Every error, not only the first one.
            REQUIRE(answer.at("problems").as_array().size() == (good ? 0U : 2U));
        }
        generation += good ? 1 : 0;
        weight = good ? k_plenty - i : weight;
        // Comes after the reload; a bad deployment is still as bad.
        const json::value dry = server.admin("reload", {{"dry_run", true}});
        REQUIRE(dry.at("generation") == generation);
        REQUIRE(dry.at("ok") == good);
        REQUIRE(server.weight_limit() == weight);
        load.pass(20);
        REQUIRE(load.wrong() == "");
    }
    // One that a reload left open would be there a hundred times.
    constexpr int k_data_files_more = 4;
    const auto alike = [&](std::map<std::string, int> now) {
        const int more = now["data"] - files["data"];
        now["data"] = files["data"];
        return now == files && std::abs(more) <= k_data_files_more;
    };
    for (int i = 0; i < 2000 && !alike(open_files(pid)); ++i) {
        load.pass(1);
    }
    INFO("before " << told(files) << "now " << told(open_files(pid)));
    CHECK(alike(open_files(pid)));
    CHECK(status_of(pid, "Threads") == threads);
    load.end();
    CHECK(load.wrong() == "");
    CHECK(load.orders() >= 20U * k_reloads);
    std::cout << load.orders() << " orders during " << k_reloads << " reloads\n";

    // Without orders, which the history keeps, memory must not grow. What still goes on from the
    // orders (the history's writing, the database's own cache) grows it for a while; what a reload
    // leaks grows it in every span.
    std::int64_t grown_kb = 0;
    for (int span = 0; span < k_spans; ++span) {
        const std::int64_t before_kb = status_of(pid, "VmRSS");
        for (int i = 1; i <= k_reloads; ++i) {
            server.setting("binance", "weight_per_minute") = k_plenty - i;
            server.setting("engine", "queue_max") = 4096;
            server.write();
            REQUIRE(server.admin("reload", {}).at("reloaded") == true);
        }
        grown_kb = status_of(pid, "VmRSS") - before_kb;
        std::cout << "resident: " << grown_kb << " kB more after " << k_reloads << " reloads\n";
        if (grown_kb <= k_span_growth_kb) {
            break;
        }
    }
    CHECK(grown_kb <= k_span_growth_kb);
    server.process().signal(SIGTERM);
    CHECK(server.process().wait().code == 0);
}

TEST_CASE("new libraries under load lose no request and leak nothing", "[replace][K5]") {
    const int libraries = std::getenv("TENON_LONG") == nullptr ? 20 : k_reloads;
    Server server{true};
    const pid_t pid = server.process().pid();
    // Each library comes and comes back: new ones are mapped for good, so memory is looked at only
    // while known ones come.
    std::vector<Kind> kinds{
        {"throttle", server.plugins() / "throttle-token-bucket", {}},
        {"cache-memory", server.plugins() / "cache-memory", {}}};
    for (Kind& kind : kinds) {
        kind.library = contents(kind.folder / (kind.folder.filename().string() + ".so"));
        REQUIRE(!kind.library.empty());
    }
    Load load{server};
    load.pass(100);
    int images = 0;
    for (int i = 1; i <= libraries; ++i) {
        images = replace(server, kinds[static_cast<std::size_t>(i) % 2], i % 20);
        load.pass(5);
        REQUIRE(load.wrong() == "");
    }
    CHECK(images == 10);
    const std::int64_t threads = status_of(pid, "Threads");
    auto files = open_files(pid);
    load.end();
    CHECK(load.wrong() == "");
    std::cout << load.orders() << " orders during " << libraries << " new libraries\n";
    std::int64_t grown_kb = 0;
    for (int span = 0; span < k_spans; ++span) {
        const std::int64_t before_kb = status_of(pid, "VmRSS");
        for (int i = 1; i <= libraries; ++i) {
            (void)replace(server, kinds[static_cast<std::size_t>(i) % 2], i % 20);
        }
        grown_kb = status_of(pid, "VmRSS") - before_kb;
        std::cout << "resident: " << grown_kb << " kB more after " << libraries << " libraries\n";
        if (grown_kb <= k_span_growth_kb) {
            break;
        }
    }
    CHECK(grown_kb <= k_span_growth_kb);
    CHECK(status_of(pid, "Threads") == threads);
    CHECK(open_files(pid)["file"] == files["file"]);
    server.process().signal(SIGTERM);
    CHECK(server.process().wait().code == 0);
}

TEST_CASE("a limit that is lowered live is kept at once, and lifted again", "[reload][K5]") {
    Server server;
    Client client{server};
    CHECK(client.order(true).empty());
    server.setting("binance", "orders_per_10_seconds") = 1;
    server.setting("http", "connections_max") = 1;
    server.write();
    REQUIRE(server.admin("reload", {}).at("reloaded") == true);
    std::string answer = client.order(true);
    if (answer.empty()) {
        answer = client.order(true);  // a new window of ten seconds had begun
    }
    CHECK(answer.find("429") != std::string::npos);
    CHECK(tenon::cli::http_request(server.address(), "GET", "/api/v3/ping").status == 503);
    server.setting("binance", "orders_per_10_seconds") = k_plenty;
    server.setting("http", "connections_max") = 100;
    server.write();
    REQUIRE(server.admin("reload", {}).at("reloaded") == true);
    CHECK(client.order(false).empty());
    CHECK(tenon::cli::http_request(server.address(), "GET", "/api/v3/ping").status == 200);
}
