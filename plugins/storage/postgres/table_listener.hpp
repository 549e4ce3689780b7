// SPDX-License-Identifier: Apache-2.0
// Hears what other servers write to the database, for the query cache.
//
// One session of its own on the primary listens on the channel `tenon_tables`; servers announce
// there, within the transaction that writes, which tables it writes. Announcing costs commits (one
// after another, cluster wide), so a server does it only while there are others: each listener
// holds a shared advisory lock, and greets the others when it comes. While the session is away
// nothing is trusted, and announcing goes on; once it is back everything kept before is outdated.
// A server that comes later does not use its cache for k_grace_ns, until all have met it.
//
// Who writes and does not announce (psql, another program) is seen by the server's own counts of
// written rows, which come within about a second after a busy session's transaction and within
// about ten after an idle one's; and when the time to live ends.
#pragma once

#include "plugins/storage/postgres/host_pool.hpp"
#include "plugins/storage/postgres/tables.hpp"

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace tenon::postgres {

class TableListener {
public:
    static constexpr std::int64_t k_grace_ns = 3 * k_second;

    // The primary's number and how to connect to it.
    using Primary = std::function<std::pair<std::size_t, Keywords>()>;

    TableListener(const Telemetry& telemetry, Tables& tables, Primary primary);
    ~TableListener();
    TableListener(const TableListener&) = delete;
    TableListener& operator=(const TableListener&) = delete;

    void start();
    void stop() noexcept;

private:
    struct Finish {
        void operator()(PGconn* connection) const noexcept { PQfinish(connection); }
    };

    void run() noexcept;
    // Until the session is lost or the primary is another.
    void listen();
    void connect();
    [[nodiscard]] bool wait_socket(bool readable, std::int64_t deadline_ns);
    [[nodiscard]] Result ask(const std::string& sql);
    void take_notifications();
    void look();
    void look_for_peers();
    void look_for_strangers();
    // False: stopping.
    [[nodiscard]] bool pause(std::int64_t ns);

    const Telemetry& telemetry_;
    Tables& tables_;
    const Primary primary_;
    std::unique_ptr<PGconn, Finish> session_;
    std::size_t host_ = 0;
    bool met_ = false;  // the counts of written rows are known
    std::int64_t trust_at_ns_ = 0;
    std::map<std::string, std::string> written_;
    std::mutex mutex_;
    std::condition_variable wake_;
    bool stopping_ = false;
    int alarm_ = -1;  // readable when stopping
    std::thread thread_;
};

}  // namespace tenon::postgres
