// SPDX-License-Identifier: Apache-2.0
// What the checks of the interface suites see of the kit: the plugin under test as instances on a
// host whose clock and services are theirs, a folder, a seed.
#pragma once

#include "sdk/conformance/suites/expect.hpp"

#include <tenon/plugin.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace tenon::suites {

// One instance of the plugin: created, configured and started. Stopped and destroyed at the end.
class Instance {
public:
    Instance() = default;
    virtual ~Instance() = default;
    Instance(const Instance&) = delete;
    Instance& operator=(const Instance&) = delete;

    // Throws Breach when the plugin does not provide it.
    [[nodiscard]] virtual tenon_iface query(std::string_view interface_id) const = 0;

    [[nodiscard]] virtual bool provides(std::string_view interface_id) const = 0;

    virtual void drain(std::int64_t deadline_ns) = 0;
    virtual void stop() = 0;
    // After stop(). Throws Breach with the plugin's message.
    virtual void start() = 0;

    template <class Table>
    [[nodiscard]] Service<Table> service(std::string_view interface_id) const {
        return service_from<Table>(query(interface_id));
    }
};

class Bench {
public:
    Bench() = default;
    virtual ~Bench() = default;
    Bench(const Bench&) = delete;
    Bench& operator=(const Bench&) = delete;

    // Of this check's random numbers; the same for the same --seed.
    [[nodiscard]] virtual std::uint64_t seed() const = 0;

    // Whether the plugin's manifest asks for the interface.
    [[nodiscard]] virtual bool asks_for(std::string_view interface_id) const = 0;

    // Whether it offers the interface.
    [[nodiscard]] virtual bool provides(std::string_view interface_id) const = 0;

    // What the plugin gets for a requirement; before open().
    virtual void bind(std::string_view interface_id, tenon_iface iface) = 0;

    // An instance with the operator's configuration, on the check's host and data folder. Throws
    // Breach with the plugin's message.
    [[nodiscard]] virtual std::unique_ptr<Instance> open() = 0;

    // Runs it on reactor 0 and waits. Exceptions come back.
    virtual void on_reactor(const std::function<void()>& body) = 0;

    // Lets reactor 0 run what was posted and what is due, `turns` times.
    virtual void settle(int turns = 3) = 0;

    // The host's clock: the system's monotonic one, and what was added.
    virtual void advance(std::int64_t duration_ns) = 0;
    [[nodiscard]] virtual std::int64_t now_ns() const = 0;
    [[nodiscard]] virtual std::int64_t now_real_ns() const = 0;

    // The name that the instance has in the deployment.
    [[nodiscard]] virtual std::string instance_name() const = 0;
    [[nodiscard]] virtual std::string data_dir() const = 0;

    // Waits on the system's clock until `done`, at most so long; false when it did not come.
    [[nodiscard]] virtual bool
    wait(const std::function<bool()>& done, std::int64_t at_most_ns = 10'000'000'000) = 0;

    // Runs body(i) on `threads` threads at once and joins them.
    virtual void in_parallel(std::size_t threads, const std::function<void(std::size_t)>& body) = 0;

    // The first system call that `body` makes, by number, or "".
    [[nodiscard]] virtual std::string system_call_of(const std::function<void()>& body) = 0;

    // How often the plugin's code allocates in `body`; -1 when this program cannot tell.
    [[nodiscard]] virtual std::int64_t allocations_of(const std::function<void()>& body) = 0;

    // A remark in the check's report; the check still passes, as a warning.
    virtual void warn(std::string message) = 0;
};

}  // namespace tenon::suites
