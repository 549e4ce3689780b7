// SPDX-License-Identifier: Apache-2.0
// Uses every service of the host, through the wrappers where there are any. `tenon INSTANCE report`
// answers {"SERVICE":"ok" or what is wrong}.
#include <tenon/metrics.hpp>
#include <tenon/settings.hpp>

#include <atomic>
#include <string>

class GoldenPlain final : public tenon::Plugin {
public:
    using Plugin::Plugin;

    void configure(std::string_view json, bool dry_run) override {
        settings_.configure(json, dry_run);
        if (dry_run || admin_) {
            return;
        }
        admin_ = host().service<tenon_admin_1>("tenon.admin/1");
        command_ = host().environment("instance") + ".report";
        tenon::check(
            admin_->command(
                admin_.self, tenon::str(command_), tenon::str("every service once"), this, &report
            ),
            tenon::ErrorBuffer{},
            "report"
        );
    }

    void start() override {
        exec_ = host().service<tenon_exec_1>("tenon.exec/1");
        bus_ = host().service<tenon_bus_1>("tenon.bus/1");
        config_ = host().service<tenon_config_1>("tenon.config/1");
        const tenon::Metrics metrics{host()};
        runs_ = metrics.counter("tenon_golden_cpp_runs_total", "runs", {{"kind", "golden"}});
        level_ = metrics.gauge("tenon_golden_cpp_level", "level");
        steps_ = metrics.histogram("tenon_golden_cpp_step_seconds", "steps");
        tenon::call_on_reactor(exec_, 0, [this] {
            exec_->timer(exec_.self, exec_->turn_now_ns(exec_.self) + 1'000'000, &count, &fired_);
            hook_ = exec_->at_turn_end(exec_.self, TENON_TURN_FLUSH, &count, &turned_);
        });
        tenon::post(exec_, 0, [this] { ++posted_; });
        tenon::run_blocking(exec_, [this] { ++blocked_; });
        config_->on_change(
            config_.self,
            this,
            [](void* self, std::uint64_t) { ++static_cast<GoldenPlain*>(self)->changed_; },
            &change_
        );
        const auto received = [](void* self, const tenon_bus_message* message) {
            auto& mine = *static_cast<GoldenPlain*>(self);
            mine.received_ += tenon::view(message->data) == "hello" ? 1 : 0;
        };
        tenon::check(
            bus_->subscribe(
                bus_.self, tenon::str("goldencpp.*"), 0, this, received, &subscription_
            ),
            tenon::ErrorBuffer{},
            "subscribe"
        );
        bus_->publish(
            bus_.self,
            tenon::str("goldencpp.said"),
            tenon::str("golden.text/1"),
            tenon::bytes("hello")
        );
    }

    void stop() noexcept override {
        bus_->unsubscribe(bus_.self, subscription_);
        config_->remove_on_change(config_.self, change_);
        tenon::call_on_reactor(exec_, 0, [this] { exec_->remove_turn_hook(exec_.self, hook_); });
        admin_->remove(admin_.self, tenon::str(command_));
    }

private:
    struct Values {
        explicit Values(const tenon::Settings& settings)
            : text{settings.get<std::string>("text")} {}

        std::string text;
    };

    using Count = std::atomic<std::uint32_t>;

    static void count(void* cell) noexcept { ++*static_cast<Count*>(cell); }

    static tenon_status report(void* self, tenon_str, tenon_sink out, tenon_err* err) noexcept {
        return tenon::guard(err, [&] {
            const std::string text = static_cast<GoldenPlain*>(self)->answer();
            return out.put(out.ctx, tenon::bytes(text));
        });
    }

    std::string answer() {
        host().log().info("golden_report", {{"n", 1}, {"text", settings_.read()->text}});
        runs_.add();
        level_.set(7);
        steps_.observe(std::chrono::microseconds{1});
        std::string out = "{";
        const auto add = [&out](std::string_view name, std::string_view found) {
            out.append(out.size() > 1 ? ",\"" : "\"").append(name).append("\":\"");
            out.append(found).append("\"");
        };
        add("log", host().log().enabled(TENON_LOG_ERROR) ? "ok" : "writes no errors");
        add("clock", clock());
        add("environment", host().environment("data_dir").empty() ? "has no data folder" : "ok");
        add("exec", exec());
        add("metrics", metrics());
        add("health", health());
        add("services", services());
        add("secret", secret());
        add("admin", "ok");
        add("config", config());
        add("bus", received_ != 0 ? "ok" : "waits for the message");
        add("audit", audit());
        add("setting", settings_.read()->text);
        return out.append(",\"changed\":").append(std::to_string(changed_)).append("}");
    }

