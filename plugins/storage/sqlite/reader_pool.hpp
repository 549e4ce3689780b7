// SPDX-License-Identifier: Apache-2.0
// The pool of read-only connections.
#pragma once

#include "plugins/storage/sqlite/connection.hpp"

#include <tenon/pool.hpp>

namespace tenon::sqlite {

// What Pool asks of a backend, for connections that read one file. `settings` and `telemetry`
// outlive it.
class Readers {
public:
    using Connection = sqlite::Connection;

    Readers(const Settings& settings, const Telemetry& telemetry) noexcept
        : settings_{&settings}, telemetry_{&telemetry} {}

    [[nodiscard]] std::int64_t now_ns() const noexcept { return telemetry_->now_ns(); }

    [[nodiscard]] std::string name() const { return "the readers of " + settings_->file; }

    // A file is there or it is not: nothing that a deadline would bound.
    [[nodiscard]] std::unique_ptr<Connection> connect(std::int64_t) {
        return std::make_unique<Connection>(*settings_, *telemetry_, Role::reader);
    }

    [[nodiscard]] Returned give_back(Connection& connection) noexcept {
        const bool was_open = connection.in_transaction() && !connection.is_finished();
        if (!connection.make_idle()) {
            return Returned::broken;
        }
        return was_open ? Returned::reset : Returned::clean;
    }

    [[nodiscard]] bool ping(Connection& connection, std::int64_t /*deadline_ns*/) noexcept {
        return connection.is_alive();
    }

    void cancel(Connection& connection) noexcept { connection.cancel(); }

    void on_event(PoolEvent event, const std::string& text) noexcept {
        switch (event) {
            case PoolEvent::leaked:
                telemetry_->log.warn("database_lease_leaked", {{"reason", text}});
                break;
            case PoolEvent::cut_off:
                telemetry_->log.warn("database_cut_off", {{"reason", text}});
                break;
            case PoolEvent::restored:
                telemetry_->log.info("database_restored", {{"reason", text}});
                break;
        }
    }

private:
    const Settings* settings_;
    const Telemetry* telemetry_;
};

using ReaderPool = Pool<Readers>;

}  // namespace tenon::sqlite
