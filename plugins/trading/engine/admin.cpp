// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/engine/admin.hpp"

#include "plugins/trading/engine/admin_args.hpp"
#include "sdk/journal/journal_repair.hpp"

#include <tenon/decimal.hpp>

#include <boost/json.hpp>

#include <future>
#include <random>

namespace tenon::engine {
namespace {

namespace json = boost::json;

json::object report_of(const journal::JournalReport& report) {
    json::object out{
        {"ok", !report.damage.has_value()},
        {"segments", report.segments},
        {"records", report.records},
        {"payload_bytes", report.payload_bytes},
        {"first_sequence", report.first_sequence},
        {"last_sequence", report.last_sequence},
        {"torn_bytes", report.torn_bytes}};
    if (report.damage) {
        out["damage"] = {
            {"file", report.damage->file},
            {"offset", report.damage->offset},
            {"message", report.damage->message},
            {"lost_records_at_least", report.lost_records}};
    }
    return out;
}

std::string random_reference() {
    std::random_device device;
    return "admin:" + std::to_string(std::uint64_t{device()} << 32 | device());
}

}  // namespace

Admin::Admin(const Host& host, Engine& engine)
    : admin_{host.service<tenon_admin_1>("tenon.admin/1")},
      audit_{host.service<tenon_audit_1>("tenon.audit/1")},
      clock_{host.service<tenon_clock_1>("tenon.clock/1")},
      engine_{engine} {
    commands_ = {
        {this,
         "journal.check",
         "journal check: read the whole journal",
         &Admin::journal_check,
         false},
        {this,
         "journal.repair",
         "journal repair {\"confirm\":true}: cut a damaged journal after its last good record",
         &Admin::journal_repair,
         false},
        {this,
         "accounts.open",
         "accounts open {\"account\"}: open an account",
         &Admin::accounts_open,
         true},
        {this,
         "accounts.list",
         "accounts list: accounts and their balances",
         &Admin::accounts_list,
         true},
        {this,
         "accounts.fund",
         "accounts fund {\"account\",\"asset\",\"amount\"[,\"reference\"]}: book a deposit",
         &Admin::accounts_fund,
         true},
        {this,
         "accounts.debit",
         "accounts debit {\"account\",\"asset\",\"amount\"[,\"reference\"]}: book a withdrawal",
         &Admin::accounts_debit,
         true},
        {this,
         "accounts.transfer",
         "accounts transfer {\"from\",\"to\",\"asset\",\"amount\"[,\"reference\"]}: move funds",
         &Admin::accounts_transfer,
         true},
        {this,
         "accounts.disable",
         "accounts disable {\"account\"[,\"keep_orders\"]}: take no order of it, cancel those it "
         "has",
         &Admin::accounts_disable,
         true},
        {this,
         "accounts.enable",
         "accounts enable {\"account\"}: take its orders again",
         &Admin::accounts_enable,
         true},
        {this,
         "trading.halt",
         "trading halt {[\"keep_orders\"]}: take no order of anybody, cancel all there are",
         &Admin::trading_halt,
         true},
        {this, "trading.resume", "trading resume: take orders again", &Admin::trading_resume, true},
        {this,
         "instruments.list",
         "instruments list: symbols, their status and open orders",
         &Admin::instruments_list,
         true},
        {this,
         "instruments.halt",
         "instruments halt {\"symbol\"[,\"keep_orders\"]}: take no order of it, cancel those there "
         "are",
         &Admin::instruments_halt,
         true},
        {this,
         "instruments.delist",
         "instruments delist {\"symbol\"[,\"keep_orders\"]}: the same, for good",
         &Admin::instruments_delist,
         true},
        {this,
         "instruments.resume",
         "instruments resume {\"symbol\"}: take orders of it again",
         &Admin::instruments_resume,
         true},
        {this,
         "export.trades",
         "export trades {\"account\"[,\"symbol\",\"from\",\"to\",\"cursor\"]}: a page of CSV",
         &Admin::export_trades,
         true},
        {this,
         "export.statement",
         "export statement {\"account\"[,\"asset\",\"from\",\"to\",\"cursor\"]}: a page of CSV",
         &Admin::export_statement,
         true},
        {this,
         "risk.show",
         "risk show {[\"account\"]}: the limits that are set",
         &Admin::risk_show,
         true},
        {this,
         "risk.set",
         "risk set {[\"account\"][,\"symbol\"],LIMIT:VALUE,...}: limits of an account's orders, or "
         "of each account's; those that are not named stay",
         &Admin::risk_set,
         true},
        {this,
         "risk.clear",
         "risk clear {[\"account\"][,\"symbol\"]}: take all of them away",
         &Admin::risk_clear,
         true},
        {this,
         "trading.status",
         "trading status: sequences, hash of the state, open orders",
         &Admin::trading_status,
         true}};
}

void Admin::add_commands() {
    if (registered_) {
        return;
    }
    registered_ = true;
    for (Command& command : commands_) {
        const tenon_status status = admin_->command(
            admin_.self, str(command.name), str(command.usage), &command, &Admin::run
        );
        if (status != TENON_OK) {
            throw Error{status, "the admin command " + std::string{command.name} + " is taken"};
        }
    }
}

void Admin::remove_commands() noexcept {
    if (!registered_) {
        return;
    }
    registered_ = false;
    for (const Command& command : commands_) {
        admin_->remove(admin_.self, str(command.name));
    }
}

tenon_status Admin::run(void* ctx, tenon_str args, tenon_sink out, tenon_err* err) {
    return guard(err, [&]() -> tenon_status {
        const auto& command = *static_cast<Command*>(ctx);
        if (command.needs_state && !command.admin->started_) {
            throw Error{TENON_UNAVAILABLE, "the engine has not started"};
        }
        const std::string answer = (command.admin->*command.handler)(view(args));
        return out.put(out.ctx, bytes(answer));
    });
}

std::string Admin::journal_check(std::string_view args) {
    (void)parse_args(args, {});
    return json::serialize(
        report_of(journal::check_journal(engine_.disk(), engine_.journal_folder()))
    );
}

std::string Admin::journal_repair(std::string_view args) {
    const json::object parsed = parse_args(args, {"confirm"});
    if (started_) {
        throw Error{
            TENON_CONFLICT, "the journal is in use: a running engine has read it without damage"};
    }
    const json::value* confirm = parsed.if_contains("confirm");
    const bool confirmed = confirm != nullptr && confirm->is_bool() && confirm->as_bool();
    const auto result =
        journal::repair_journal(engine_.disk(), engine_.journal_folder(), confirmed);
    json::object out{
        {"changed", result.changed},
        {"lost_records", result.changed ? result.before.lost_records : 0},
        {"before", report_of(result.before)}};
    out["kept"] = json::value_from(result.kept);
    return json::serialize(out);
}

std::uint64_t Admin::account_id(std::string_view name) const {
    for (const trading::Account& account : engine_.mirror().accounts()) {
        if (account.name == name) {
            return account.id;
        }
    }
    throw Error{TENON_NOT_FOUND, "there is no account \"" + std::string{name} + "\""};
}

std::string Admin::accounts_open(std::string_view args) {
    const std::string name = text(parse_args(args, {"account"}), "account");
    const tenon_trading_reply reply = send(trading::AccountOpenCommand{str(name)});
    return json::serialize(json::object{{"account", name}, {"id", reply.account}});
}

std::string Admin::accounts_list(std::string_view args) {
    (void)parse_args(args, {});
    json::array accounts;
    call_on_reactor(engine_.exec(), 0, [&] {
        const auto instruments = engine_.instruments();
        const std::uint32_t assets = instruments->asset_count(instruments.self);
        for (const trading::Account& account : engine_.core().accounts()) {
            json::object balances;
            for (std::uint32_t id = 0; id < assets; ++id) {
                if (!engine_.core().balance_used(account.id, id)) {
                    continue;
                }
                const tenon_asset& asset = *instruments->asset(instruments.self, id);
                const tenon_balance balance = engine_.core().balance(account.id, id);
                balances[{asset.name.p, asset.name.n}] = {
                    {"free", decimal(balance.free, asset.scale)},
                    {"locked", decimal(balance.locked, asset.scale)}};
            }
            accounts.push_back(
                {{"id", account.id},
                 {"name", account.name},
                 {"enabled", account.enabled},
                 {"balances", std::move(balances)}}
            );
        }
    });
    return json::serialize(accounts);
}

std::string Admin::accounts_fund(std::string_view args) {
    const auto parsed = parse_args(args, {"account", "asset", "amount", "reference"});
    const std::string account = text(parsed, "account");
    return move_funds(TENON_ACCOUNT_EXTERNAL, account_id(account), args, account);
}

std::string Admin::accounts_debit(std::string_view args) {
    const auto parsed = parse_args(args, {"account", "asset", "amount", "reference"});
    const std::string account = text(parsed, "account");
    return move_funds(account_id(account), TENON_ACCOUNT_EXTERNAL, args, account);
}

std::string Admin::accounts_transfer(std::string_view args) {
    const auto parsed = parse_args(args, {"from", "to", "asset", "amount", "reference"});
    const std::string to = text(parsed, "to");
    return move_funds(account_id(text(parsed, "from")), account_id(to), args, to);
}

std::string Admin::move_funds(
    std::uint64_t from,
    std::uint64_t to,
    std::string_view args,
    std::string_view account
) {
    const json::object parsed =
        parse_args(args, {"account", "from", "to", "asset", "amount", "reference"});
    const std::string name = text(parsed, "asset");
    const std::string amount = text(parsed, "amount");
    // A caller that may repeat itself gives a reference: it is booked once.
    const std::string reference =
        parsed.contains("reference") ? text(parsed, "reference") : random_reference();
    const auto instruments = engine_.instruments();
    std::uint32_t asset = 0;
    if (instruments->find_asset(instruments.self, str(name), &asset) != TENON_OK) {
        throw Error{TENON_NOT_FOUND, "args/asset: there is no asset \"" + name + "\""};
    }
    const int scale = instruments->asset(instruments.self, asset)->scale;
    const ParsedDecimal value = parse_decimal(amount, scale);
    if (!value || value.value <= 0) {
        throw Error{
            TENON_INVALID,
            "args/amount: found \"" + amount + "\", expected a decimal above 0 with at most " +
                std::to_string(scale) + " decimals, as text"};
    }
    const tenon_ledger_entry entry{sizeof entry, asset, from, to, value.value, str(reference)};
    const tenon_trading_reply reply = send(trading::TransferCommand{entry});
    return json::serialize(json::object{
        {"account", account},
        {"asset", name},
        {"amount", decimal(value.value, scale)},
        {"reference", reference},
        {"sequence", reply.sequence}});
}

std::string Admin::accounts_disable(std::string_view args) {
    return switch_trading(args, "accounts.disable", false);
}

std::string Admin::accounts_enable(std::string_view args) {
    return switch_trading(args, "accounts.enable", true);
}

std::string Admin::trading_halt(std::string_view args) {
    return switch_trading(args, "trading.halt", false);
}

std::string Admin::trading_resume(std::string_view args) {
    return switch_trading(args, "trading.resume", true);
}

// Before the deed: what cannot be recorded is not done.
void Admin::record(
    const json::object& args,
    std::string_view action,
    std::string_view subject,
    std::string_view detail
) {
    const std::string by = args.contains("by") ? text(args, "by") : "cli";
    auto event = sized<tenon_audit_event>();
    event.actor = str(by);
    event.action = str(action);
    event.subject = str(subject);
    event.detail = str(detail);
    ErrorBuffer err;
    check(audit_->record(audit_.self, &event, &err), err, "the audit log");
}

std::string Admin::switch_trading(std::string_view args, std::string_view action, bool on) {
    const bool of_account = action.starts_with("accounts.");
    const json::object parsed =
        parse_args(args, {of_account ? "account" : "by", on ? "by" : "keep_orders", "by"});
    const std::string name = of_account ? text(parsed, "account") : "";
    trading::AccountStatusCommand command;
    command.account = of_account ? account_id(name) : 0;
    if (of_account && command.account < TENON_ACCOUNT_FIRST) {
        throw Error{TENON_INVALID, "args/account: \"" + name + "\" is the system's own"};
    }
    command.enabled = on ? 1 : 0;
    const json::value* const keep = parsed.if_contains("keep_orders");
    command.cancels = on || (keep != nullptr && *keep != json::value(false)) ? 0 : 1;
    record(parsed, action, name, "");
    const tenon_trading_reply reply = send(command, on ? Admission::order : Admission::relief);
    return json::serialize(json::object{
        {"account", of_account ? json::value(name) : json::value(nullptr)},
        {"enabled", on},
        {"orders_cancelled", reply.order_count},
        {"sequence", reply.sequence}});
}

std::string Admin::trading_status(std::string_view args) {
    (void)parse_args(args, {});
    json::object out;
    call_on_reactor(engine_.exec(), 0, [&] {
        const StatusCopy status = engine_.mirror().status();
        const Projection* projection = engine_.projection();
        out = {
            {"accepting", status.accepting},
            {"halted", engine_.core().halted()},
            {"reason", status.reason},
            {"sequence", status.sequence},
            {"durable_sequence", status.durable_sequence},
            {"projected_sequence", projection != nullptr ? projection->projected_sequence() : 0},
            {"projection", projection != nullptr},
            {"state_hash", std::to_string(engine_.core().state_hash())},
            {"open_orders", engine_.core().open_order_count()},
            {"accounts", engine_.core().accounts().size()},
            {"venue_anomalies", engine_.core().anomalies()}};
    });
    return json::serialize(out);
}

tenon_trading_reply Admin::send(const trading::CommandBody& body, Admission admission) {
    struct Answer {
        std::promise<void> ready;
        tenon_status status = TENON_OK;
        tenon_trading_reply reply{};
        std::string message;
    } answer;

    const tenon_trading_done done{
        &answer,
        [](void* ctx, tenon_status status, const tenon_trading_reply* reply, const tenon_err* err) {
            auto& mine = *static_cast<Answer*>(ctx);
            mine.status = status;
            if (reply != nullptr) {
                mine.reply = *reply;
            } else if (err != nullptr) {
                mine.message.assign(err->msg, err->len);
            }
            mine.ready.set_value();
        }};
    call_on_reactor(engine_.exec(), 0, [&] {
        ErrorBuffer err;
        check(engine_.run(body, admission, done, &err), err, "refused");
    });
    answer.ready.get_future().wait();
    if (answer.status != TENON_OK) {
        throw Error{answer.status, answer.message};
    }
    if (answer.reply.reject != TENON_REJECT_NONE) {
        throw Error{
            TENON_CONFLICT,
            "the engine refused it: " + std::string{reject_name(answer.reply.reject)}};
    }
    return answer.reply;
}

}  // namespace tenon::engine