    std::string_view clock() const {
        const auto clock = host().service<tenon_clock_1>("tenon.clock/1");
        const std::int64_t first = clock->now_ns(clock.self);
        return clock->now_ns(clock.self) >= first ? "ok" : "goes back";
    }

    std::string_view exec() const {
        if (exec_->current_reactor(exec_.self) != -1) {
            return "takes the pool for a reactor";
        }
        return posted_ != 0 && fired_ != 0 && turned_ != 0 && blocked_ != 0 ? "ok" : "waits";
    }

    std::string_view metrics() const {
        const auto metrics = host().service<tenon_metrics_1>("tenon.metrics/1");
        tenon::StringSink text;
        tenon::check(metrics->collect(metrics.self, text.sink()), tenon::ErrorBuffer{}, "collect");
        return text.text().find("tenon_golden_cpp_runs_total") != std::string::npos
                   ? "ok"
                   : "does not show the counter";
    }

    std::string_view health() const {
        const auto health = host().service<tenon_health_1>("tenon.health/1");
        health->set(health.self, tenon::str("golden"), TENON_HEALTHY, tenon::str("all is well"));
        return health->ready(health.self) != 0 ? "ok" : "is not ready";
    }

    std::string_view services() const {
        if (host().find<tenon_clock_1>("golden.absent/1")) {
            return "found what is absent";
        }
        try {
            (void)host().find<tenon_clock_1>("tenon.trading/1");
        } catch (const tenon::Error& denied) {
            return denied.code() == TENON_DENIED ? "ok" : "fails with another code";
        }
        return "gave what was not declared";
    }

    std::string_view secret() const {
        const auto secret = host().service<tenon_secret_1>("tenon.secret/1");
        tenon::StringSink sealed;
        tenon::StringSink opened;
        tenon::ErrorBuffer err;
        tenon::check(
            secret->seal(
                secret.self, tenon::str("golden"), tenon::bytes("plain"), sealed.sink(), &err
            ),
            err,
            "seal"
        );
        tenon::check(
            secret->open(
                secret.self, tenon::str("golden"), tenon::bytes(sealed.text()), opened.sink(), &err
            ),
            err,
            "open"
        );
        return opened.text() == "plain" ? "ok" : "gives back other bytes";
    }

    std::string_view config() const {
        tenon::StringSink text;
        tenon::check(
            config_->value(config_.self, tenon::str("/text"), text.sink()),
            tenon::ErrorBuffer{},
            "value"
        );
        return text.text() == "\"" + settings_.read()->text + "\"" ? "ok" : "gives another setting";
    }

    std::string_view audit() const {
        const auto audit = host().service<tenon_audit_1>("tenon.audit/1");
        auto event = tenon::sized<tenon_audit_event>();
        event.actor = tenon::str("system");
        event.action = tenon::str("golden.check");
        return audit->record(audit.self, &event, nullptr) == TENON_OK ? "ok" : "does not record";
    }

    tenon::Live<Values> settings_;
    std::string command_;
    tenon::Service<tenon_admin_1> admin_;
    tenon::Service<tenon_exec_1> exec_;
    tenon::Service<tenon_bus_1> bus_;
    tenon::Service<tenon_config_1> config_;
    tenon::Counter runs_;
    tenon::Gauge level_;
    tenon::Histogram steps_;
    std::uint64_t hook_ = 0;
    std::uint64_t change_ = 0;
    std::uint64_t subscription_ = 0;
    Count posted_{0};
    Count fired_{0};
    Count turned_{0};
    Count blocked_{0};
    Count changed_{0};
    Count received_{0};
};

TENON_EXPORT_PLUGIN(GoldenPlain)
