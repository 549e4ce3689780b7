// SPDX-License-Identifier: Apache-2.0
// A host in miniature: every host service, enough for a plugin's start, work and stop in a test.
//
// Log lines, metrics and health states are kept for the test to look at. Sealing is a plain wrapper
// with the context checked, not encryption. Other plugins' services are what the test binds.
#pragma once

#include "tests/support/fake_reactor.hpp"

#include <tenon/plugin.hpp>

#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::test {

class FakeHost {
public:
    explicit FakeHost(FakeReactor::Mode mode = FakeReactor::Mode::threaded);
    ~FakeHost();
    FakeHost(const FakeHost&) = delete;
    FakeHost& operator=(const FakeHost&) = delete;

    [[nodiscard]] const tenon_host* raw() const noexcept { return &host_; }

    [[nodiscard]] FakeReactor& reactor() noexcept { return reactor_; }

    [[nodiscard]] Service<tenon_exec_1> exec() {
        return service_from<tenon_exec_1>(reactor_.iface());
    }

    // Before the plugin starts: a value of tenon.environment/1, a provider of an interface.
    void set_environment(const std::string& key, const std::string& value);
    void
    bind(const std::string& interface_id, tenon_iface iface, const std::string& instance = "fake");

    // What happened so far. Thread-safe. A log line is `level event key=value …`.
    [[nodiscard]] std::vector<std::string> log_lines() const;
    [[nodiscard]] std::int32_t health_of(const std::string& component) const;
    // 0 when there is no such series. `labels` as in `status="2xx"`.
    [[nodiscard]] std::int64_t metric(const std::string& name, const std::string& labels = "")
        const;
    // Runs an admin command; an Error when it fails or is unknown.
    [[nodiscard]] std::string admin(const std::string& name, std::string_view args_json);

    void set_ready(bool ready) { ready_ = ready; }

private:
    struct Tables;

    struct Series {
        bool is_gauge = false;
        std::uint64_t counter = 0;
        std::int64_t gauge = 0;
    };

    struct Provider {
        std::string interface_id, instance;
        tenon_iface iface;
    };

    struct Command {
        void* ctx;
        tenon_status (*run)(void*, tenon_str, tenon_sink, tenon_err*);
    };

    struct HealthState {
        std::int32_t state;
        std::string reason;
    };

    [[nodiscard]] Series& series(tenon_str name, const tenon_label* labels, std::uint32_t count);
    [[nodiscard]] std::string health_report() const;
    void collect_metrics(std::string& out);

    FakeReactor reactor_;
    tenon_host host_;
    std::atomic<bool> ready_{true};
    mutable std::mutex mutex_;
    std::vector<std::string> log_;
    std::map<std::string, std::string> environment_;
    std::vector<Provider> providers_;
    std::map<std::string, Series> series_;
    std::map<std::uint64_t, std::pair<tenon_fn, void*>> collectors_;
    std::uint64_t next_collector_ = 1;
    std::map<std::string, HealthState> health_;
    std::map<std::string, Command> commands_;
};

}  // namespace tenon::test
