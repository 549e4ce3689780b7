// SPDX-License-Identifier: Apache-2.0
// One server of the deployment as the pool sees it.
#pragma once

#include "plugins/storage/postgres/connection.hpp"

#include <tenon/pool.hpp>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace tenon::postgres {

using Keywords = std::vector<std::pair<std::string, std::string>>;

// libpq's keywords for each host of the settings, one at least. Throws Error TENON_INVALID.
[[nodiscard]] std::vector<Keywords> keywords_of(const Settings& settings);

class HostBackend {
public:
    using Connection = postgres::Connection;

    // `settings` and `telemetry` outlive it.
    HostBackend(const Settings& settings, const Telemetry& telemetry, Keywords keywords)
        : settings_{&settings}, telemetry_{&telemetry}, keywords_{std::move(keywords)} {}

    [[nodiscard]] std::int64_t now_ns() const noexcept { return telemetry_->now_ns(); }

    // "db1:5432"
    [[nodiscard]] std::string name() const;
    [[nodiscard]] std::unique_ptr<Connection> connect(std::int64_t deadline_ns);
    [[nodiscard]] Returned give_back(Connection& connection) noexcept;

    [[nodiscard]] bool ping(Connection& connection, std::int64_t deadline_ns) noexcept {
        return connection.ping(deadline_ns);
    }

    void cancel(Connection& connection) noexcept { connection.cancel(); }

    void on_event(PoolEvent event, const std::string& text) noexcept;

private:
    const Settings* settings_;
    const Telemetry* telemetry_;
    Keywords keywords_;
};

using HostPool = Pool<HostBackend>;

[[nodiscard]] PoolOptions pool_options(const Settings& settings, std::uint64_t seed);

}  // namespace tenon::postgres
