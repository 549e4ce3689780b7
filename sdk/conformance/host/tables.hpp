// SPDX-License-Identifier: Apache-2.0
// The tables behind Host: one struct of static functions each file, friends of Host.
#pragma once

#include "sdk/conformance/host/host.hpp"

namespace tenon::conformance {

// Log, clock, environment, metrics, health.
struct HostTables {
    static const tenon_log_1 k_log;
    static const tenon_clock_1 k_clock;
    static const tenon_environment_1 k_environment;
    static const tenon_metrics_1 k_metrics;
    static const tenon_health_1 k_health;

    static void write_log(
        void* self,
        std::int32_t level,
        tenon_str event,
        const tenon_log_field* fields,
        std::uint32_t count
    );
    static Host::Series* make_series(
        Host& host,
        std::string_view call,
        tenon_str name,
        tenon_str help,
        const tenon_label* labels,
        std::uint32_t count
    );
};

struct HostExec {
    static const tenon_exec_1 k_exec;

    static bool callback(Host& host, const Host::Site& site, bool given);
};

// The configuration in force, events between plugins, who did what.
struct HostEvents {
    static const tenon_config_1 k_config;
    static const tenon_bus_1 k_bus;
    static const tenon_audit_1 k_audit;

    static tenon_status publish(void* self, tenon_str topic, tenon_str type, tenon_bytes data);
    static tenon_status subscribe(
        void* self,
        tenon_str topic,
        std::uint32_t reactor,
        void* ctx,
        void (*fn)(void*, const tenon_bus_message*),
        std::uint64_t* handle
    );
};

// Look-ups of other plugins, secrets, commands of the tools.
struct HostServices {
    static const tenon_services_1 k_services;
    static const tenon_secret_1 k_secret;
    static const tenon_admin_1 k_admin;

    static bool declared(Host& host, const Host::Site& site, tenon_str id);
    static tenon_status add_command(
        void* self,
        tenon_str name,
        tenon_str usage,
        void* ctx,
        tenon_status (*run)(void*, tenon_str, tenon_sink, tenon_err*)
    );
};

}  // namespace tenon::conformance
