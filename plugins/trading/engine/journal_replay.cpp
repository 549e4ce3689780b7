// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/engine/journal_replay.hpp"

#include "plugins/trading/engine/instrumentation.hpp"
#include "plugins/trading/engine/journal_outcome.hpp"
#include "plugins/trading/engine/recovery.hpp"
#include "plugins/trading/engine/risk_args.hpp"
#include "sdk/journal/snapshot_format.hpp"

#include <tenon/decimal.hpp>

#include <boost/json.hpp>

#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>
#include <utility>

namespace tenon::engine {
namespace {

namespace json = boost::json;

[[nodiscard]] std::string outcomes_file(const ReplayRequest& request) {
    return request.work_folder + "/outcomes";
}

[[nodiscard]] std::string summary_file(const ReplayRequest& request) {
    return request.work_folder + "/recorded.json";
}

[[nodiscard]] json::object place(std::uint64_t sequence, std::int64_t time_real_ns) {
    return {
        {"sequence", sequence},
        {"time",
         time_real_ns == 0 ? json::value(nullptr) : json::value(moment_text(time_real_ns))}};
}

// As far back as the folder goes.
[[nodiscard]] Moment oldest_kept(journal::Disk& disk, const std::string& data_folder) {
    const auto segments = journal::list_segments(disk, data_folder + "/journal");
    const auto snapshots = journal::list_snapshots(disk, data_folder + "/snapshots");
    const bool whole = !segments.empty() && segments.front() == 1;
    return {whole || snapshots.empty() ? 0 : snapshots.front(), std::nullopt};
}

// Writes the state at the span's beginning, and a row for each command of it.
class Recorder final : public ViewFollower {
public:
    Recorder(journal::Disk& disk, const ReplayRequest& request, Moment from)
        : disk_{disk}, request_{request}, from_{from} {}

    virtual ~Recorder() = default;
    Recorder(const Recorder&) = delete;
    Recorder& operator=(const Recorder&) = delete;

    void begun(const trading::Core&) override {
        begun_ = false;
        tally_ = {};
        rows_ = std::ofstream{outcomes_file(request_), std::ios::binary | std::ios::trunc};
    }

    void before(const trading::Core& core, const trading::Command& command) override {
        if (!begun_ && is_beyond(from_, command.sequence, command.time_real_ns)) {
            begin(core);
        }
        next_order_id_ = core.next_order_id();
    }

    void after(const trading::Command& command, const trading::Output& output) override {
        if (!begun_) {
            return;
        }
        const Outcome row = outcome_of(next_order_id_, output);
        rows_.write(reinterpret_cast<const char*>(&row), sizeof row);
        tally_.add(command, output);
    }

    std::string finish(const View& view) {
        if (!begun_) {
            begin(*view.core);  // nothing happened in it
        }
        json::object out =
            tally_.json(*view.core, request_.instruments->asset_count(request_.instruments.self));
        out["from"] = place(first_.sequence, first_.time_real_ns);
        out["to"] = place(view.core->sequence(), view.core->time_real_ns());
        out["hashes_compared"] = view.hashes_compared;
        out["next_order_id"] = view.core->next_order_id();
        std::string text = json::serialize(out);
        rows_.close();
        std::ofstream summary{summary_file(request_), std::ios::trunc};
        summary << text;
        summary.close();
        if (!rows_ || !summary) {
            throw Error{TENON_UNAVAILABLE, "cannot write to " + request_.work_folder};
        }
        return text;
    }

private:
    void begin(const trading::Core& core) {
        begun_ = true;
        std::string state;
        core.snapshot_write(state);
        first_ = {
            core.sequence(),
            core.time_real_ns(),
            core.state_hash(),
            core.instruments_fingerprint()};
        journal::write_snapshot(
            disk_, request_.work_folder, first_, std::as_bytes(std::span{state})
        );
    }

    journal::Disk& disk_;
    const ReplayRequest& request_;
    Moment from_;
    std::ofstream rows_;
    Tally tally_;
    journal::SnapshotInfo first_;
    std::uint64_t next_order_id_ = 0;
    bool begun_ = false;
};

class Replayer {
public:
    Replayer(journal::Disk& disk, const ReplayRequest& request)
        : disk_{disk}, request_{request}, core_{request.make_core()} {
        std::ifstream file{summary_file(request)};
        std::ostringstream text;
        text << file.rdbuf();
        recorded_ = json::parse(text.str()).as_object();
    }

    std::string run() {
        load_start();
        set_limits();
        replay();
        return report();
    }

private:
    void load_start() {
        const auto sequence = recorded_.at("from").at("sequence").to_number<std::uint64_t>();
        const journal::Snapshot start =
            journal::read_snapshot(disk_, request_.work_folder, sequence);
        try {
            core_->snapshot_read(
                {reinterpret_cast<const char*>(start.payload.data()), start.payload.size()}
            );
        } catch (const Error& error) {
            throw Error{
                TENON_CONFLICT,
                "this deployment cannot take over the state after record " +
                    std::to_string(sequence) + ": " + error.what()};
        }
    }

