// SPDX-License-Identifier: Apache-2.0
// Two threads that ask the probe without a pause, from start to stop. INSTANCE.asked says how
// often, and how often the answer was no.
#include <tenon/abi/probe.h>
#include <tenon/plugin.hpp>

#include <array>
#include <atomic>
#include <string>
#include <thread>

namespace {

class Asker final : public tenon::Plugin {
public:
    using Plugin::Plugin;

    void configure(std::string_view, bool) override {
        probe_ = host().require<tenon_probe_1>("tenon.probe/1");
    }

    void start() override {
        stop_ = false;
        for (std::thread& thread : threads_) {
            thread = std::thread{[this] {
                while (!stop_) {
                    failed_ += probe_->check(probe_.self, 0, 0, nullptr) == TENON_OK ? 0 : 1;
                    ++asked_;
                }
            }};
        }
        const auto admin = host().service<tenon_admin_1>("tenon.admin/1");
        name_ = host().environment("instance") + ".asked";
        const auto tell = [](void* self, tenon_str, tenon_sink out, tenon_err*) -> tenon_status {
            const auto& mine = *static_cast<const Asker*>(self);
            const std::string text = R"({"asked":)" + std::to_string(mine.asked_) +
                                     R"(,"failed":)" + std::to_string(mine.failed_) + "}";
            return out.put(out.ctx, {text.data(), text.size()});
        };
        (void)admin->command(admin.self, tenon::str(name_), tenon::str("asked"), this, tell);
    }

    void stop() noexcept override {
        stop_ = true;
        for (std::thread& thread : threads_) {
            thread.join();
        }
        const auto admin = host().service<tenon_admin_1>("tenon.admin/1");
        admin->remove(admin.self, tenon::str(name_));
    }

private:
    tenon::Service<tenon_probe_1> probe_;
    std::string name_;
    std::array<std::thread, 2> threads_;
    std::atomic<bool> stop_{false};
    std::atomic<std::uint64_t> asked_{0};
    std::atomic<std::uint64_t> failed_{0};
};

}  // namespace

TENON_EXPORT_PLUGIN(Asker)
