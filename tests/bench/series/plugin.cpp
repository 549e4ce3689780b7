// SPDX-License-Identifier: Apache-2.0
// As many series as its settings say, each with a value: a counter is one line of a page, a
// histogram 23.
#include <tenon/metrics.hpp>
#include <tenon/plugin.hpp>

#include <boost/json.hpp>

#include <chrono>
#include <cstdint>
#include <string>

namespace {

using namespace tenon;

class Series final : public Plugin {
public:
    using Plugin::Plugin;

    void configure(std::string_view json, bool dry_run) override {
        const boost::json::value parsed = boost::json::parse({json.data(), json.size()});
        const auto counters = parsed.at("counters").to_number<int>();
        const auto histograms = parsed.at("histograms").to_number<int>();
        if (!dry_run) {
            counters_ = counters;
            histograms_ = histograms;
        }
    }

    void start() override {
        const Metrics metrics{host()};
        for (int i = 0; i < counters_; ++i) {
            metrics.counter(
                       "tenon_bench_total", "Of the benchmark", {{"i", std::to_string(i)}}
            ).add(static_cast<std::uint64_t>(i) * 12'345);
        }
        for (int i = 0; i < histograms_; ++i) {
            metrics.histogram(
                       "tenon_bench_seconds", "Of the benchmark", {{"i", std::to_string(i)}}
            ).observe(std::chrono::microseconds{i});
        }
    }

    void stop() noexcept override {}

private:
    int counters_ = 0;
    int histograms_ = 0;
};

}  // namespace

TENON_EXPORT_PLUGIN(Series)
