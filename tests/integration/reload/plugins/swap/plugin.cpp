// SPDX-License-Identifier: Apache-2.0
// A probe that is well between start and stop, and not at any other time; or it fails where its
// settings say.
#include <tenon/probe.hpp>

#include <boost/json/parse.hpp>

#include <atomic>
#include <poll.h>
#include <string>

namespace {

class Swap final : public tenon::Plugin, public tenon::Probe {
public:
    explicit Swap(const tenon_host* host) : Plugin{host} { provide<tenon::Probe>(this); }

    ~Swap() override { started_ = false; }

    Swap(const Swap&) = delete;
    Swap& operator=(const Swap&) = delete;

    void configure(std::string_view text, bool) override {
        fail_ = boost::json::parse({text.data(), text.size()}).at("fail").as_string();
        fail_at("configure");
    }

    void start() override {
        fail_at("start");
        if (fail_ == "hang") {
            (void)::poll(nullptr, 0, 5000);  // longer than the manifest allows
        }
        const auto admin = host().service<tenon_admin_1>("tenon.admin/1");
        name_ = host().environment("instance") + ".who";
        const auto who = [](void* self, tenon_str, tenon_sink out, tenon_err*) -> tenon_status {
            const std::string text =
                "\"" + std::to_string(reinterpret_cast<std::uintptr_t>(self)) + "\"";
            return out.put(out.ctx, {text.data(), text.size()});
        };
        tenon::check(
            admin->command(admin.self, tenon::str(name_), tenon::str("who"), this, who),
            {},
            "command"
        );
        started_ = true;
        const auto health = host().service<tenon_health_1>("tenon.health/1");
        health->set(
            health.self,
            tenon::str("self"),
            fail_ == "health" ? TENON_CRITICAL : TENON_HEALTHY,
            tenon::str(fail_ == "health" ? "told to be ill" : "")
        );
    }

    void stop() noexcept override {
        started_ = false;
        const auto admin = host().service<tenon_admin_1>("tenon.admin/1");
        admin->remove(admin.self, tenon::str(name_));
    }

    void check(bool, std::int64_t) override {
        if (!started_) {
            throw tenon::Error{TENON_UNAVAILABLE, "asked while it does not run"};
        }
    }

private:
    void fail_at(const std::string& call) const {
        if (fail_ == call) {
            throw tenon::Error{TENON_INVALID, "told to fail in " + call};
        }
    }

    std::string fail_;
    std::string name_;
    std::atomic<bool> started_{false};
};

}  // namespace

TENON_EXPORT_PLUGIN(Swap)
