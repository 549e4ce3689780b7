// SPDX-License-Identifier: Apache-2.0
#include "tests/support/postgres_server.hpp"

#include <libpq-fe.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <grp.h>
#include <memory>
#include <netinet/in.h>
#include <poll.h>
#include <pwd.h>
#include <sstream>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tenon::test {
namespace fs = std::filesystem;

namespace {

constexpr auto k_start_patience = std::chrono::seconds{60};
constexpr int k_end_patience_ms = 60'000;
constexpr auto k_stop_patience = std::chrono::seconds{30};
constexpr int k_nap_ms = 5;
constexpr int k_port_attempts = 5;

[[noreturn]] void fail(const std::string& what) {
    throw std::runtime_error{"PostgreSQL for the test: " + what};
}

[[noreturn]] void fail_errno(const std::string& what) {
    fail(what + ": " + std::strerror(errno));
}

void nap() {
    ::poll(nullptr, 0, k_nap_ms);
}

// PostgreSQL refuses to run as root; nullptr: it runs as whoever runs the test.
const passwd* server_user() {
    if (::geteuid() != 0) {
        return nullptr;
    }
    const passwd* user = ::getpwnam("postgres");
    if (user == nullptr) {
        fail("run as root it needs a user 'postgres', and there is none");
    }
    return user;
}

// In a forked child, before exec.
void become_server_user(const passwd* user) {
    if (user != nullptr && (::setgroups(0, nullptr) != 0 || ::setgid(user->pw_gid) != 0 ||
                            ::setuid(user->pw_uid) != 0)) {
        ::_exit(126);
    }
}

struct Child {
    pid_t pid;
    int output;
};

// Both outputs go to `output`; -1: to a pipe that is handed back.
Child spawn(const std::vector<std::string>& words, const fs::path& folder, int output) {
    std::vector<char*> argv;
    for (const std::string& word : words) {
        argv.push_back(const_cast<char*>(word.c_str()));
    }
    argv.push_back(nullptr);
    std::array<int, 2> ends{-1, -1};
    if (output < 0 && ::pipe2(ends.data(), O_CLOEXEC) != 0) {
        fail_errno("pipe");
    }
    const passwd* user = server_user();
    const pid_t pid = ::fork();
    if (pid < 0) {
        fail_errno("fork");
    }
    if (pid == 0) {
        become_server_user(user);
        const int to = output < 0 ? ends[1] : output;
        const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (::dup2(null, 0) < 0 || ::dup2(to, 1) < 0 || ::dup2(to, 2) < 0 ||
            ::chdir(folder.c_str()) != 0) {
            ::_exit(126);
        }
        ::setsid();  // a terminal's ^C is the test's
        ::setenv("LC_ALL", "C.UTF-8", 1);
        ::unsetenv("PGDATA");
        ::unsetenv("PGOPTIONS");
        ::execv(argv[0], argv.data());
        ::_exit(127);
    }
    if (output < 0) {
        ::close(ends[1]);
    }
    return {pid, ends[0]};
}

int free_port() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    const bool ok =
        fd >= 0 && ::bind(fd, generic, size) == 0 && ::getsockname(fd, generic, &size) == 0;
    ::close(fd);
    if (!ok) {
        fail_errno("no free port");
    }
    return ntohs(address.sin_port);
}

using Connection = std::unique_ptr<PGconn, decltype(&PQfinish)>;

Connection connect(const std::string& conninfo) {
    Connection connection{PQconnectdb(conninfo.c_str()), &PQfinish};
    if (PQstatus(connection.get()) != CONNECTION_OK) {
        fail(PQerrorMessage(connection.get()));
    }
    return connection;
}

}  // namespace

fs::path PostgresServer::bin_folder() {
    if (const char* set = std::getenv("TENON_POSTGRES_BIN"); set != nullptr) {
        return set;
    }
    int newest = 0;
    fs::path found;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator{"/usr/lib/postgresql", ignored}) {
        const int version = std::atoi(entry.path().filename().c_str());
        if (version > newest && fs::exists(entry.path() / "bin/initdb")) {
            newest = version;
            found = entry.path() / "bin";
        }
    }
    if (found.empty()) {
        fail(
            "not installed; expected /usr/lib/postgresql/*/bin/initdb, or the folder of initdb in "
            "TENON_POSTGRES_BIN (tools/bootstrap installs it)"
        );
    }
    return found;
}

PostgresServer::PostgresServer(PostgresOptions options) : options_{std::move(options)} {
    // Short: a socket's path has 107 characters at most.
    std::string pattern = (fs::temp_directory_path() / "tnpg-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) {
        fail_errno("no temporary folder");
    }
    folder_ = pattern;
    try {
        own(folder_);
        guard();
        if (!options_.empty) {
            initialise();
            start();
        }
    } catch (...) {
        reap();
        ::close(guard_pipe_);
        ::waitpid(guard_, nullptr, 0);
        throw;
    }
}