    void set_limits() {
        for (const std::string& text : request_.risk) {
            boost::system::error_code failure;
            const json::value args = json::parse(text, failure);
            if (failure || !args.is_object()) {
                throw Error{TENON_INVALID, "risk: found " + text + ", expected a JSON object"};
            }
            require_known(args.as_object());
            auto command =
                risk_scope(args.as_object(), request_.instruments, [this](std::string_view name) {
                    return account_id(name);
                });
            read_risk_limits(args.as_object(), request_.instruments, command);
            const std::uint32_t reject = core_->set_risk(command);
            if (reject != TENON_REJECT_NONE) {
                throw Error{
                    TENON_INVALID,
                    "risk: the engine refuses " + text + ": " + std::string{reject_name(reject)}};
            }
            limited_.emplace_back(command.account, command.instrument);
        }
    }

    static void require_known(const json::object& args) {
        for (const auto& [key, value] : args) {
            const std::string_view name = key;
            const auto& limits = trading::k_risk_limit_names;
            if (name != "account" && name != "symbol" &&
                std::find(limits.begin(), limits.end(), name) == limits.end()) {
                throw Error{TENON_INVALID, "risk: \"" + std::string{name} + "\" is not known"};
            }
        }
    }

    [[nodiscard]] std::uint64_t account_id(std::string_view name) const {
        for (const trading::Account& account : core_->accounts()) {
            if (account.name == name) {
                return account.id;
            }
        }
        throw Error{
            TENON_NOT_FOUND,
            "risk: there was no account \"" + std::string{name} + "\" at the span's beginning"};
    }

    // What was set then gives way to what is set now.
    [[nodiscard]] bool is_replaced(const trading::Command& command) const {
        const auto* const limits = std::get_if<trading::RiskLimitsCommand>(&command.body);
        return limits != nullptr &&
               std::find(
                   limited_.begin(), limited_.end(), std::pair{limits->account, limits->instrument}
               ) != limited_.end();
    }

    void replay() {
        journal::JournalReader reader{
            disk_, request_.data_folder + "/journal", core_->sequence() + 1};
        std::ifstream rows{outcomes_file(request_), std::ios::binary};
        journal::Record record;
        Outcome then;
        while (rows.read(reinterpret_cast<char*>(&then), sizeof then)) {
            do {
                if (!reader.next(record)) {
                    throw Error{
                        TENON_CORRUPT,
                        "the journal ends before record " + std::to_string(then.sequence)};
                }
            } while (record.type != k_record_command);
            trading::Command command;
            decode_command(record, command);
            if (is_replaced(command)) {
                ++replaced_;
                continue;
            }
            apply(command, then);
        }
    }

    void apply(const trading::Command& command, const Outcome& then) {
        const bool was_taken = then.reject == TENON_REJECT_NONE;
        core_->number_orders_from(was_taken ? then.next_order_id : new_orders_);
        output_.clear();
        (void)core_->apply(command, output_);
        if (!was_taken) {
            new_orders_ = core_->next_order_id();
        }
        tally_.add(command, output_);
        compare(command, then, outcome_of(then.next_order_id, output_));
    }

    void compare(const trading::Command& command, const Outcome& then, const Outcome& now) {
        if (then.reject == now.reject && then.done == now.done) {
            return;
        }
        if (then.reject == now.reject) {
            ++otherwise_;
        } else {
            ++outcomes_[{then.reject, now.reject}];
        }
        if (shown_.size() < request_.shown) {
            json::object row = describe(command, *core_, request_.instruments);
            row["recorded"] = reject_name(then.reject);
            row["replayed"] =
                then.reject == now.reject ? "executed otherwise" : reject_name(now.reject);
            shown_.push_back(std::move(row));
        }
    }

    // Orders that only now are taken, and wait for a market outside that was never asked about
    // them.
    [[nodiscard]] std::uint64_t not_simulated() const {
        std::uint64_t count = 0;
        for (const trading::Account& account : core_->accounts()) {
            core_->for_each_open_order(
                account.id,
                TENON_ANY_INSTRUMENT,
                [&](const tenon_order& order) {
                    if (order.order_id >= k_new_orders &&
                        order.status == TENON_STATUS_PENDING_NEW) {
                        ++count;
                    }
                }
            );
        }
        return count;
    }

