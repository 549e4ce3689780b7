// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/engine/core/core.hpp"

#include <tenon/assert.hpp>

namespace tenon::trading {

Core::Core(
    Service<tenon_instruments_1> instruments,
    std::vector<VenueBinding> venues,
    const CoreOptions& options
)
    : venues_{std::move(venues)},
      options_{options},
      table_{instruments},
      ledger_{table_.asset_count()},
      orders_{table_.size(), options.closed_ids_remembered, options.hash_seed} {
    for (std::uint32_t id = 0; id < table_.size(); ++id) {
        for (std::uint32_t at = 0; at < venues_.size(); ++at) {
            if (venues_[at].name == view(table_[id].rules.venue)) {
                table_[id].venue = at;
            }
        }
    }
    reset();
}

Core::~Core() = default;

const Result& Core::apply(const Command& command, Output& out) {
    TENON_ASSERT(command.sequence > sequence_);
    sequence_ = command.sequence;
    time_real_ns_ = command.time_real_ns;
    ledger_.begin();
    out_ = &out;
    subject_ = k_no_slot;
    subject_has_row_ = false;
    refusable_ = false;
    venue_reject_ = TENON_REJECT_NONE;
    commission_ = {};
    triggered_.clear();
    decisions_.clear();

    const auto orders = static_cast<std::uint32_t>(out.orders_.size());
    const auto trades = static_cast<std::uint32_t>(out.trades_.size());
    const auto events = static_cast<std::uint32_t>(out.events_.size());
    const auto lists = static_cast<std::uint32_t>(out.lists_.size());
    const auto prevented = static_cast<std::uint32_t>(out.prevented_.size());
    Result& result = out.results_.emplace_back();
    result_ = &result;
    result.sequence = sequence_;
    result.time_real_ns = time_real_ns_;
    result.orders.first = orders;
    result.trades.first = trades;
    result.events.first = events;
    result.lists.first = lists;
    result.prevented.first = prevented;
    std::visit([this](const auto& body) { run(body); }, command.body);

    if (result.reject != TENON_REJECT_NONE) {
        out.orders_.resize(orders);
        out.trades_.resize(trades);
        out.events_.resize(events);
        out.lists_.resize(lists);
        out.prevented_.resize(prevented);
        return result;
    }
    put_touched_balances();
    if (subject_has_row_) {
        result.orders = {subject_row_, 1};
    }
    result.trades.count = static_cast<std::uint32_t>(out.trades_.size()) - trades;
    result.prevented.count = static_cast<std::uint32_t>(out.prevented_.size()) - prevented;
    result.events.count = static_cast<std::uint32_t>(out.events_.size()) - events;
    return result;
}

void Core::put_touched_balances() {
    for (const auto& [account, asset] : ledger_.touched()) {
        const Balance& cell = ledger_.at(account, asset);
        const auto row = static_cast<std::uint32_t>(out_->balances_.size());
        out_->balances_.push_back({sizeof(tenon_balance), asset, account, cell.free, cell.locked});
        out_->events_.push_back({TENON_EVENT_BALANCE, row, Output::k_none, false});
    }
}

const tenon_venue_1* Core::venue_of(const Instrument& instrument) const noexcept {
    return instrument.venue == k_no_venue ? nullptr : venues_[instrument.venue].venue.table;
}

tenon_status Core::evidence(
    const tenon_order_request& request,
    std::int64_t now_real_ns,
    tenon_sink sink
) const {
    const Instrument* instrument = table_.find(request.instrument);
    if (instrument == nullptr || instrument->venue == k_no_venue) {
        return TENON_OK;
    }
    const Service<tenon_venue_1>& venue = venues_[instrument->venue].venue;
    if (!TENON_HAS(venue.table, tenon_venue_1, evidence)) {
        return TENON_OK;
    }
    auto order = sized<tenon_venue_order>();
    order.order_id = next_order_id_;
    order.account = request.account;
    order.instrument = request.instrument;
    order.side = request.side;
    order.type = request.type;
    order.time_in_force = request.time_in_force;
    order.stp_mode = request.stp_mode;
    order.trailing_delta = request.trailing_delta;
    order.price = request.price;
    order.quantity = request.quantity;
    order.quote_quantity = request.quote_quantity;
    order.funds = INT64_MAX;
    order.stop_price = request.stop_price;
    order.display_quantity = request.display_quantity;
    return venue->evidence(venue.self, &order, now_real_ns, sink);
}

const tenon_order* Core::open_order(
    std::uint64_t account,
    std::uint32_t instrument,
    std::uint64_t order_id,
    const tenon_client_id& client_id
) const noexcept {
    const std::uint32_t slot =
        order_id != 0 ? orders_.find(order_id) : orders_.find_client(account, normal(client_id));
    if (slot == k_no_slot) {
        return nullptr;
    }
    const tenon_order& order = orders_[slot].order;
    const bool fits = order.account == account &&
                      (instrument == TENON_ANY_INSTRUMENT || order.instrument == instrument);
    return fits ? &order : nullptr;
}

const Account* Core::find_account(std::uint64_t id) const noexcept {
    constexpr std::uint64_t k_system = TENON_ACCOUNT_VENUES;
    if (id == 0 || (id > k_system && id < TENON_ACCOUNT_FIRST) || id >= ledger_.account_end()) {
        return nullptr;
    }
    return &accounts_[id <= k_system ? id - 1 : id - TENON_ACCOUNT_FIRST + k_system];
}

const Account* Core::find_account(std::string_view name) const noexcept {
    const auto found = account_ids_.find(std::string{name});
    return found == account_ids_.end() ? nullptr : find_account(found->second);
}

const ApiKey* Core::find_key(std::string_view key) const noexcept {
    const auto found = key_rows_.find(std::string{key});
    return found == key_rows_.end() ? nullptr : &keys_[found->second];
}

tenon_balance Core::balance(std::uint64_t account, std::uint32_t asset) const noexcept {
    auto row = sized<tenon_balance>();
    row.account = account;
    row.asset = asset;
    if (account < ledger_.account_end() && asset < ledger_.asset_count()) {
        const Balance& cell = ledger_.at(account, asset);
        row.free = cell.free;
        row.locked = cell.locked;
    }
    return row;
}

bool Core::balance_used(std::uint64_t account, std::uint32_t asset) const noexcept {
    return account < ledger_.account_end() && asset < ledger_.asset_count() &&
           ledger_.at(account, asset).used != 0;
}

std::uint32_t Core::instrument_status(std::uint32_t id) const noexcept {
    const Instrument* instrument = table_.find(id);
    if (instrument == nullptr) {
        return TENON_INSTRUMENT_BREAK;
    }
    return instrument->venue == k_no_venue && instrument->status == TENON_INSTRUMENT_TRADING
               ? TENON_INSTRUMENT_HALT
               : instrument->status;
}

std::uint32_t Core::venue_takes(std::uint32_t id) const noexcept {
    const Instrument* instrument = table_.find(id);
    const tenon_venue_1* venue = instrument == nullptr ? nullptr : venue_of(*instrument);
    return venue == nullptr ? 0 : venue->flags;
}

std::int64_t Core::last_price(std::uint32_t id) const noexcept {
    const Instrument* instrument = table_.find(id);
    return instrument == nullptr ? 0 : instrument->last_price;
}

}  // namespace tenon::trading
