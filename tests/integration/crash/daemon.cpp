// SPDX-License-Identifier: Apache-2.0
#include "tests/integration/crash/daemon.hpp"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <poll.h>
#include <sstream>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tenon::test {
namespace {

namespace json = boost::json;
using std::chrono::steady_clock;

constexpr std::chrono::seconds k_patience{60};

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    if (value == nullptr) {
        throw std::runtime_error{std::string{name} + " is not set: run it through ctest"};
    }
    return value;
}

// Price scale 2, quantity scale 5: a unit of quantity is 1000 units of the asset.
constexpr const char* k_instruments = R"({
  "instruments_version": 1,
  "assets": [{"name":"USD","scale":8},{"name":"TST","scale":8}],
  "instruments": [{"symbol":"TSTUSD","base":"TST","quote":"USD","venue":"internal",
    "price_scale":2,"quantity_scale":5,"price":{"tick":"0.01"},"quantity":{"step":"0.00001"},
    "fees":{"maker":"0.001","taker":"0.002"}}]})";

}  // namespace

std::uint64_t environment_number(const char* name, std::uint64_t otherwise) {
    const char* text = std::getenv(name);
    return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

Daemon::Daemon() {
    std::string pattern = "/tmp/tenon-crash-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) {
        throw std::runtime_error{"mkdtemp"};
    }
    folder_ = pattern;
    write_deployment();
    if (::mkfifo((folder_ + "/pipe").c_str(), 0600) != 0) {
        throw std::runtime_error{"mkfifo"};
    }
}

Daemon::~Daemon() {
    if (pid_ != 0) {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    if (pipe_ >= 0) {
        ::close(pipe_);
    }
    if (std::getenv("TENON_KEEP") != nullptr) {
        return;
    }
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
}

void Daemon::write_deployment() {
    const std::string source = environment("TENON_SOURCE_DIR");
    const auto plugin = [](const char* id, json::object config) {
        return json::object{{"id", id}, {"grant", json::array{"*"}}, {"config", std::move(config)}};
    };
    // Small segments and frequent snapshots: their edges are met often.
    const json::object deployment{
        {"deployment_version", 1},
        {"name", "crash"},
        {"plugins",
         {{"instruments",
           plugin("tenon.trading.instruments", {{"file", folder_ + "/instruments.json"}})},
          {"storage", plugin("tenon.storage.sqlite", {})},
          {"migrations", plugin("tenon.migrations.sql", {{"folder", source + "/migrations"}})},
          {"internal", plugin("tenon.venue.internal", {})},
          {"engine",
           plugin(
               "tenon.trading.engine",
               {{"segment_mb", 1},
                {"snapshot_commands", 2000},
                {"history_orders_max", 3000},
                {"history_trades_max", 3000},
                {"projection_queue_max", 1000}}
           )},
          {"accounts", plugin("tenon.trading.accounts", {})},
          {"load", plugin("tenon.test.load", {{"acknowledgements", folder_ + "/pipe"}})}}}};
    std::ofstream{folder_ + "/instruments.json"} << k_instruments;
    std::ofstream{folder_ + "/deployment.json"} << json::serialize(deployment);
}

std::string Daemon::log_tail() const {
    std::ifstream file{folder_ + "/log"};
    std::stringstream all;
    all << file.rdbuf();
    const std::string text = all.str();
    return text.size() > 3000 ? text.substr(text.size() - 3000) : text;
}

void Daemon::start() {
    const std::string build = environment("TENON_BUILD_DIR");
    const std::string tenond = build + "/bin/tenond";
    const std::vector<std::string> arguments{
        tenond,
        "--deployment",
        folder_ + "/deployment.json",
        "--data-dir",
        folder_ + "/data",
        "--no-listen",
        "--plugin-path",
        build + "/plugins",
        "--plugin-path",
        build + "/tests/plugins"};
    std::vector<char*> raw;
    for (const std::string& argument : arguments) {
        raw.push_back(const_cast<char*>(argument.c_str()));
    }
    raw.push_back(nullptr);
    const std::string log = folder_ + "/log";
    pid_ = ::fork();
    if (pid_ == 0) {
        const int fd = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
        ::dup2(fd, 1);
        ::dup2(fd, 2);
        ::execv(tenond.c_str(), raw.data());
        ::_exit(127);
    }
    const auto deadline = steady_clock::now() + k_patience;
    for (;;) {
        try {
            const json::object status = admin("status", {});
            bool started = status.at("plugins").as_array().size() == 7;
            for (const json::value& plugin : status.at("plugins").as_array()) {
                const auto& state = plugin.as_object().at("state");
                if (state == "failed") {
                    throw std::logic_error{"a plugin failed\n" + log_tail()};
                }
                started = started && state == "started";
            }
            if (started) {
                return;
            }
        } catch (const std::runtime_error&) {
            if (::waitpid(pid_, nullptr, WNOHANG) == pid_) {
                pid_ = 0;
                throw std::runtime_error{"tenond ended at its start\n" + log_tail()};
            }
        }
        if (steady_clock::now() > deadline) {
            throw std::runtime_error{"tenond does not get ready\n" + log_tail()};
        }
        // Waits for nothing but time: the socket's file appears without a notice.
        ::poll(nullptr, 0, 5);
    }
}

void Daemon::wait_exit() {
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
}

void Daemon::kill() {
    ::kill(pid_, SIGKILL);
    wait_exit();
}

void Daemon::stop() {
    ::kill(pid_, SIGTERM);
    wait_exit();
}

json::object Daemon::admin(const std::string& command, const json::object& args) {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    struct Closer {
        int fd;

        ~Closer() { ::close(fd); }
    } closer{fd};

    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    (folder_ + "/data/admin.sock").copy(address.sun_path, sizeof address.sun_path - 1);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        throw std::runtime_error{"no admin socket"};
    }
    const std::string request =
        json::serialize(json::object{{"command", command}, {"args", args}}) + "\n";
    if (::send(fd, request.data(), request.size(), MSG_NOSIGNAL) < 0) {
        throw std::runtime_error{"the admin socket closed"};
    }
    std::string answer;
    std::vector<char> buffer(1 << 16);
    while (answer.empty() || answer.back() != '\n') {
        const auto n = ::recv(fd, buffer.data(), buffer.size(), 0);
        if (n <= 0) {
            throw std::runtime_error{"the admin socket closed"};
        }
        answer.append(buffer.data(), static_cast<std::size_t>(n));
    }
    const json::object parsed = json::parse(answer).as_object();
    if (const json::value* error = parsed.if_contains("error"); error != nullptr) {
        throw std::runtime_error{command + ": " + json::serialize(*error)};
    }
    const json::value& ok = parsed.at("ok");
    return ok.is_object() ? ok.as_object() : json::object{};
}

