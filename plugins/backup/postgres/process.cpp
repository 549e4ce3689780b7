// SPDX-License-Identifier: Apache-2.0
#include "plugins/backup/postgres/process.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace tenon::backup_postgres {
namespace {

constexpr std::size_t k_words_max = std::size_t{256} << 10U;
constexpr std::size_t k_block = std::size_t{256} << 10U;
constexpr int k_look_ms = 500;

class Fd {
public:
    explicit Fd(int fd = -1) noexcept : fd_{fd} {}

    Fd(Fd&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}

    Fd& operator=(Fd&& other) noexcept {
        close();
        fd_ = std::exchange(other.fd_, -1);
        return *this;
    }

    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;

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

std::pair<Fd, Fd> make_pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        throw Error{TENON_UNAVAILABLE, std::string{"cannot make a pipe: "} + std::strerror(errno)};
    }
    return {Fd{ends[0]}, Fd{ends[1]}};
}

// For what is written: a pipe whose reader has gone would end this process (SIGPIPE).
std::pair<Fd, Fd> make_socket() {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
        throw Error{
            TENON_UNAVAILABLE, std::string{"cannot make a socket: "} + std::strerror(errno)};
    }
    return {Fd{ends[0]}, Fd{ends[1]}};
}

struct User {
    uid_t uid = 0;
    gid_t gid = 0;
    bool changes = false;
};

User user_of_programs() {
    if (::geteuid() != 0) {
        return {};
    }
    const passwd* found = ::getpwnam("postgres");
    if (found == nullptr) {
        throw Error{
            TENON_UNAVAILABLE,
            "PostgreSQL's programs do not run as root, and there is no user \"postgres\""};
    }
    return {found->pw_uid, found->pw_gid, true};
}

std::vector<char*> pointers(std::vector<std::string>& words) {
    std::vector<char*> all;
    for (std::string& word : words) {
        all.push_back(word.data());
    }
    all.push_back(nullptr);
    return all;
}

std::vector<std::string> environment_of(const Command& command) {
    std::vector<std::string> all;
    for (char** one = environ; *one != nullptr; ++one) {
        if (std::strncmp(*one, "PG", 2) != 0 && std::strncmp(*one, "LC_", 3) != 0 &&
            std::strncmp(*one, "LANG", 4) != 0) {
            all.emplace_back(*one);
        }
    }
    all.insert(all.end(), command.environment.begin(), command.environment.end());
    all.emplace_back("LC_ALL=C.UTF-8");  // what it says is read here
    return all;
}

struct Ends {
    int in, out, errors;
};

// Nothing is allocated between fork and exec: other threads may hold the allocator's locks.
pid_t start(const Command& command, Ends ends) {
    std::vector<std::string> words = command.words;
    std::vector<std::string> environment = environment_of(command);
    const std::vector<char*> argv = pointers(words);
    const std::vector<char*> envp = pointers(environment);
    const User user = user_of_programs();
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid < 0) {
        throw Error{
            TENON_UNAVAILABLE, std::string{"cannot start a program: "} + std::strerror(errno)};
    }
    if (pid == 0) {
        const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
        if (::dup2(ends.in < 0 ? null : ends.in, 0) < 0 ||
            ::dup2(ends.out < 0 ? null : ends.out, 1) < 0 || ::dup2(ends.errors, 2) < 0 ||
            ::chdir(command.folder.c_str()) != 0) {
            ::_exit(126);
        }
        sigset_t none;
        ::sigemptyset(&none);
        ::sigprocmask(SIG_SETMASK, &none, nullptr);
        ::signal(SIGPIPE, SIG_DFL);
        ::setsid();
        if (user.changes &&
            (::setgroups(0, nullptr) != 0 || ::setgid(user.gid) != 0 || ::setuid(user.uid) != 0)) {
            ::_exit(126);
        }
        // After the change of the user, which takes it back.
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != parent) {
            ::_exit(126);
        }
        ::execvpe(argv[0], argv.data(), envp.data());
        const char* text = std::strerror(errno);
        (void)!::write(2, text, std::strlen(text));
        ::_exit(127);
    }
    return pid;
}

// Ended with this object, unless it ended before.
struct Child {
    explicit Child(pid_t id) : pid{id} {}

    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    ~Child() {
        if (pid > 0) {
            ::kill(pid, SIGKILL);
            ::waitpid(pid, nullptr, 0);
        }
    }

    [[nodiscard]] int wait() {
        int status = 0;
        ::waitpid(std::exchange(pid, -1), &status, 0);
        return status;
    }

    pid_t pid;
};

std::string name_of(const Command& command) {
    const std::string& word = command.words.front();
    return word.substr(word.rfind('/') + 1);
}

// The last lines say why.
std::string tail(const std::string& words) {
    const std::string all = words.substr(0, words.find_last_not_of('\n') + 1);
    return all.size() > 600 ? "…" + all.substr(all.size() - 600) : all;
}

// The pipes of one run.
class Exchange {
public:
    Exchange(const Streams& streams, Fd in, Fd out, Fd errors)
        : streams_{streams}, in_{std::move(in)}, out_{std::move(out)}, errors_{std::move(errors)} {}

    [[nodiscard]] bool open() const { return out_.get() >= 0 || errors_.get() >= 0; }

