// SPDX-License-Identifier: Apache-2.0
// Tries host services in every state of its life and logs what it got: event=seen with the call,
// the service and the status.
#include <tenon/plugin.hpp>

#include <array>

namespace {

class States final : public tenon::Plugin {
public:
    explicit States(const tenon_host* host) : Plugin{host} { query_all("create"); }

    ~States() override {
        query_all("destroy");
        use("destroy");
    }

    States(const States&) = delete;
    States& operator=(const States&) = delete;

    void configure(std::string_view, bool) override {
        query_all("configure");
        exec_ = host().service<tenon_exec_1>("tenon.exec/1");
        metrics_ = host().service<tenon_metrics_1>("tenon.metrics/1");
        services_ = host().service<tenon_services_1>("tenon.services/1");
        secret_ = host().service<tenon_secret_1>("tenon.secret/1");
        use("configure");
    }

    void start() override { use("start"); }

    void drain(std::int64_t) override { use("drain"); }

    void stop() noexcept override { use("stop"); }

private:
    void seen(std::string_view call, std::string_view what, int status) const {
        host().log().info("seen", {{"call", call}, {"what", what}, {"status", status}});
    }

    void query_all(std::string_view call) const {
        for (const std::string_view id :
             {"tenon.log/1",
              "tenon.clock/1",
              "tenon.environment/1",
              "tenon.exec/1",
              "tenon.metrics/1",
              "tenon.health/1",
              "tenon.services/1",
              "tenon.secret/1",
              "tenon.admin/1"}) {
            tenon_iface iface{};
            seen(call, id, host().raw()->query(host().raw()->self, tenon::str(id), &iface));
        }
    }

    void use(std::string_view call) const {
        const auto nothing = [](void*) {};
        seen(call, "run_blocking", exec_->run_blocking(exec_.self, nothing, nullptr));
        seen(call, "post", exec_->post(exec_.self, 0, nothing, nullptr));
        seen(call, "call", exec_->call(exec_.self, 0, nothing, nullptr));
        const auto* cell = metrics_->gauge(
            metrics_.self, tenon::str("tenon_states"), tenon::str("a test"), nullptr, 0
        );
        seen(call, "gauge", cell == nullptr ? 0 : 1);
        tenon_iface iface{};
        seen(call, "find", services_->find(services_.self, tenon::str("test.base/1"), &iface));
        tenon::StringSink out;
        const tenon_bytes plain = tenon::bytes("x");
        seen(
            call, "seal", secret_->seal(secret_.self, tenon::str("c"), plain, out.sink(), nullptr)
        );
    }

    tenon::Service<tenon_exec_1> exec_;
    tenon::Service<tenon_metrics_1> metrics_;
    tenon::Service<tenon_services_1> services_;
    tenon::Service<tenon_secret_1> secret_;
};

}  // namespace

TENON_EXPORT_PLUGIN(States)
