// SPDX-License-Identifier: Apache-2.0
// tenon.config/1 of one instance: the settings in force, with references in the place of secrets.
#pragma once

#include <tenon/abi/host.h>

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <atomic>
#include <map>
#include <mutex>

namespace tenon::registry {

class Config {
public:
    // The generation is that of the deployment and outlives this object.
    Config(const std::atomic<std::uint64_t>& generation, const boost::json::object& settings)
        : generation_{&generation}, settings_(settings) {}  // braces would make an array of it

    void set(const boost::json::object& settings);
    // [control] Calls those who want to know of changes.
    void tell();

    [[nodiscard]] static const tenon_config_1& table();

private:
    using Listener = void (*)(void* ctx, std::uint64_t generation);

    const std::atomic<std::uint64_t>* generation_;
    mutable std::mutex mutex_;
    boost::json::value settings_;                                    // guarded by mutex_
    std::map<std::uint64_t, std::pair<Listener, void*>> listeners_;  // guarded by mutex_
    std::uint64_t next_ = 1;                                         // guarded by mutex_
};

}  // namespace tenon::registry
