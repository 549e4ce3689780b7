// SPDX-License-Identifier: Apache-2.0
#include "kernel/registry/config.hpp"

#include <tenon/plugin.hpp>

#include <boost/json/serialize.hpp>

namespace tenon::registry {

void Config::set(const boost::json::object& settings) {
    const std::lock_guard lock{mutex_};
    settings_ = settings;
}

void Config::tell() {
    std::map<std::uint64_t, std::pair<Listener, void*>> listeners;
    {
        const std::lock_guard lock{mutex_};
        listeners = listeners_;
    }
    for (const auto& [handle, listener] : listeners) {
        listener.first(listener.second, generation_->load());
    }
}

const tenon_config_1& Config::table() {
    static constexpr auto k_value = [](void* self, tenon_str pointer, tenon_sink out) noexcept {
        return guard(nullptr, [&]() -> tenon_status {
            const Config& mine = *static_cast<const Config*>(self);
            std::unique_lock lock{mine.mutex_};
            boost::json::error_code ec;
            const boost::json::value* found = mine.settings_.find_pointer(view(pointer), ec);
            if (found == nullptr) {
                return TENON_NOT_FOUND;
            }
            const std::string text = boost::json::serialize(*found);
            lock.unlock();
            return out.put(out.ctx, bytes(text));
        });
    };
    static constexpr tenon_config_1 k_table{
        sizeof(tenon_config_1),
        0,
        [](void* self) noexcept { return static_cast<const Config*>(self)->generation_->load(); },
        [](void* self, tenon_sink out) noexcept {
            return k_value(self, tenon_str{"", 0}, out);
        },
        k_value,
        [](void* self, void* ctx, Listener fn, std::uint64_t* handle) noexcept {
            return guard(nullptr, [&]() -> tenon_status {
                Config& mine = *static_cast<Config*>(self);
                if (fn == nullptr) {
                    return TENON_INVALID;
                }
                const std::lock_guard lock{mine.mutex_};
                mine.listeners_[mine.next_] = {fn, ctx};
                *handle = mine.next_++;
                return TENON_OK;
            });
        },
        [](void* self, std::uint64_t handle) noexcept {
            Config& mine = *static_cast<Config*>(self);
            const std::lock_guard lock{mine.mutex_};
            (void)mine.listeners_.erase(handle);
        }};
    return k_table;
}

}  // namespace tenon::registry