json::object Daemon::admin_when_available(const std::string& command) {
    const auto deadline = steady_clock::now() + k_patience;
    for (;;) {
        try {
            return admin(command, {});
        } catch (const std::runtime_error& error) {
            const bool later = std::string{error.what()}.find("UNAVAILABLE") != std::string::npos;
            if (!later || steady_clock::now() > deadline) {
                throw;
            }
        }
        ::poll(nullptr, 0, 20);
    }
}

void Daemon::start_load(std::uint64_t seed) {
    if (pipe_ >= 0) {
        ::close(pipe_);
    }
    // Opened first, so that the writer's open does not wait.
    pipe_ = ::open((folder_ + "/pipe").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    (void)::fcntl(pipe_, F_SETPIPE_SZ, 1 << 20);
    unread_.clear();
    lines_ = 0;
    (void)admin("load.start", {{"seed", seed}});
}

bool Daemon::read_some(Acknowledged& into) {
    std::vector<char> buffer(1 << 16);
    const auto n = ::read(pipe_, buffer.data(), buffer.size());
    if (n <= 0) {
        return n < 0 && errno == EAGAIN;
    }
    unread_.append(buffer.data(), static_cast<std::size_t>(n));
    std::size_t at = 0;
    for (auto end = unread_.find('\n'); end != std::string::npos; end = unread_.find('\n', at)) {
        take_line(unread_.substr(at, end - at), into);
        at = end + 1;
    }
    unread_.erase(0, at);
    return true;
}

void Daemon::take_line(const std::string& line, Acknowledged& into) {
    std::istringstream in{line.substr(1)};
    std::vector<std::int64_t> numbers;
    for (std::int64_t number = 0; in >> number;) {
        numbers.push_back(number);
    }
    ++lines_;
    if (line[0] == 'O') {
        into.orders[numbers[0]] = numbers;
    } else {
        into.trades.push_back(numbers);
    }
}

void Daemon::collect(Acknowledged& into, std::uint64_t lines) {
    const auto deadline = steady_clock::now() + k_patience;
    while (lines_ < lines) {
        pollfd waiting{pipe_, POLLIN, 0};
        ::poll(&waiting, 1, 1000);
        if (!read_some(into) || steady_clock::now() > deadline) {
            throw std::runtime_error{"the load has stopped\n" + log_tail()};
        }
    }
}

// The writer is dead, so the pipe ends behind what it left.
void Daemon::collect_rest(Acknowledged& into) {
    while (read_some(into)) {}
}

}  // namespace tenon::test
