// SPDX-License-Identifier: Apache-2.0
// Takes settings while it runs, and answers INSTANCE.echo with those that are in force. The
// password is shown by its length alone.
#include <tenon/plugin.hpp>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <mutex>
#include <poll.h>
#include <string>
#include <vector>

namespace {

namespace json = boost::json;

class Live;
std::mutex g_mutex;
std::vector<const Live*> g_instances;  // guarded by g_mutex

class Live final : public tenon::Plugin {
public:
    using Plugin::Plugin;

    void configure(std::string_view text, bool dry_run) override {
        const json::value parsed = json::parse({text.data(), text.size()});
        const auto& fail = parsed.at("fail").as_string();
        if (fail == "hang" && running_) {
            (void)::poll(nullptr, 0, 5000);  // longer than the manifest allows
        }
        if (running_ && fail == (dry_run ? "dry_run" : "apply")) {
            throw tenon::Error{TENON_INVALID, "told to fail"};
        }
        if (dry_run) {
            return;
        }
        const std::lock_guard lock{mutex_};
        config_ = parsed.as_object();
        ++configured_;
        if (!running_) {
            watch();
            name_ = host().environment("instance") + ".echo";
            const auto admin = host().service<tenon_admin_1>("tenon.admin/1");
            (void)admin->command(admin.self, tenon::str(name_), tenon::str("echo"), this, &echo);
        }
    }

    void start() override { running_ = true; }

    void stop() noexcept override {
        const std::lock_guard lock{g_mutex};
        std::erase(g_instances, this);
        const auto admin = host().service<tenon_admin_1>("tenon.admin/1");
        admin->remove(admin.self, tenon::str(name_));
    }

private:
    using Config = tenon::Service<tenon_config_1>;

    [[nodiscard]] Config config() const { return host().service<tenon_config_1>("tenon.config/1"); }

    void watch() {
        {
            const std::lock_guard lock{g_mutex};
            g_instances.push_back(this);
        }
        const Config service = config();
        std::uint64_t handle = 0;
        (void)service->on_change(service.self, this, &changed, &handle);
    }

    // What tenon.config/1 shows to every instance of this library when this one is told.
    static void changed(void* self, std::uint64_t) noexcept {
        (void)tenon::guard(nullptr, [&] {
            json::array seen;
            {
                const std::lock_guard lock{g_mutex};
                for (const Live* other : g_instances) {
                    const Config service = other->config();
                    tenon::StringSink text;
                    (void)service->value(service.self, tenon::str("/text"), text.sink());
                    seen.emplace_back(
                        std::to_string(service->generation(service.self)) + " " + text.text()
                    );
                }
            }
            auto& mine = *static_cast<Live*>(self);
            const std::lock_guard lock{mine.mutex_};
            mine.seen_ = std::move(seen);
        });
    }

    static tenon_status echo(void* self, tenon_str, tenon_sink out, tenon_err* err) noexcept {
        return tenon::guard(err, [&] {
            auto& mine = *static_cast<Live*>(self);
            const std::lock_guard lock{mine.mutex_};
            const std::string text = json::serialize(json::object{
                {"text", mine.config_.at("text")},
                {"count", mine.config_.at("count")},
                {"password_length", mine.config_.at("password").as_string().size()},
                {"configured", mine.configured_},
                {"seen", mine.seen_}});
            return out.put(out.ctx, tenon::bytes(text));
        });
    }

    std::mutex mutex_;
    json::object config_;
    json::array seen_;
    int configured_ = 0;
    std::string name_;
    bool running_ = false;  // touched by control calls alone
};

}  // namespace

TENON_EXPORT_PLUGIN(Live)
