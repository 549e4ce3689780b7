// SPDX-License-Identifier: Apache-2.0
// A server in virtual time whose settings show in its metrics: a cache whose misses hang on its
// size, a throttle whose level lets more or less in, requests that take a random time.
#pragma once

#include "plugins/monitor/advisor/steering.hpp"
#include "plugins/monitor/advisor/tuner.hpp"

#include <boost/json/object.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace tenon::test {

class SimulatedServer final : public advisor::Steering {
public:
    static constexpr std::int64_t k_mega = 1'048'576;

    // How it behaves at this moment, by what is set.
    struct Behaviour {
        double miss_ratio = 0.3;
        double refused_ratio = 0;
        double limited_ratio = 0;
        double median_s = 0.002;
        double cpu = 0.3;
    };

    using Model = std::function<Behaviour(const SimulatedServer&)>;

    SimulatedServer(std::uint64_t seed, Model model);

    [[nodiscard]] boost::json::value
    ask(std::string_view command, boost::json::object args, std::int64_t patience_ms) override;

    // Half a second of traffic.
    void run();

    [[nodiscard]] std::int64_t now_ms() const { return now_ms_; }

    [[nodiscard]] const advisor::Snapshot& look() const { return snapshot_; }

    // In force: the override, else the deployment's.
    [[nodiscard]] boost::json::value value(const std::string& plugin, const std::string& pointer)
        const;
    [[nodiscard]] bool overridden(const std::string& plugin, const std::string& pointer) const;
    void
    set_by_hand(const std::string& plugin, const std::string& pointer, boost::json::value value);

    bool answers = true;        // false: nobody answers
    std::string disabled;       // a plugin that does not run: only what is set over it is known
    std::uint64_t changes = 0;  // that were made
    std::int64_t first_change_ms = 0;

private:
    using Key = std::pair<std::string, std::string>;

    void count(const std::string& family, double more);
    void count(
        const std::string& family,
        const std::string& label,
        const std::string& value,
        double more
    );
    [[nodiscard]] double scattered(double value);
    [[nodiscard]] boost::json::value list() const;

    std::mt19937_64 random_;
    Model model_;
    std::int64_t now_ms_ = 1'000'000;
    std::map<Key, boost::json::value> deployment_, overrides_;
    std::map<std::string, std::string> ids_;
    advisor::Snapshot snapshot_;
};

}  // namespace tenon::test
