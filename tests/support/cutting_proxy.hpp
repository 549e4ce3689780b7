// SPDX-License-Identifier: Apache-2.0
// A network between a test and its PostgreSQL server that can fail: it goes silent, or loses one
// COMMIT or the answer to it.
//
//   CuttingProxy network{server.folder() / ".s.PGSQL.5432"};
//   PQconnectdb(("host=127.0.0.1 port=" + std::to_string(network.port()) + " …").c_str());
//
// One thread carries all connections; no TLS. All functions may be called by any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace tenon::test {

class CuttingProxy {
public:
    // Listens on a free port of 127.0.0.1; each connection goes on to the unix socket.
    explicit CuttingProxy(std::filesystem::path socket);
    ~CuttingProxy();
    CuttingProxy(const CuttingProxy&) = delete;
    CuttingProxy& operator=(const CuttingProxy&) = delete;

    [[nodiscard]] int port() const noexcept { return port_; }

    // Nothing is carried any more, and nobody is told; resume() carries on with what waits.
    void go_silent();
    void resume();

    // Of the next COMMITs so many: carried out by the server, and the connection is cut before the
    // answer.
    void lose_answers(int count);
    // … or cut before the server has seen them.
    void lose_commits(int count);

    // COMMITs that were cut, of both kinds.
    [[nodiscard]] std::uint64_t cuts() const noexcept { return cuts_; }

    // All connections end, as when a router restarts.
    void drop_all();

private:
    struct Pair;

    void run();
    void turn();
    void wake() noexcept;
    void accept_one();
    void carry(Pair& pair, short client_events, short server_events);
    void from_client(Pair& pair);
    void from_server(Pair& pair);

    std::filesystem::path socket_;
    int listener_ = -1;
    int wake_in_ = -1;
    int wake_out_ = -1;
    int port_ = 0;
    std::atomic<bool> stopping_{false}, silent_{false}, dropping_{false};
    std::atomic<int> answers_to_lose_{0}, commits_to_lose_{0};
    std::atomic<std::uint64_t> cuts_{0};
    std::vector<std::unique_ptr<Pair>> pairs_;
    std::thread thread_;
};

}  // namespace tenon::test