    void turn() {
        if (in_.get() >= 0 && at_ == chunk_.size()) {
            chunk_ = streams_.in();
            at_ = 0;
            if (chunk_.empty()) {
                in_.close();
            }
        }
        std::array<pollfd, 3> all{
            pollfd{out_.get(), POLLIN, 0},
            pollfd{errors_.get(), POLLIN, 0},
            pollfd{in_.get(), POLLOUT, 0}};
        if (::poll(all.data(), all.size(), k_look_ms) <= 0) {
            return;
        }
        if (all[2].revents != 0) {
            write_some();
        }
        if (all[0].revents != 0) {
            read_some(out_, streams_.out);
        }
        if (all[1].revents != 0) {
            read_some(errors_, {});
        }
    }

    [[nodiscard]] std::string take_words() { return std::move(words_); }

private:
    void write_some() {
        const ssize_t n = ::send(
            in_.get(), chunk_.data() + at_, chunk_.size() - at_, MSG_NOSIGNAL | MSG_DONTWAIT
        );
        if (n > 0) {
            at_ += static_cast<std::size_t>(n);
        } else if (errno != EAGAIN && errno != EINTR) {
            in_.close();  // it has ended, and its status says why
        }
    }

    void read_some(Fd& from, const std::function<void(std::string_view)>& to) {
        const ssize_t n = ::read(from.get(), block_.data(), block_.size());
        if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN)) {
            from.close();
        } else if (n > 0 && to) {
            to({block_.data(), static_cast<std::size_t>(n)});
        } else if (n > 0 && words_.size() < k_words_max) {
            words_.append(block_.data(), static_cast<std::size_t>(n));
        }
    }

    const Streams& streams_;
    Fd in_;
    Fd out_;
    Fd errors_;
    std::string chunk_;
    std::size_t at_ = 0;
    std::string words_;
    std::string block_ = std::string(k_block, '\0');
};

}  // namespace

std::string run(const Command& command, const Streams& streams, const Bounds& bounds) {
    auto [in_read, in_write] = make_socket();
    auto [out_read, out_write] = make_pipe();
    auto [errors_read, errors_write] = make_pipe();
    if (!streams.in) {
        in_write.close();
    }
    Child child{start(command, {in_read.get(), out_write.get(), errors_write.get()})};
    in_read.close();
    out_write.close();
    errors_write.close();
    Exchange exchange{streams, std::move(in_write), std::move(out_read), std::move(errors_read)};
    while (exchange.open()) {
        exchange.turn();
        if (bounds.cancelled && bounds.cancelled()) {
            throw Error{TENON_UNAVAILABLE, "the work was cancelled"};
        }
        if (steady_now() > bounds.deadline) {
            throw Error{
                TENON_TIMEOUT,
                name_of(command) + " did not end in time: " + tail(exchange.take_words())};
        }
    }
    const int status = child.wait();
    std::string words = exchange.take_words();
    if (command.may_fail) {
        return words;
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        const std::string how = WIFSIGNALED(status)
                                    ? "was ended by signal " + std::to_string(WTERMSIG(status))
                                    : "failed with code " + std::to_string(WEXITSTATUS(status));
        throw Error{TENON_UNAVAILABLE, name_of(command) + " " + how + ": " + tail(words)};
    }
    return words;
}

Daemon::Daemon(const Command& command, const std::string& log) {
    const Fd to{::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)};
    if (to.get() < 0) {
        throw Error{TENON_UNAVAILABLE, "cannot create " + log + ": " + std::strerror(errno)};
    }
    pid_ = start(command, {-1, to.get(), to.get()});
}

Daemon::~Daemon() {
    stop(SIGKILL, std::chrono::milliseconds{0});
}

bool Daemon::running() {
    if (pid_ > 0 && ::waitpid(pid_, nullptr, WNOHANG) != 0) {
        pid_ = -1;
    }
    return pid_ > 0;
}

void Daemon::stop(int signal, std::chrono::milliseconds patience) noexcept {
    if (!running()) {
        return;
    }
    ::kill(pid_, signal);
    const auto until = steady_now() + patience;
    while (running() && steady_now() < until) {
        ::poll(nullptr, 0, 20);
    }
    if (pid_ > 0) {
        ::kill(pid_, SIGKILL);
        ::waitpid(std::exchange(pid_, -1), nullptr, 0);
    }
}

void give_to_server_user(const std::string& path) {
    const User user = user_of_programs();
    if (user.changes && ::lchown(path.c_str(), user.uid, user.gid) != 0) {
        throw Error{
            TENON_UNAVAILABLE,
            "cannot give " + path + " to the user postgres: " + std::strerror(errno)};
    }
}

std::string server_user() {
    return user_of_programs().changes ? "postgres" : "";
}

std::string program(const std::string& folder, int major, const std::string& name) {
    namespace fs = std::filesystem;
    std::error_code ignored;
    std::string found = folder.empty() ? "" : folder + "/" + name;
    if (folder.empty()) {
        int newest = 0;
        for (const auto& entry : fs::directory_iterator{"/usr/lib/postgresql", ignored}) {
            const int version = std::atoi(entry.path().filename().c_str());
            const fs::path path = entry.path() / "bin" / name;
            if (version > newest && (major == 0 || version == major) && fs::exists(path, ignored)) {
                newest = version;
                found = path.string();
            }
        }
    }
    if (found.empty() || ::access(found.c_str(), X_OK) != 0) {
        throw Error{
            TENON_UNAVAILABLE,
            name + (major == 0 ? "" : " of PostgreSQL " + std::to_string(major)) +
                " is not there: install it, or name its folder in the setting tools"};
    }
    return found;
}

}  // namespace tenon::backup_postgres
