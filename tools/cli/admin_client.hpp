// SPDX-License-Identifier: Apache-2.0
// Speaks to a tenond over DATA_DIR/admin.sock; starts one for the length of a command when none
// runs, so that every command goes the same way, under the folder's lock.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <sys/types.h>
#include <vector>

namespace tenon::cli {

// No server answers and none could be started.
class NoServer : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

// The server refused or failed the command.
class CommandFailed : public std::runtime_error {
public:
    CommandFailed(std::string code, const std::string& message)
        : std::runtime_error{message}, code_{std::move(code)} {}

    [[nodiscard]] const std::string& code() const { return code_; }

private:
    std::string code_;
};

class AdminClient {
public:
    // Nothing when no server answers on this folder.
    [[nodiscard]] static std::optional<AdminClient> connect(const std::filesystem::path& data_dir);

    explicit AdminClient(int fd) : fd_{fd} {}

    ~AdminClient();
    AdminClient(AdminClient&& other) noexcept;
    AdminClient& operator=(AdminClient&& other) noexcept;
    AdminClient(const AdminClient&) = delete;
    AdminClient& operator=(const AdminClient&) = delete;

    // Throws CommandFailed; NoServer when the connection breaks.
    [[nodiscard]] boost::json::value
    run(const std::string& command, const boost::json::object& args);

private:
    int fd_;
    std::string buffer_;
};

// A tenond without a listener, stopped when this object ends.
class TemporaryServer {
public:
    struct Settings {
        std::filesystem::path data_dir;
        std::filesystem::path deployment;  // empty: the recorded one, or the conservative one
        std::vector<std::filesystem::path> plugin_path;
        std::vector<std::string> overrides;
    };

    // Waits until it answers. Throws NoServer with what the server said.
    explicit TemporaryServer(const Settings& settings);
    ~TemporaryServer();
    TemporaryServer(const TemporaryServer&) = delete;
    TemporaryServer& operator=(const TemporaryServer&) = delete;

    [[nodiscard]] AdminClient& client() { return *client_; }

private:
    void start(const Settings& settings);
    void end() noexcept;
    [[nodiscard]] int ended();  // the exit code, or -1 while it runs
    void spawn(const std::vector<std::string>& arguments);
    [[nodiscard]] std::string said() const;

    pid_t pid_ = -1;
    int output_ = -1;
    std::optional<AdminClient> client_;
};

// The deployment that a command on this folder is about: the recorded one, or else the conservative
// one beside the program. Throws NoServer when there is neither.
[[nodiscard]] std::filesystem::path deployment_for(const std::filesystem::path& data_dir);

}  // namespace tenon::cli
