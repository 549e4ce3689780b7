// SPDX-License-Identifier: Apache-2.0
// C++ side of tenon.admin/1: commands for `tenon`, each a callable from arguments to a JSON value.
//
//   commands_.open(host());                                               // in start or configure
//   commands_.add("cache.stats", "{}: hits and sizes", [this](const Settings&) { return json(); });
//
// AdminCommands owns what it added: clear() or the destructor takes it back, on the control thread.
// The callables run on the blocking pool; what they throw is the command's error.
#pragma once

#include <tenon/settings.hpp>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tenon {

class AdminCommands {
public:
    // Gets the arguments (an object) and gives one JSON value.
    using Handler = std::function<std::string(const Settings& args)>;

    AdminCommands() = default;

    ~AdminCommands() { clear(); }

    AdminCommands(const AdminCommands&) = delete;
    AdminCommands& operator=(const AdminCommands&) = delete;

    // [control] What was added before is taken back.
    void open(const Host& host) {
        clear();
        service_ = host.service<tenon_admin_1>("tenon.admin/1");
    }

    // [control] Throws Error when the name is taken.
    void add(std::string name, std::string_view usage, Handler handler) {
        added_.push_back(std::make_unique<Added>(Added{std::move(name), std::move(handler)}));
        Added& added = *added_.back();
        const tenon_status status =
            service_->command(service_.self, str(added.name), str(usage), &added, &run);
        if (status != TENON_OK) {
            const Error error{status, "cannot add the command " + added.name};
            added_.pop_back();
            throw error;
        }
    }

    // [control] After it returns no handler runs.
    void clear() noexcept {
        for (const auto& added : added_) {
            service_->remove(service_.self, str(added->name));
        }
        added_.clear();
    }

private:
    struct Added {
        std::string name;
        Handler handler;
    };

    static tenon_status run(void* ctx, tenon_str args, tenon_sink out, tenon_err* err) noexcept {
        return guard(err, [&] {
            const std::string answer =
                static_cast<const Added*>(ctx)->handler(Settings{args.n == 0 ? "{}" : view(args)});
            return out.put(out.ctx, bytes(answer));
        });
    }

    Service<tenon_admin_1> service_;
    std::vector<std::unique_ptr<Added>> added_;
};

}  // namespace tenon