PostgresServer::~PostgresServer() {
    reap();
    // The guard removes the folder: it can, whoever owns what is in it.
    ::close(guard_pipe_);
    ::waitpid(guard_, nullptr, 0);
}

// A process that outlives the test and cleans up after it: its standard input ends with the test.
void PostgresServer::guard() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        fail_errno("pipe");
    }
    static constexpr const char* k_script =
        "trap '' INT TERM HUP\n"
        "read ignored\n"
        "pid=$(head -n 1 \"$0/data/postmaster.pid\" 2>/dev/null)\n"
        "if [ -n \"$pid\" ] && [ \"$(cat /proc/$pid/comm 2>/dev/null)\" = postgres ]; then\n"
        "  for p in $pid $(cat /proc/$pid/task/$pid/children); do kill -9 $p; done 2>/dev/null\n"
        "fi\n"
        // A process that is being killed may still make a file.
        "for i in 1 2 3 4 5 6 7 8 9; do rm -rf \"$0\" && exit; sleep 0.2; done\n";
    guard_ = ::fork();
    if (guard_ < 0) {
        fail_errno("fork");
    }
    if (guard_ == 0) {
        ::setsid();
        if (::dup2(ends[0], 0) < 0) {
            ::_exit(126);
        }
        // What the test's output is piped to must not wait for the guard.
        const int null = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
        ::dup2(null, 1);
        ::dup2(null, 2);
        ::execl("/bin/sh", "sh", "-c", k_script, folder_.c_str(), nullptr);
        ::_exit(127);
    }
    ::close(ends[0]);
    guard_pipe_ = ends[1];
}

void PostgresServer::own(const fs::path& path) const {
    if (const passwd* user = server_user(); user != nullptr) {
        if (::chown(path.c_str(), user->pw_uid, user->pw_gid) != 0) {
            fail_errno("cannot give " + path.string() + " to user postgres");
        }
    }
}

void PostgresServer::initialise() {
    (void)tool(
        "initdb",
        {"-D",
         data_folder().string(),
         "-U",
         "postgres",
         "-A",
         "trust",
         "--locale=C.UTF-8",
         "-E",
         "UTF8",
         "--no-sync",
         "--no-instructions"}
    );
    if (!options_.host_access.empty()) {
        const fs::path file = data_folder() / "pg_hba.conf";
        std::ostringstream rest;
        rest << std::ifstream{file}.rdbuf();
        std::ofstream out{file, std::ios::trunc};
        for (const std::string& line : options_.host_access) {
            out << line << '\n';
        }
        out << rest.str();
    }
    write_settings();
}

void PostgresServer::write_settings() {
    configure({
        {"unix_socket_directories", folder_.string()},
        {"fsync", options_.fsync ? "on" : "off"},
        {"max_connections", "150"},
        {"shared_buffers", "64MB"},
        {"log_checkpoints", "off"},
        {"log_line_prefix", "%m [%p] "},
    });
    configure(options_.settings);
}

void PostgresServer::configure(const std::map<std::string, std::string>& settings) {
    std::ofstream out{data_folder() / "postgresql.conf", std::ios::app};
    for (const auto& [name, value] : settings) {
        std::string quoted;
        for (const char c : value) {
            quoted.append(c == '\'' ? 2 : 1, c);
        }
        out << name << " = '" << quoted << "'\n";
    }
    if (!out.flush()) {
        fail("cannot write postgresql.conf");
    }
}

bool PostgresServer::launch() {
    const fs::path file = folder_ / "log";
    const int out = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (out < 0) {
        fail_errno("cannot write its log");
    }
    // On the command line: a copy made by pg_basebackup brings the settings of its origin.
    const Child child = spawn(
        {(bin_folder() / "postgres").string(),
         "-D",
         data_folder().string(),
         "-p",
         std::to_string(port_),
         "-k",
         folder_.string(),
         "-h",
         options_.tcp ? "127.0.0.1" : ""},
        folder_,
        out
    );
    ::close(out);
    server_ = child.pid;
    return wait_until_accepting();
}

bool PostgresServer::wait_until_accepting() {
    const auto deadline = std::chrono::steady_clock::now() + k_start_patience;
    const std::string info = conninfo();
    while (running()) {
        if (PQping(info.c_str()) == PQPING_OK) {
            return true;
        }
        if (std::chrono::steady_clock::now() > deadline) {
            reap();
            break;
        }
        nap();
    }
    return false;
}

void PostgresServer::start() {
    if (running()) {
        return;
    }
    for (int attempt = 0; attempt < k_port_attempts; ++attempt) {
        if (options_.tcp && (port_ == 5432 || attempt > 0)) {
            port_ = free_port();
        }
        if (launch()) {
            return;
        }
        if (!options_.tcp) {
            break;
        }
    }
    fail("the server does not start:\n" + log());
}

