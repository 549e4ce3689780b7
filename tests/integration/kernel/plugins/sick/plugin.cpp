// SPDX-License-Identifier: Apache-2.0
// Ill until it has been started so often: by its probe, by a component, or by a start that fails.
// A start that fails makes a new instance, so that the starts of all are counted.
#include <tenon/abi/probe.h>
#include <tenon/plugin.hpp>
#include <tenon/settings.hpp>

#include <atomic>
#include <cstdint>
#include <string>

namespace {

std::atomic<std::int64_t>& starts() {
    static std::atomic<std::int64_t> count{0};
    return count;
}

class Sick final : public tenon::Plugin {
public:
    using Plugin::Plugin;

    void configure(std::string_view text, bool dry_run) override {
        if (dry_run) {
            return;
        }
        const tenon::Settings settings{text};
        where_ = settings.get<std::string>("in");
        well_at_ = settings.get<std::int64_t>("well_at");
        static constexpr tenon_probe_1 k_table{sizeof(tenon_probe_1), 0, &check};
        provide("tenon.probe/1", this, &k_table);
    }

    void start() override {
        const bool is_well = ++starts() >= well_at_;
        if (where_ == "start" && !is_well) {
            throw tenon::Error{TENON_UNAVAILABLE, "the pump does not turn"};
        }
        passes_ = is_well || where_ != "probe";
        const auto health = host().service<tenon_health_1>("tenon.health/1");
        const bool is_ill = where_ == "component" && !is_well;
        health->set(
            health.self,
            tenon::str("pump"),
            is_ill ? TENON_CRITICAL : TENON_HEALTHY,
            tenon::str(is_ill ? "the pump does not turn" : "")
        );
    }

private:
    static tenon_status check(void* self, std::uint32_t, std::int64_t, tenon_err* err) {
        return static_cast<Sick*>(self)->passes_
                   ? TENON_OK
                   : tenon::fail(err, TENON_UNAVAILABLE, "the pump does not turn");
    }

    std::string where_;
    std::int64_t well_at_ = 0;
    std::atomic<bool> passes_{false};
};

}  // namespace

TENON_EXPORT_PLUGIN(Sick)
