// SPDX-License-Identifier: Apache-2.0
#include "folder_size.hpp"

#include <tenon/background_job.hpp>
#include <tenon/metrics.hpp>
#include <tenon/settings.hpp>

namespace {

struct JobSettings {
    explicit JobSettings(const tenon::Settings& s)
        : folder{s.get<std::string>("folder")},
          interval{s.get<std::chrono::milliseconds>("interval_ms")} {}

    std::string folder;
    std::chrono::milliseconds interval;
};

class FolderJob final : public tenon::Plugin {
public:
    using Plugin::Plugin;

    // Also called by `tenon reload`, for settings marked "x-reload": "live".
    void configure(std::string_view json, bool dry_run) override {
        settings_.configure(json, dry_run);
    }

    void start() override {
        const tenon::Metrics metrics{host()};
        files_ = metrics.gauge("tenon_@identifier@_files", "Files in the folder");
        bytes_ = metrics.gauge("tenon_@identifier@_bytes", "Bytes in the folder");
        tenon::JobOptions options;
        options.first_after = std::chrono::nanoseconds{0};
        options.degraded_after = 1;
        job_ = tenon::every(
            host(), "@name@", settings_->interval, [this] { measure(); }, options
        );
    }

    void stop() noexcept override { job_.stop(); }

private:
    // On the blocking pool, never twice at a time. What it throws is logged and shown in health.
    void measure() {
        const std::filesystem::path data{host().environment("data_dir")};
        const FolderSize size = measure_folder(data / settings_->folder);
        files_.set(size.files);
        bytes_.set(size.bytes);
    }

    tenon::Live<JobSettings> settings_;
    tenon::Gauge files_, bytes_;
    tenon::BackgroundJob job_;
};

}  // namespace

TENON_EXPORT_PLUGIN(FolderJob)