    std::string report() {
        if (const std::string broken = core_->check_invariants(); !broken.empty()) {
            throw Error{TENON_CORRUPT, "the replay has broken the state: " + broken};
        }
        core_->number_orders_from(recorded_.at("next_order_id").to_number<std::uint64_t>());
        const std::uint32_t assets = request_.instruments->asset_count(request_.instruments.self);
        const json::object now = tally_.json(*core_, assets);
        std::uint64_t differing = otherwise_;
        json::array outcomes;
        for (const auto& [pair, count] : outcomes_) {
            differing += count;
            outcomes.push_back(
                {{"recorded", reject_name(pair.first)},
                 {"replayed", reject_name(pair.second)},
                 {"commands", count}}
            );
        }
        const bool agree = differing == 0 && now.at("state_hash") == recorded_.at("state_hash");
        return json::serialize(json::object{
            {"agree", agree},
            {"from", recorded_.at("from")},
            {"to", recorded_.at("to")},
            {"commands", recorded_.at("commands")},
            {"hashes_compared", recorded_.at("hashes_compared")},
            {"state_hash", sides("state_hash", now)},
            {"open_orders", sides("open_orders", now)},
            {"differing", differing},
            {"executed_otherwise", otherwise_},
            {"limits_replaced", replaced_},
            {"not_simulated", not_simulated()},
            {"outcomes", std::move(outcomes)},
            {"accounts", accounts(now)},
            {"balances", balances(now)},
            {"first", std::move(shown_)}});
    }

    [[nodiscard]] json::object sides(std::string_view name, const json::object& now) const {
        return {{"recorded", recorded_.at(name)}, {"replayed", now.at(name)}};
    }

    // Account by account, those that did not do the same. A replay opens the accounts that were
    // opened then, in their order.
    [[nodiscard]] json::array accounts(const json::object& now) const {
        json::array out;
        each_account(now, [&](const json::object& then, const json::object& here) {
            json::object row{{"account", then.at("name")}};
            for (const char* const name : {"orders_taken", "orders_refused", "trades"}) {
                row[name] = {{"recorded", then.at(name)}, {"replayed", here.at(name)}};
                if (then.at(name) != here.at(name)) {
                    row["differs"] = true;
                }
            }
            if (row.erase("differs") != 0) {
                out.push_back(std::move(row));
            }
        });
        return out;
    }

    [[nodiscard]] json::array balances(const json::object& now) const {
        json::array out;
        each_account(now, [&](const json::object& then, const json::object& here) {
            std::map<std::uint32_t, std::pair<std::int64_t, std::int64_t>> totals;
            for (const json::value& row : then.at("balances").as_array()) {
                totals[row.at(0).to_number<std::uint32_t>()].first =
                    row.at(1).to_number<std::int64_t>();
            }
            for (const json::value& row : here.at("balances").as_array()) {
                totals[row.at(0).to_number<std::uint32_t>()].second =
                    row.at(1).to_number<std::int64_t>();
            }
            for (const auto& [id, total] : totals) {
                if (total.first == total.second) {
                    continue;
                }
                const tenon_asset& asset =
                    *request_.instruments->asset(request_.instruments.self, id);
                out.push_back(
                    {{"account", then.at("name")},
                     {"asset", view(asset.name)},
                     {"recorded", decimal_text(total.first, asset.scale)},
                     {"replayed", decimal_text(total.second, asset.scale)},
                     {"difference", decimal_text(total.second - total.first, asset.scale)}}
                );
            }
        });
        return out;
    }

    template <class Fn>
    void each_account(const json::object& now, Fn&& fn) const {
        const json::array& then = recorded_.at("accounts").as_array();
        const json::array& here = now.at("accounts").as_array();
        for (std::size_t i = 0; i < std::min(then.size(), here.size()); ++i) {
            fn(then[i].as_object(), here[i].as_object());
        }
    }

    journal::Disk& disk_;
    const ReplayRequest& request_;
    std::unique_ptr<trading::Core> core_;
    json::object recorded_;
    std::vector<std::pair<std::uint64_t, std::uint32_t>> limited_;  // account, instrument
    trading::Output output_;
    Tally tally_;
    std::uint64_t new_orders_ = k_new_orders;
    std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint64_t> outcomes_;
    std::uint64_t otherwise_ = 0, replaced_ = 0;
    json::array shown_;
};

}  // namespace

std::string replay_recorded(journal::Disk& disk, const ReplayRequest& request) {
    const bool open = !request.from.sequence && !request.from.time_real_ns;
    const Moment from = open ? oldest_kept(disk, request.data_folder) : request.from;
    if ((from.sequence && request.to.sequence && *from.sequence > *request.to.sequence) ||
        (from.time_real_ns && request.to.time_real_ns &&
         *from.time_real_ns > *request.to.time_real_ns)) {
        throw Error{TENON_INVALID, "the span ends before it begins"};
    }
    Recorder recorder{disk, request, from};
    ViewRequest look;
    look.data_folder = request.data_folder;
    look.moment = request.to;
    look.base = from;
    look.follower = &recorder;
    look.make_core = request.make_core;
    return recorder.finish(view_at(disk, look));
}

std::string replay_changed(journal::Disk& disk, const ReplayRequest& request) {
    return Replayer{disk, request}.run();
}

}  // namespace tenon::engine
