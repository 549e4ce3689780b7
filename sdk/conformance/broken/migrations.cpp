// SPDX-License-Identifier: Apache-2.0
// Migrations of a schema that is a line in a file: the reference of the migrations suite, and what
// it looks like when a rule is broken.
#include "sdk/conformance/broken/fault.hpp"

#include <tenon/abi/migrations.h>
#include <tenon/plugin.hpp>

#include <cstdint>
#include <fstream>
#include <string>

namespace tenon::broken {
namespace {

constexpr std::uint32_t k_latest = 3;

class Migrations : public Plugin {
public:
    explicit Migrations(const tenon_host* raw) : Plugin{raw} {
        provide("tenon.migrations/1", this, &k_table);
    }

    void configure(std::string_view, bool) override {}

    void start() override {
        const std::string path = host().environment("data_dir") + "/schema";
        const auto clock = host().service<tenon_clock_1>("tenon.clock/1");
        const std::int64_t now = clock->now_real_ns(clock.self);
        version_ = 0;
        applied_ns_ = 0;
        std::ifstream{path} >> version_ >> applied_ns_;
        const bool by_another = version_ != 0 && !mine_;
        if (version_ < k_latest || fault("migrations.idempotent") ||
            (by_another && fault("migrations.second-runner"))) {
            version_ = k_latest;
            applied_ns_ = now;
            std::ofstream{path} << version_ << ' ' << applied_ns_;
        }
        mine_ = true;
    }

private:
    static Migrations& of(void* self) noexcept { return *static_cast<Migrations*>(self); }

    [[nodiscard]] std::uint32_t version() const noexcept {
        return version_ - (fault("migrations.version") ? 1U : 0U);
    }

    tenon_status report(tenon_sink sink) const {
        std::string json = "{\"current\":" + std::to_string(version_) +
                           ",\"latest\":" + std::to_string(k_latest) + ",\"migrations\":[";
        for (std::uint32_t i = 1; i <= k_latest; ++i) {
            const std::uint32_t version = fault("migrations.ordered") ? k_latest + 1 - i : i;
            json.append(i == 1 ? "" : ",").append("{\"version\":").append(std::to_string(version));
            json.append(",\"name\":\"step\",\"state\":\"applied\",\"checksum\":\"");
            json.append(fault("migrations.report") ? "" : "c0ffee").append("\",\"applied_at\":\"");
            json.append(std::to_string(applied_ns_)).append("\"}");
        }
        const tenon_status status = sink.put(sink.ctx, bytes(json.append("]}")));
        return fault("migrations.report-sink") ? TENON_OK : status;
    }

    static constexpr tenon_migrations_1 k_table{
        sizeof(tenon_migrations_1),
        0,
        [](void* self) noexcept -> std::uint32_t { return of(self).version(); },
        [](void* self, tenon_sink sink, tenon_err* err) noexcept {
            return guard(err, [&] { return of(self).report(sink); });
        }};

    std::uint32_t version_ = 0;
    std::int64_t applied_ns_ = 0;
    bool mine_ = false;
};

}  // namespace
}  // namespace tenon::broken

TENON_EXPORT_PLUGIN(tenon::broken::Migrations)
