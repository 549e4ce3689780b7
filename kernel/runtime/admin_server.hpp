// SPDX-License-Identifier: Apache-2.0
// The unix socket DATA_DIR/admin.sock (mode 0600): lines of JSON in, one line of JSON out for each.
// See tenon.admin/1 in sdk/include/tenon/abi/host.h.
//
// Lives on reactor 0; commands run on the blocking pool. A client has one command in flight: its
// next line is read when the answer is out. Lines and clients are bounded.
#pragma once

#include "kernel/registry/admin_commands.hpp"
#include "kernel/runtime/exec.hpp"

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace tenon::runtime {

class AdminServer {
public:
    static constexpr std::size_t k_max_line = 1U << 20U;
    static constexpr std::size_t k_max_clients = 32;

    // [control] Throws InUse when the socket cannot be made.
    AdminServer(
        Exec& exec,
        registry::AdminCommands& commands,
        const std::filesystem::path& data_dir
    );
    // After stop.
    ~AdminServer() = default;
    AdminServer(const AdminServer&) = delete;
    AdminServer& operator=(const AdminServer&) = delete;

    // [control] Takes no more clients and waits for commands that run. False: one goes on beyond
    // the limit, and holds this object for as long as the process lives.
    [[nodiscard]] bool stop(std::chrono::milliseconds limit);

private:
    struct Client {
        AdminServer* server;
        int fd;
        std::uint64_t id;
        std::uint64_t watch = 0;
        std::string in;
        std::string out;
        bool busy = false;     // a command runs
        bool closing = false;  // nothing more to read
    };

    void accept();
    void ready(Client& client, std::uint32_t events);
    void read(Client& client);
    void next_line(Client& client);
    void launch(Client& client, std::string line);
    void answer(std::uint64_t id, std::string text);
    void write(Client& client);
    void close(Client& client);

    Exec* exec_;
    registry::AdminCommands* commands_;
    std::filesystem::path path_;
    int listener_ = -1;
    std::uint64_t listener_watch_ = 0;
    std::map<std::uint64_t, std::unique_ptr<Client>> clients_;  // reactor 0
    std::uint64_t next_client_ = 1;
    std::mutex mutex_;
    std::condition_variable idle_;
    int running_ = 0;  // guarded by mutex_
};

}  // namespace tenon::runtime
