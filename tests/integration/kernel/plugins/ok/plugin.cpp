// SPDX-License-Identifier: Apache-2.0
// Works; uses every host service once, and answers the admin command INSTANCE.echo.
#include <tenon/plugin.hpp>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace {

struct EchoTable {
    std::uint32_t size, flags;
};

class Ok final : public tenon::Plugin {
public:
    using Plugin::Plugin;

    void configure(std::string_view json, bool dry_run) override {
        config_ = json;
        if (dry_run) {
            return;
        }
        static constexpr EchoTable k_table{sizeof(EchoTable), 0};
        provide("test.echo/1", this, &k_table);
        name_ = host().environment("instance") + ".echo";
        const auto admin = host().service<tenon_admin_1>("tenon.admin/1");
        (void)admin->command(admin.self, tenon::str(name_), tenon::str("echo"), this, &echo);
    }

    void start() override {
        exec_ = host().service<tenon_exec_1>("tenon.exec/1");
        tenon::call_on_reactor(exec_, 0, [this] {
            hook_ = exec_->at_turn_end(
                exec_.self, TENON_TURN_FLUSH, [](void*) {}, nullptr
            );
        });
        host().log().info("ok_started", {{"instance", host().environment("instance")}});
    }

    void stop() noexcept override {
        tenon::call_on_reactor(exec_, 0, [this] { exec_->remove_turn_hook(exec_.self, hook_); });
        const auto admin = host().service<tenon_admin_1>("tenon.admin/1");
        admin->remove(admin.self, tenon::str(name_));
    }

private:
    static tenon_status echo(void* self, tenon_str args, tenon_sink out, tenon_err* err) noexcept {
        return tenon::guard(err, [&] {
            const auto& mine = *static_cast<const Ok*>(self);
            const boost::json::object answer{
                {"config", boost::json::parse(mine.config_)},
                {"args", boost::json::parse(tenon::view(args))},
                {"data_dir", mine.host().environment("data_dir")},
                {"listen", mine.host().environment("listen")}};
            const std::string text = boost::json::serialize(answer);
            return out.put(out.ctx, tenon::bytes(text));
        });
    }

    std::string config_;
    std::string name_;
    tenon::Service<tenon_exec_1> exec_;
    std::uint64_t hook_ = 0;
};

}  // namespace

TENON_EXPORT_PLUGIN(Ok)
