// SPDX-License-Identifier: Apache-2.0
// Takes memory and keeps it (`unruly grow`), gives it back (`unruly shrink`), and answers every
// request of GET /unruly with 500.
#include <tenon/admin.hpp>
#include <tenon/http.hpp>
#include <tenon/plugin.hpp>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace {

class Unruly final : public tenon::Plugin {
public:
    using Plugin::Plugin;

    void configure(std::string_view, bool) override {}

    void start() override {
        commands_.open(host());
        commands_.add("unruly.grow", "unruly grow: take 32 MiB", [this](const tenon::Settings&) {
            constexpr std::size_t k_step = std::size_t{32} << 20U;
            const std::lock_guard lock{mutex_};
            kept_.emplace_back(k_step, 'x');
            return std::to_string(kept_.size());
        });
        commands_.add("unruly.shrink", "unruly shrink: give it back", [this](const auto&) {
            const std::lock_guard lock{mutex_};
            kept_.clear();
            return std::string{"0"};
        });
        routes_ = std::make_unique<tenon::HttpRoutes>(
            host().require<tenon_http_routes_1>("tenon.http_routes/1")
        );
        routes_->mount("GET", "/unruly", [this](const tenon_http_request& request) {
            (void)routes_->respond(request.handle, {500, "application/json", "{}", {}});
        });
    }

    void stop() noexcept override {
        commands_.clear();
        if (routes_) {
            routes_->clear();
        }
    }

private:
    tenon::AdminCommands commands_;
    std::unique_ptr<tenon::HttpRoutes> routes_;
    std::mutex mutex_;
    std::vector<std::string> kept_;  // guarded by mutex_
};

}  // namespace

TENON_EXPORT_PLUGIN(Unruly)
