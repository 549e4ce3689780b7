// SPDX-License-Identifier: Apache-2.0
// Takes settings while it runs, and answers INSTANCE.echo with those that are in force. The
// password is shown by its length alone.
#include <tenon/plugin.hpp>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <mutex>
#include <poll.h>

namespace {

namespace json = boost::json;

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
            name_ = host().environment("instance") + ".echo";
            const auto admin = host().service<tenon_admin_1>("tenon.admin/1");
            (void)admin->command(admin.self, tenon::str(name_), tenon::str("echo"), this, &echo);
        }
    }

    void start() override { running_ = true; }

    void stop() noexcept override {
        const auto admin = host().service<tenon_admin_1>("tenon.admin/1");
        admin->remove(admin.self, tenon::str(name_));
    }

private:
    static tenon_status echo(void* self, tenon_str, tenon_sink out, tenon_err* err) noexcept {
        return tenon::guard(err, [&] {
            auto& mine = *static_cast<Live*>(self);
            const std::lock_guard lock{mine.mutex_};
            const std::string text = json::serialize(json::object{
                {"text", mine.config_.at("text")},
                {"count", mine.config_.at("count")},
                {"password_length", mine.config_.at("password").as_string().size()},
                {"configured", mine.configured_}});
            return out.put(out.ctx, tenon::bytes(text));
        });
    }

    std::mutex mutex_;
    json::object config_;
    int configured_ = 0;
    std::string name_;
    bool running_ = false;  // touched by control calls alone
};

}  // namespace

TENON_EXPORT_PLUGIN(Live)
