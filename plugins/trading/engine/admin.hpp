// SPDX-License-Identifier: Apache-2.0
// Admin commands of the engine: journal.check, journal.repair, accounts.*, trading.*, risk.*,
// instruments.*, export.*. They run on the blocking pool; those of the journal work without a
// started engine.
#pragma once

#include "plugins/trading/engine/account_export.hpp"
#include "plugins/trading/engine/engine.hpp"

#include <tenon/plugin.hpp>

#include <boost/json/object.hpp>

#include <atomic>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::engine {

class Admin {
public:
    Admin(const Host& host, Engine& engine);

    // [control] Both do nothing when it has been done.
    void add_commands();
    void remove_commands() noexcept;

    // [control] Commands on the state are refused unless it is set.
    void set_started(bool started) noexcept { started_ = started; }

private:
    using Handler = std::string (Admin::*)(std::string_view args);

    struct Command {
        Admin* admin;
        const char* name;
        const char* usage;
        Handler handler;
        bool needs_state;
    };

    static tenon_status run(void* ctx, tenon_str args, tenon_sink out, tenon_err* err);

    std::string journal_check(std::string_view args);
    std::string journal_repair(std::string_view args);
    std::string accounts_open(std::string_view args);
    std::string accounts_list(std::string_view args);
    std::string accounts_fund(std::string_view args);
    std::string accounts_debit(std::string_view args);
    std::string accounts_transfer(std::string_view args);
    std::string accounts_disable(std::string_view args);
    std::string accounts_enable(std::string_view args);
    std::string trading_halt(std::string_view args);
    std::string trading_resume(std::string_view args);
    std::string switch_trading(std::string_view args, std::string_view action, bool on);
    std::string trading_status(std::string_view args);
    void record(
        const boost::json::object& args,
        std::string_view action,
        std::string_view subject,
        std::string_view detail
    );

    // admin_export.cpp
    std::string export_trades(std::string_view args);
    std::string export_statement(std::string_view args);
    std::string export_page(
        const boost::json::object& args,
        ExportQuery query,
        ExportPage (*make)(Session&, const Service<tenon_instruments_1>&, const ExportQuery&)
    );

    void wait_for_database() const;

    // admin_instruments.cpp
    std::string instruments_list(std::string_view args);
    std::string instruments_halt(std::string_view args);
    std::string instruments_delist(std::string_view args);
    std::string instruments_resume(std::string_view args);
    std::string
    switch_instrument(std::string_view args, std::string_view action, std::uint32_t status);

    // admin_risk.cpp
    std::string risk_show(std::string_view args);
    std::string risk_set(std::string_view args);
    std::string risk_clear(std::string_view args);
    // Of whom and of what the limits of `args` are, none of them named.
    [[nodiscard]] trading::RiskLimitsCommand limits_of(const boost::json::object& args) const;
    std::string send_limits(
        const boost::json::object& args,
        std::string_view action,
        const trading::RiskLimitsCommand& command
    );

    [[nodiscard]] std::uint64_t account_id(std::string_view name) const;
    std::string move_funds(
        std::uint64_t from,
        std::uint64_t to,
        std::string_view args,
        std::string_view account
    );

    // Sends a command from the pool and waits until it is durable. The reply's rows are not kept.
    tenon_trading_reply
    send(const trading::CommandBody& body, Admission admission = Admission::order);

    Service<tenon_admin_1> admin_;
    Service<tenon_audit_1> audit_;
    Service<tenon_clock_1> clock_;
    Engine& engine_;
    std::vector<Command> commands_;
    std::atomic<bool> started_{false};
    bool registered_ = false;
};

}  // namespace tenon::engine
