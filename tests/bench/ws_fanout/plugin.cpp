// SPDX-License-Identifier: Apache-2.0
// Sends every WebSocket at /ws/bench so many messages each millisecond, framed once for all.
#include <tenon/abi/http.h>
#include <tenon/plugin.hpp>

#include <boost/json.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace {

using namespace tenon;

constexpr std::int64_t k_ms = 1'000'000;

class FanOut final : public Plugin {
public:
    using Plugin::Plugin;

    void configure(std::string_view json, bool dry_run) override {
        const boost::json::value parsed = boost::json::parse({json.data(), json.size()});
        const auto rate = parsed.at("messages_per_ms").to_number<std::int64_t>();
        const auto bytes = parsed.at("message_bytes").to_number<std::size_t>();
        if (!dry_run) {
            rate_ = rate;
            text_.assign(bytes, 'm');
        }
    }

    void start() override {
        exec_ = host().service<tenon_exec_1>("tenon.exec/1");
        http_ = host().require<tenon_http_routes_1>("tenon.http_routes/1");
        static constexpr tenon_ws_handler k_handler{
            sizeof(tenon_ws_handler),
            0,
            [](void* ctx, std::uint64_t connection, const tenon_http_request*, void**)
                -> tenon_status {
                of(ctx).connections_.push_back(connection);
                return TENON_OK;
            },
            [](void*, std::uint64_t, void*, tenon_str) {},
            [](void* ctx, std::uint64_t connection, void*) {
                std::erase(of(ctx).connections_, connection);
            }};
        if (http_->mount_ws(http_.self, str("/ws/bench"), &k_handler, this, &mount_) != TENON_OK) {
            throw Error{TENON_CONFLICT, "/ws/bench is taken"};
        }
        call_on_reactor(exec_, 0, [this] { arm(exec_->turn_now_ns(exec_.self)); });
    }

    void stop() noexcept override {
        http_->unmount(http_.self, mount_);
        (void)guard(nullptr, [this] {
            call_on_reactor(exec_, 0, [this] { exec_->cancel_timer(exec_.self, timer_); });
        });
    }

private:
    static FanOut& of(void* self) noexcept { return *static_cast<FanOut*>(self); }

    void arm(std::int64_t last_ns) {
        last_ns_ = last_ns;
        const auto fire = [](void* self) noexcept { of(self).tick(); };
        timer_ = exec_->timer(exec_.self, last_ns + k_ms, fire, this);
    }

    // What is due since the last time, of two milliseconds at most: who cannot keep the rate is
    // seen to lose it, instead of to save work by sending in bursts.
    void tick() noexcept {
        const std::int64_t now_ns = exec_->turn_now_ns(exec_.self);
        const std::int64_t elapsed = std::min<std::int64_t>((now_ns - last_ns_) / k_ms, 2);
        for (std::int64_t i = 0; i < elapsed * rate_; ++i) {
            tenon_ws_frame* const frame = http_->frame(http_.self, str(text_));
            for (const std::uint64_t connection : connections_) {
                (void)http_->ws_send(http_.self, connection, frame);
            }
            http_->frame_release(http_.self, frame);
        }
        (void)guard(nullptr, [&] { arm(std::max(last_ns_ + elapsed * k_ms, now_ns - 2 * k_ms)); });
    }

    Service<tenon_exec_1> exec_;
    Service<tenon_http_routes_1> http_;
    std::int64_t rate_ = 1;
    std::string text_;
    std::vector<std::uint64_t> connections_;
    std::uint64_t mount_ = 0;
    std::uint64_t timer_ = 0;
    std::int64_t last_ns_ = 0;
};

}  // namespace

TENON_EXPORT_PLUGIN(FanOut)
