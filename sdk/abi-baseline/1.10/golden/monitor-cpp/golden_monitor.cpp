// SPDX-License-Identifier: Apache-2.0
// A probe that is well, but for its deep check.
#include <tenon/probe.hpp>

class GoldenMonitor final : public tenon::Plugin, public tenon::Probe {
public:
    explicit GoldenMonitor(const tenon_host* host) : Plugin{host} { provide<tenon::Probe>(this); }

    void configure(std::string_view, bool) override {}

    void check(bool deep, std::int64_t) override {
        if (deep) {
            throw tenon::Error{TENON_UNAVAILABLE, "asked to look deep"};
        }
    }
};

TENON_EXPORT_PLUGIN(GoldenMonitor)
