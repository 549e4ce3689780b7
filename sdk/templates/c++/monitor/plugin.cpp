// SPDX-License-Identifier: Apache-2.0
#include "disk.hpp"

#include <tenon/metrics.hpp>
#include <tenon/probe.hpp>
#include <tenon/settings.hpp>

#include <atomic>

namespace {

class Monitor final : public tenon::Plugin, public tenon::Probe {
public:
    explicit Monitor(const tenon_host* host) : Plugin{host} { provide<tenon::Probe>(this); }

    // Also called by `tenon reload`, for settings marked "x-reload": "live".
    void configure(std::string_view json, bool dry_run) override {
        const auto mib = tenon::Settings{json}.get<std::int64_t>("free_min_mb");
        if (!dry_run) {
            free_min_bytes_ = mib << 20;
        }
    }

    void start() override {
        folder_ = host().environment("data_dir");
        free_ = tenon::Metrics{host()}.gauge(
            "tenon_@identifier@_free_bytes", "Room on the disk of the data folder"
        );
        free_.set(free_bytes(folder_));
    }

    // On the blocking pool.
    void check(bool, std::int64_t) override {
        const std::int64_t free = free_bytes(folder_);
        free_.set(free);
        expect_room(free, free_min_bytes_);
    }

private:
    std::atomic<std::int64_t> free_min_bytes_{0};
    std::filesystem::path folder_;
    tenon::Gauge free_;
};

}  // namespace

TENON_EXPORT_PLUGIN(Monitor)
