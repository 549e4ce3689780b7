// SPDX-License-Identifier: Apache-2.0
#include "tools/cli/admin_client.hpp"

#include "tools/cli/arguments.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace tenon::cli {

namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

constexpr std::chrono::seconds k_start_limit{120};  // a long journal may have to be replayed
constexpr std::chrono::seconds k_busy_limit{15};
constexpr int k_look_again_ms = 10;
constexpr int k_folder_in_use = 4;  // tenond's exit code

fs::path program_folder() {
    std::error_code ec;
    return fs::read_symlink("/proc/self/exe", ec).parent_path();
}

int connect_socket(const fs::path& data_dir) {
    // By way of /proc, because a socket's path is short and a folder's may be long.
    const int folder = ::open(data_dir.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) {
        return -1;
    }
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = "/proc/self/fd/" + std::to_string(folder) + "/admin.sock";
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 &&
        ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        ::close(fd);
        fd = -1;
    }
    ::close(folder);
    return fd;
}

}  // namespace

std::optional<AdminClient> AdminClient::connect(const fs::path& data_dir) {
    const int fd = connect_socket(data_dir);
    return fd < 0 ? std::nullopt : std::optional<AdminClient>{std::in_place, fd};
}

AdminClient::AdminClient(AdminClient&& other) noexcept
    : fd_{std::exchange(other.fd_, -1)}, buffer_{std::move(other.buffer_)} {}

AdminClient& AdminClient::operator=(AdminClient&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(buffer_, other.buffer_);
    return *this;
}

AdminClient::~AdminClient() {
    if (fd_ >= 0) {
        ::close(fd_);
    }
}

json::value AdminClient::run(const std::string& command, const json::object& args) {
    const std::string line =
        json::serialize(json::object{{"command", command}, {"args", args}}) + "\n";
    for (std::size_t at = 0; at < line.size();) {
        const ssize_t sent = ::send(fd_, line.data() + at, line.size() - at, MSG_NOSIGNAL);
        if (sent < 0) {
            throw NoServer{std::string{"the server does not listen: "} + std::strerror(errno)};
        }
        at += static_cast<std::size_t>(sent);
    }
    std::size_t end = buffer_.find('\n');
    while (end == std::string::npos) {
        std::array<char, 16384> block{};
        const ssize_t got = ::recv(fd_, block.data(), block.size(), 0);
        if (got <= 0) {
            throw NoServer{"the server ended before it answered"};
        }
        buffer_.append(block.data(), static_cast<std::size_t>(got));
        end = buffer_.find('\n');
    }
    json::value answer = json::parse(std::string_view{buffer_}.substr(0, end));
    buffer_.erase(0, end + 1);
    json::object& object = answer.as_object();
    if (const json::value* error = object.if_contains("error"); error != nullptr) {
        throw CommandFailed{
            std::string{error->at("code").as_string()},
            std::string{error->at("message").as_string()}};
    }
    return std::move(object.at("ok"));
}

fs::path deployment_for(const fs::path& data_dir) {
    if (fs::exists(data_dir / "deployment.json")) {
        return data_dir / "deployment.json";
    }
    const fs::path folder = program_folder();
    for (const char* up : {"..", "../../..", "../share/tenon"}) {
        fs::path file = (folder / up / "etc/deployments/conservative.json").lexically_normal();
        if (fs::exists(file)) {
            return file;
        }
    }
    throw NoServer{
        "no server has run on " + data_dir.string() + " yet; name a deployment with --deployment"};
}

TemporaryServer::TemporaryServer(const Settings& settings) {
    try {
        start(settings);
    } catch (...) {
        end();
        throw;
    }
}

void TemporaryServer::start(const Settings& settings) {
    const fs::path deployment =
        settings.deployment.empty() ? deployment_for(settings.data_dir) : settings.deployment;
    std::vector<std::string> arguments{
        (program_folder() / "tenond").string(),
        "--no-listen",
        "--deployment",
        deployment.string(),
        "--data-dir",
        settings.data_dir.string()};
    for (const fs::path& folder : settings.plugin_path) {
        arguments.insert(arguments.end(), {"--plugin-path", folder.string()});
    }
    for (const std::string& set : settings.overrides) {
        arguments.insert(arguments.end(), {"--set", set});
    }
    output_ = ::memfd_create("tenond", MFD_CLOEXEC);
    spawn(arguments);
    const auto deadline = std::chrono::steady_clock::now() + k_start_limit;
    const auto patience = std::chrono::steady_clock::now() + k_busy_limit;
    for (;;) {
        // A socket that a killed server left behind refuses.
        client_ = AdminClient::connect(settings.data_dir);
        if (client_) {
            return;
        }
        const auto now = std::chrono::steady_clock::now();
        if (const int code = ended(); code >= 0) {
            if (code != k_folder_in_use || now > patience) {
                throw NoServer{"tenond did not start:\n" + said()};
            }
            // Somebody else's server starts or ends on this folder: speak to it, or follow it.
            (void)::poll(nullptr, 0, k_look_again_ms * 10);
            spawn(arguments);
        } else if (now > deadline) {
            throw NoServer{"tenond did not answer in time:\n" + said()};
        }
        (void)::poll(nullptr, 0, k_look_again_ms);
    }
}

int TemporaryServer::ended() {
    int status = 0;
    if (pid_ < 0 || ::waitpid(pid_, &status, WNOHANG) != pid_) {
        return -1;
    }
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void TemporaryServer::end() noexcept {
    client_.reset();
    if (pid_ > 0) {
        ::kill(pid_, SIGTERM);
        (void)::waitpid(pid_, nullptr, 0);
        pid_ = -1;
    }
    ::close(output_);
}

TemporaryServer::~TemporaryServer() {
    end();
}

void TemporaryServer::spawn(const std::vector<std::string>& arguments) {
    std::vector<char*> argv;
    for (const std::string& argument : arguments) {
        argv.push_back(const_cast<char*>(argument.c_str()));
    }
    argv.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) {
        (void)::dup2(output_, STDERR_FILENO);
        (void)::dup2(output_, STDOUT_FILENO);
        ::execv(argv[0], argv.data());
        ::_exit(127);
    }
    if (pid_ < 0) {
        throw NoServer{std::string{"tenond cannot be started: "} + std::strerror(errno)};
    }
}

std::string TemporaryServer::said() const {
    constexpr off_t k_most = 16384;
    const off_t size = ::lseek(output_, 0, SEEK_END);
    std::string text(static_cast<std::size_t>(std::min(size, k_most)), '\0');
    const ssize_t got =
        ::pread(output_, text.data(), text.size(), std::max<off_t>(0, size - k_most));
    text.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
    return text;
}

}  // namespace tenon::cli
