// SPDX-License-Identifier: Apache-2.0
// libpq without its blocking calls: every wait has an end, and several requests go out at once.
//
// Requests of the extended protocol are sent in libpq's pipeline mode and end with sync(); their
// results come back in order, each followed by a null, and PGRES_PIPELINE_SYNC for the sync(). A
// sync whose results nobody needs is left behind (leave()) and skipped before the next results.
// Simple queries and COPY (query()) need the pipeline empty, which query() sees to.
//
// A Wire is used by one thread at a time, but for shut(). After a failure that is not an error
// result of the server it is broken for good.
#pragma once

#include "plugins/storage/postgres/error.hpp"
#include "plugins/storage/postgres/settings.hpp"

#include <libpq-fe.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::postgres {

struct ClearResult {
    void operator()(PGresult* result) const noexcept { PQclear(result); }
};

using Result = std::unique_ptr<PGresult, ClearResult>;

[[nodiscard]] inline bool is_error(const PGresult* result) noexcept {
    const ExecStatusType status = PQresultStatus(result);
    return status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE;
}

// One parameter as the wire takes it.
struct Parameter {
    const char* data = nullptr;  // null: NULL
    int size = 0;
    bool binary = false;
};

class Wire {
public:
    // Keywords of libpq, the later wins. Throws DatabaseError when it does not connect in time.
    Wire(
        const std::vector<std::pair<std::string, std::string>>& keywords,
        const Telemetry& telemetry,
        std::int64_t deadline_ns
    );
    ~Wire();
    Wire(const Wire&) = delete;
    Wire& operator=(const Wire&) = delete;

    // Requests. `name` is of a prepared statement.
    void send(const char* sql);
    void send_prepare(const std::string& name, const std::string& sql);
    void send_describe(const std::string& name);
    void send_execute(const std::string& name, std::span<const Parameter> parameters, bool binary);
    void send_parameters(const std::string& sql, std::span<const Parameter> parameters);
    // Ends the requests and puts them on their way.
    void sync();

    // Nobody needs the results up to the last sync().
    void leave() noexcept { ++left_behind_; }

    // Sends a simple query, and nothing else is on the way.
    void query(const std::string& sql);
    void copy_data(std::string_view bytes);
    // `refusal`: the server gives up the COPY with it; null: the end.
    void copy_end(const char* refusal);

    // The next result; null after the last one of a request. Waits for `patience_ns` at most.
    [[nodiscard]] Result next();
    // What was sent last comes row by row.
    void by_row();
    // Reads to the end of the last sync() or query() and gives back the first error, or null.
    [[nodiscard]] Result finish();

    [[nodiscard]] bool broken() const noexcept;
    // Nothing has come that nobody asked for: the server has not ended the session. Does not wait
    // but for what was left behind.
    [[nodiscard]] bool is_quiet();
    // [any] Ends it soon, whatever it waits for.
    void shut() noexcept;

    void give_up() noexcept { broken_ = true; }

    [[nodiscard]] PGTransactionStatusType transaction_status() const noexcept {
        return PQtransactionStatus(connection_);
    }

    [[nodiscard]] const char* parameter(const char* name) const noexcept {
        return PQparameterStatus(connection_, name);
    }

    [[nodiscard]] std::string literal(std::string_view text);

    // A WARNING came since the last call.
    [[nodiscard]] bool take_warning() noexcept { return std::exchange(warned_, false); }

    void set_patience(std::int64_t ns) noexcept { patience_ns_ = ns; }

    // No wait goes on past it, whatever the patience; INT64_MAX: none.
    void set_bound(std::int64_t deadline_ns) noexcept {
        bound_ns_ = deadline_ns;
        looked_late_ = false;
    }

private:
    void connect(std::int64_t deadline_ns);
    // What libpq found elsewhere than in the keywords must not name several servers.
    void refuse_several(const std::vector<std::pair<std::string, std::string>>& keywords) const;
    void enter_pipeline();
    void leave_pipeline();
    void sent(int ok);
    void flush();
    void wait(short events, std::int64_t deadline_ns);
    void skip_left_behind();
    [[nodiscard]] Result raw();
    [[noreturn]] void fail(std::string_view what);
    static void on_notice(void* self, const PGresult* notice) noexcept;

    const Telemetry& telemetry_;
    PGconn* connection_ = nullptr;
    std::int64_t patience_ns_ = 32 * k_second;
    std::int64_t bound_ns_ = INT64_MAX;
    bool looked_late_ = false;       // wait() looked once more when the time was over
    std::uint32_t left_behind_ = 0;  // syncs to skip
    bool broken_ = false;
    bool warned_ = false;
    std::atomic<int> socket_{-1};  // a duplicate, for shut(); not of a wire that closes
    std::atomic<bool> shut_{false};
};

}  // namespace tenon::postgres
