// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/engine/admin.hpp"
#include "plugins/trading/engine/engine.hpp"
#include "plugins/trading/engine/journal_window.hpp"
#include "plugins/trading/engine/service.hpp"
#include "plugins/trading/engine/settings.hpp"

#include <tenon/plugin.hpp>

#include <memory>
#include <optional>

namespace tenon::engine {
namespace {

class EnginePlugin final : public Plugin {
public:
    explicit EnginePlugin(const tenon_host* host) : Plugin{host} {
        provide("tenon.trading/1", &handle_, &k_trading_table);
    }

    ~EnginePlugin() override {
        if (admin_) {
            admin_->remove_commands();
        }
    }

    EnginePlugin(const EnginePlugin&) = delete;
    EnginePlugin& operator=(const EnginePlugin&) = delete;

    void configure(std::string_view json, bool dry_run) override {
        Settings settings = parse_settings(json);
        if (dry_run) {
            return;
        }
        if (started_) {
            engine_->take(settings);
            return;
        }
        if (settings.view || settings.replay) {
            window_ = std::make_unique<JournalWindow>(host(), settings);
            return;
        }
        if (admin_) {
            admin_->remove_commands();
        }
        admin_.reset();
        handle_.service = nullptr;
        service_.reset();
        const std::size_t in_flight_max = settings.queue_max;
        engine_ = std::make_unique<Engine>(host(), std::move(settings), journal::make_posix_disk());
        service_.emplace(*engine_, in_flight_max);
        handle_.service = &*service_;
        admin_ = std::make_unique<Admin>(host(), *engine_);
        // Already here: a damaged journal is looked at and repaired without a started engine.
        admin_->add_commands();
    }

    void start() override {
        if (window_) {
            window_->start();
            return;
        }
        admin_->add_commands();
        engine_->start();
        admin_->set_started(true);
        started_ = true;
    }

    void drain(std::int64_t) override {
        if (engine_) {
            engine_->drain();
        }
    }

    void stop() noexcept override {
        window_.reset();
        if (!engine_) {
            return;
        }
        // After a failed start they stay, for journal check and repair, until destroy.
        if (started_) {
            admin_->remove_commands();
        }
        started_ = false;
        admin_->set_started(false);
        engine_->stop();
    }

private:
    TradingHandle handle_;
    std::unique_ptr<Engine> engine_;
    std::optional<TradingService> service_;
    std::unique_ptr<Admin> admin_;
    std::unique_ptr<JournalWindow> window_;
    bool started_ = false;
};

}  // namespace
}  // namespace tenon::engine

TENON_EXPORT_PLUGIN(tenon::engine::EnginePlugin)
