// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/postgres/clone.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tenon::postgres {
namespace {

constexpr std::size_t k_words_max = 4096;

// Closed with this object.
class Fd {
public:
    explicit Fd(int fd = -1) noexcept : fd_{fd} {}

    Fd(Fd&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}

    Fd& operator=(Fd&& other) noexcept {
        close();
        fd_ = std::exchange(other.fd_, -1);
        return *this;
    }

    ~Fd() { close(); }

    void close() noexcept {
        if (fd_ >= 0) {
            ::close(std::exchange(fd_, -1));
        }
    }

    [[nodiscard]] int get() const noexcept { return fd_; }

private:
    int fd_;
};

[[noreturn]] void refuse(const std::string& what) {
    throw DatabaseError{TENON_UNAVAILABLE, "cannot clone: " + what, Failure::permanent, ""};
}

std::pair<Fd, Fd> make_pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        refuse(std::strerror(errno));
    }
    return {Fd{ends[0]}, Fd{ends[1]}};
}

std::string tool(const Settings& settings, const std::string& name) {
    namespace fs = std::filesystem;
    if (!settings.tools.empty()) {
        return settings.tools + "/" + name;
    }
    int newest = 0;
    std::string found = name;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator{"/usr/lib/postgresql", ignored}) {
        const int version = std::atoi(entry.path().filename().c_str());
        if (version > newest && fs::exists(entry.path() / "bin" / name, ignored)) {
            newest = version;
            found = (entry.path() / "bin" / name).string();
        }
    }
    return found;
}

std::string conninfo_of(const Keywords& keywords, const std::string& database) {
    std::string text;
    for (const auto& [name, value] : keywords) {
        if (name == "password" || name == "sslpassword" || name == "dbname") {
            continue;
        }
        text.append(name).append("='");
        for (const char c : value) {
            text.append(c == '\'' || c == '\\' ? "\\" : "").push_back(c);
        }
        text.append("' ");
    }
    std::string escaped;
    for (const char c : database) {
        escaped.append(c == '\'' || c == '\\' ? "\\" : "").push_back(c);
    }
    return text + "dbname='" + escaped + "'";
}

// The password goes by the environment: a command line can be read by every user.
std::vector<std::string> environment_of(const Keywords& keywords) {
    std::vector<std::string> all;
    for (char** one = environ; *one != nullptr; ++one) {
        if (std::strncmp(*one, "PG", 2) != 0) {
            all.emplace_back(*one);
        }
    }
    for (const auto& [name, value] : keywords) {
        if (name == "password") {
            all.push_back("PGPASSWORD=" + value);
        }
    }
    return all;
}

std::vector<char*> pointers(std::vector<std::string>& words) {
    std::vector<char*> all;
    for (std::string& word : words) {
        all.push_back(word.data());
    }
    all.push_back(nullptr);
    return all;
}

pid_t spawn(
    std::vector<std::string> words,
    std::vector<std::string> environment,
    int in,
    int out,
    int errors
) {
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    const auto attach = [&](int fd, int as, int flags) {
        if (fd >= 0) {
            ::posix_spawn_file_actions_adddup2(&actions, fd, as);
        } else {
            ::posix_spawn_file_actions_addopen(&actions, as, "/dev/null", flags, 0);
        }
    };
    attach(in, 0, O_RDONLY);
    attach(out, 1, O_WRONLY);
    attach(errors, 2, O_WRONLY);
    pid_t pid = -1;
    const int code = ::posix_spawnp(
        &pid,
        words.front().c_str(),
        &actions,
        nullptr,
        pointers(words).data(),
        pointers(environment).data()
    );
    ::posix_spawn_file_actions_destroy(&actions);
    if (code != 0) {
        refuse("cannot run " + words.front() + ": " + std::strerror(code));
    }
    return pid;
}

// A program that is ended with this object, unless it ended before.
struct Child {
    pid_t pid;

    explicit Child(pid_t id) : pid{id} {}

    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    ~Child() {
        if (pid > 0) {
            ::kill(pid, SIGKILL);
            ::waitpid(pid, nullptr, 0);
        }
    }

    [[nodiscard]] bool succeeded() {
        int status = 0;
        const pid_t ended = ::waitpid(std::exchange(pid, -1), &status, 0);
        return ended > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }
};