void PostgresServer::stop() {
    if (!running()) {
        return;
    }
    resume();
    ::kill(server_, SIGINT);
    const auto deadline = std::chrono::steady_clock::now() + k_stop_patience;
    while (running()) {
        if (std::chrono::steady_clock::now() > deadline) {
            reap();
            fail("the server does not stop:\n" + log());
        }
        nap();
    }
}

std::vector<pid_t> PostgresServer::processes() const {
    const std::string pid = std::to_string(server_);
    std::ifstream in{"/proc/" + pid + "/task/" + pid + "/children"};
    std::vector<pid_t> all{server_};
    for (pid_t child = 0; in >> child;) {
        all.push_back(child);
    }
    return all;
}

void PostgresServer::reap() noexcept {
    if (server_ <= 0) {
        return;
    }
    std::vector<int> ending;
    try {
        // Stopped first, so that it starts nothing while its processes are looked up.
        ::kill(server_, SIGSTOP);
        for (const pid_t pid : processes()) {
            // glibc's header lacks the linkage for C++.
            const auto fd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
            if (fd >= 0) {
                ending.push_back(fd);
            }
            ::kill(pid, SIGKILL);
        }
    } catch (...) {
        ::kill(server_, SIGKILL);
    }
    ::waitpid(server_, nullptr, 0);
    server_ = -1;
    // They hold its shared memory until they are gone, and none starts on the folder before.
    for (const int fd : ending) {
        pollfd end{fd, POLLIN, 0};
        (void)::poll(&end, 1, k_end_patience_ms);
        ::close(fd);
    }
}

void PostgresServer::kill_9() {
    if (!running()) {
        return;
    }
    reap();
}

void PostgresServer::pause() {
    if (!running()) {
        fail("cannot pause, it does not run");
    }
    ::kill(server_, SIGSTOP);
    for (const pid_t pid : processes()) {
        ::kill(pid, SIGSTOP);
    }
}

void PostgresServer::resume() {
    if (!running()) {
        fail("cannot resume, it does not run");
    }
    for (const pid_t pid : processes()) {
        ::kill(pid, SIGCONT);
    }
}

bool PostgresServer::running() {
    if (server_ <= 0) {
        return false;
    }
    if (::waitpid(server_, nullptr, WNOHANG) == 0) {
        return true;
    }
    server_ = -1;
    return false;
}

std::string PostgresServer::log() const {
    std::ostringstream text;
    text << std::ifstream{folder_ / "log"}.rdbuf();
    return text.str();
}

std::string PostgresServer::conninfo(std::string_view database) const {
    return "host=" + folder_.string() + " port=" + std::to_string(port_) +
           " user=postgres dbname=" + std::string{database};
}

std::string PostgresServer::tcp_conninfo(std::string_view database) const {
    if (!options_.tcp) {
        fail("it was started without TCP");
    }
    return "host=127.0.0.1 port=" + std::to_string(port_) +
           " user=postgres dbname=" + std::string{database};
}

std::string PostgresServer::create_database(std::string name) {
    if (name.empty()) {
        name = "t" + std::to_string(++databases_);
    }
    (void)execute("CREATE DATABASE \"" + name + "\"");
    return name;
}

void PostgresServer::drop_database(const std::string& name) {
    (void)execute("DROP DATABASE IF EXISTS \"" + name + "\" WITH (FORCE)");
}

void PostgresServer::clear_database(const std::string& name) {
    (void)execute(
        "SET client_min_messages = warning; DROP SCHEMA public CASCADE; CREATE SCHEMA public", name
    );
}

std::string PostgresServer::execute(const std::string& sql, std::string_view database) {
    const Connection connection = connect(conninfo(database));
    const std::unique_ptr<PGresult, decltype(&PQclear)> result{
        PQexec(connection.get(), sql.c_str()), &PQclear};
    const auto status = PQresultStatus(result.get());
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        fail(PQerrorMessage(connection.get()));
    }
    if (PQntuples(result.get()) == 0 || PQnfields(result.get()) == 0) {
        return "";
    }
    return PQgetvalue(result.get(), 0, 0);
}

std::string PostgresServer::tool(const std::string& name, const std::vector<std::string>& arguments)
    const {
    std::vector<std::string> words{(bin_folder() / name).string()};
    words.insert(words.end(), arguments.begin(), arguments.end());
    const Child child = spawn(words, folder_, -1);
    std::string output;
    std::array<char, 4096> buffer{};
    for (ssize_t n = 0; (n = ::read(child.output, buffer.data(), buffer.size())) != 0;) {
        if (n < 0 && errno != EINTR) {
            break;
        }
        output.append(buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    }
    ::close(child.output);
    int status = 0;
    ::waitpid(child.pid, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fail(name + " failed:\n" + output);
    }
    return output;
}

}  // namespace tenon::test