// What the programs say, until both have ended. False: the deadline passed.
bool read_words(int fd, const Telemetry& telemetry, std::int64_t deadline_ns, std::string& words) {
    std::array<char, 1024> buffer{};
    for (;;) {
        const std::int64_t left_ns = deadline_ns - telemetry.now_ns();
        if (left_ns <= 0) {
            return false;
        }
        pollfd one{fd, POLLIN, 0};
        const int ms = static_cast<int>(std::min<std::int64_t>(left_ns / k_ms + 1, 1'000));
        if (::poll(&one, 1, ms) <= 0) {
            continue;
        }
        const ssize_t n = ::read(fd, buffer.data(), buffer.size());
        if (n == 0) {
            return true;
        }
        if (n > 0 && words.size() < k_words_max) {
            words.append(buffer.data(), static_cast<std::size_t>(n));
        }
    }
}

// The first complaint; a line of psql may quote a row, so what follows the colon of DETAIL and
// CONTEXT is left out.
std::string complaint(const std::string& words) {
    const std::size_t at = words.find("error: ");
    const std::size_t from = at == std::string::npos ? 0 : at;
    return words.substr(from, words.find('\n', from) - from);
}

}  // namespace

void copy_database(
    const Settings& settings,
    const Telemetry& telemetry,
    const Keywords& from,
    const std::string& into,
    bool with_rows,
    std::int64_t deadline_ns
) {
    std::string origin;
    for (const auto& [name, value] : from) {
        if (name == "dbname") {
            origin = value;
        }
    }
    auto [rows_out, rows_in] = make_pipe();
    auto [words_out, words_in] = make_pipe();
    std::vector<std::string> dump{
        tool(settings, "pg_dump"), "--no-owner", "--no-privileges", "--no-sync"};
    if (!with_rows) {
        dump.emplace_back("--schema-only");
    }
    dump.push_back("--dbname=" + conninfo_of(from, origin));
    const std::vector<std::string> load{
        tool(settings, "psql"),
        "-X",
        "-q",
        "-v",
        "ON_ERROR_STOP=1",
        "--single-transaction",
        "--dbname=" + conninfo_of(from, into)};
    Child writer{spawn(dump, environment_of(from), -1, rows_in.get(), words_in.get())};
    Child reader{spawn(load, environment_of(from), rows_out.get(), -1, words_in.get())};
    rows_in.close();
    rows_out.close();
    words_in.close();
    std::string words;
    if (!read_words(words_out.get(), telemetry, deadline_ns, words)) {
        throw DatabaseError{
            TENON_TIMEOUT, "the clone was not ready before the deadline", Failure::timeout, ""};
    }
    const bool dumped = writer.succeeded();
    const bool loaded = reader.succeeded();
    if (!dumped || !loaded) {
        refuse((dumped ? "psql: " : "pg_dump: ") + complaint(words));
    }
}

Database::Clone::~Clone() {
    if (const std::uint32_t out = copy ? copy->stop() : 0; out != 0) {
        // Somebody may still be using them: they must not go with the clone.
        (void)guard(nullptr, [&] {
            origin.telemetry_.log.error("clone_sessions_not_returned", {{"sessions", out}});
        });
        (void)copy.release();
    }
    copy.reset();
    (void)guard(nullptr, [&] {
        HostPool::Lease lease =
            origin.acquire(TENON_INTENT_WRITE, origin.telemetry_.now_ns() + 5 * k_second, "clone");
        lease->execute("DROP DATABASE IF EXISTS " + quoted_name(name) + " WITH (FORCE)");
    });
}

tenon_iface Database::clone(bool with_rows, std::int64_t deadline_ns) {
    const Inside call{*this};
    std::unique_ptr<Clone> made = make_clone(with_rows, deadline_ns);
    StorageProvider* const self = made->copy.get();
    const std::lock_guard lock{mutex_};
    if (stopping_) {
        refuse("the database is stopping");
    }
    clones_.emplace(self, std::move(made));
    return {self, StorageProvider::table(*self)};
}

std::unique_ptr<Database::Clone> Database::make_clone(bool with_rows, std::int64_t deadline_ns) {
    std::unique_ptr<Clone> made;
    Settings settings = settings_;
    const Keywords from = keywords_of(settings_)[hosts_.primary_or_first()];
    for (const auto& [name, value] : from) {
        if (name == "sslpassword" && !value.empty()) {
            refuse(
                "sslpassword is set in /conninfo, and pg_dump takes it on its command line alone, "
                "which every user can read; use a key file without a password"
            );
        }
    }
    {
        HostPool::Lease lease = acquire(TENON_INTENT_WRITE, deadline_ns, "clone");
        const std::string origin = lease->ask("SELECT current_database()");
        const std::string name =
            origin.substr(0, 30) + "_clone_" + std::to_string(telemetry_.now_ns());
        lease->execute("CREATE DATABASE " + quoted_name(name) + " TEMPLATE template0");
        made = std::make_unique<Clone>(*this, name);
    }
    copy_database(settings_, telemetry_, from, made->name, with_rows, deadline_ns);
    settings.hosts.clear();
    settings.conninfo = conninfo_of(from, made->name);
    for (const auto& [name, value] : from) {
        if (name == "password") {
            settings.password = value;
        }
    }
    settings.pool_min = 0;
    settings.pool_size = std::min<std::uint32_t>(settings.pool_size, 4);
    settings.trial = true;
    settings.statements_max = 0;
    settings.query_cache_mb = 0;
    settings.slow_query_ms = 0;
    Telemetry telemetry;  // its figures are not the database's
    telemetry.log = telemetry_.log;
    telemetry.clock = telemetry_.clock;
    made->copy = std::make_unique<Database>(std::move(settings), std::move(telemetry));
    {
        HostPool::Lease lease = made->copy->acquire(TENON_INTENT_WRITE, deadline_ns, "clone");
        lease->execute("ANALYZE");
    }
    return made;
}

void Database::drop_clone(tenon_iface clone) noexcept {
    std::unique_ptr<Clone> gone;
    const std::lock_guard lock{mutex_};
    if (const auto found = clones_.find(clone.self); found != clones_.end()) {
        gone = std::move(found->second);
        clones_.erase(found);
    }
}

}  // namespace tenon::postgres
