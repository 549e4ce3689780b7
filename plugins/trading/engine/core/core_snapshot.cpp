// SPDX-License-Identifier: Apache-2.0
// The state as bytes and as a hash. Format: snapshot_format.hpp.
#include "plugins/trading/engine/core/core.hpp"
#include "plugins/trading/engine/core/snapshot_format.hpp"

#include <tenon/byte_codec.hpp>
#include <tenon/decimal.hpp>

#include <algorithm>

namespace tenon::trading {
namespace {

constexpr std::size_t k_symbol_bytes_max = 64;

[[nodiscard]] std::string_view text_of(const tenon_client_id& id) noexcept {
    return {id.text, id.length};
}

[[nodiscard]] tenon_client_id get_client_id(ByteReader& in) noexcept {
    const std::string_view text = in.get_text(TENON_CLIENT_ID_MAX);
    tenon_client_id id{};
    id.length = static_cast<std::uint8_t>(text.size());
    std::copy(text.begin(), text.end(), id.text);  // may be empty, with no bytes behind it
    return id;
}

[[noreturn]] void corrupt(const ByteReader& in, std::string_view what) {
    throw Error{
        TENON_CORRUPT,
        "snapshot of the core, byte " + std::to_string(in.offset()) + ": " + std::string{what}};
}

void must(const ByteReader& in, bool condition, std::string_view what) {
    if (!in.ok() || !condition) {
        corrupt(in, in.ok() ? what : "ends too early");
    }
}

void write_order(ByteWriter& out, const OrderSlot& slot) {
    const tenon_order& order = slot.order;
    out.put(order.order_id);
    out.put(order.account);
    out.put(order.instrument);
    out.put(order.side);
    out.put(order.type);
    out.put(order.time_in_force);
    out.put(order.status);
    out.put(order.price);
    out.put(order.quantity);
    out.put(order.quote_quantity);
    out.put(order.filled_quantity);
    out.put(order.filled_quote);
    out.put(order.created_real_ns);
    out.put(order.updated_real_ns);
    out.put(order.update_sequence);
    out.put(slot.locked);
    out.put_text(text_of(order.client_id));
    out.put_text(text_of(order.cancel_client_id));
    out.put(order.stop_price);
    out.put(order.working_real_ns);
    out.put(order.list_id);
    out.put(order.display_quantity);
    out.put(order.prevented_quantity);
    out.put(order.prevented_match_id);
    out.put(order.trailing_delta);
    out.put(order.stp_mode);
    out.put(order.expires_real_ns);
}

[[nodiscard]] tenon_order
read_order(ByteReader& in, std::uint16_t version, std::int64_t& locked) noexcept {
    auto order = sized<tenon_order>();
    order.order_id = in.get<std::uint64_t>();
    order.account = in.get<std::uint64_t>();
    order.instrument = in.get<std::uint32_t>();
    order.side = in.get<std::uint8_t>();
    order.type = in.get<std::uint8_t>();
    order.time_in_force = in.get<std::uint8_t>();
    order.status = in.get<std::uint8_t>();
    order.price = in.get<std::int64_t>();
    order.quantity = in.get<std::int64_t>();
    order.quote_quantity = in.get<std::int64_t>();
    order.filled_quantity = in.get<std::int64_t>();
    order.filled_quote = in.get<std::int64_t>();
    order.created_real_ns = in.get<std::int64_t>();
    order.updated_real_ns = in.get<std::int64_t>();
    order.update_sequence = in.get<std::uint64_t>();
    locked = in.get<std::int64_t>();
    order.client_id = get_client_id(in);
    order.cancel_client_id = get_client_id(in);
    if (version >= 3) {
        order.stop_price = in.get<std::int64_t>();
        order.working_real_ns = in.get<std::int64_t>();
    } else {
        order.working_real_ns = order.created_real_ns;
    }
    order.list_id = version >= 4 ? in.get<std::uint64_t>() : 0;
    if (version >= 5) {
        order.display_quantity = in.get<std::int64_t>();
        order.prevented_quantity = in.get<std::int64_t>();
        order.prevented_match_id = in.get<std::uint64_t>();
        order.trailing_delta = in.get<std::uint32_t>();
        order.stp_mode = in.get<std::uint32_t>();
        order.expires_real_ns = in.get<std::int64_t>();
    }
    return order;
}

// A count that is known when its rows are written.
class Count {
public:
    explicit Count(ByteWriter& out) : out_{out}, at_{out.size()} { out.put(std::uint32_t{0}); }

    Count(const Count&) = delete;
    Count& operator=(const Count&) = delete;

    ~Count() { out_.patch(at_, rows_); }

    void operator++() noexcept { ++rows_; }

private:
    ByteWriter& out_;
    std::size_t at_;
    std::uint32_t rows_ = 0;
};

}  // namespace

void Core::write_state(std::string& bytes) const {
    ByteWriter out{bytes};
    out.put(next_order_id_);
    out.put(anomalies_);
    out.put(static_cast<std::uint8_t>(halted_));
    out.put(table_.asset_count());
    for (std::uint32_t id = 0; id < table_.asset_count(); ++id) {
        out.put_text(table_.asset_name(id));
    }
    out.put(table_.size());
    for (std::uint32_t id = 0; id < table_.size(); ++id) {
        const Instrument& instrument = table_[id];
        out.put_text(view(instrument.rules.symbol));
        out.put(instrument.status);
        out.put(instrument.last_price);
        out.put(instrument.next_trade_id);
        out.put(instrument.next_prevented_id);
    }
    write_accounts(out);
    write_orders(out);
    write_lists(out);
    write_references_and_keys(out);
    risk_.write(out);
}

void Core::write_accounts(ByteWriter& out) const {
    {
        Count count{out};
        for (const Account& account : accounts_) {
            if (account.id >= TENON_ACCOUNT_FIRST) {
                ++count;
                out.put_text(account.name);
                out.put(static_cast<std::uint8_t>(account.enabled));
                out.put(account.created_real_ns);
                out.put(account.updated_real_ns);
            }
        }
    }
    {
        Count count{out};
        for (std::uint64_t account = 0; account < ledger_.account_end(); ++account) {
            for (std::uint32_t asset = 0; asset < ledger_.asset_count(); ++asset) {
                const Balance& cell = ledger_.at(account, asset);
                if (cell.used != 0) {
                    ++count;
                    out.put(account);
                    out.put(asset);
                    out.put(cell.free);
                    out.put(cell.locked);
                }
            }
        }
    }
}

void Core::write_orders(ByteWriter& out) const {
    {
        Count count{out};
        for (const std::uint32_t slot : orders_.sorted()) {
            ++count;
            write_order(out, orders_[slot]);
        }
    }
    Count count{out};
    orders_.for_each_remembered([&](const ClosedId& closed) {
        ++count;
        out.put(closed.account);
        out.put_text(text_of(closed.client_id));
    });
}

void Core::write_lists(ByteWriter& out) const {
    Count count{out};
    lists_.for_each([&](const OrderList& list) {
        ++count;
        out.put(list.row.list_id);
        out.put(list.row.account);
        out.put(list.row.instrument);
        out.put(list.row.contingency);
        out.put(list.row.created_real_ns);
        out.put(list.row.updated_real_ns);
        out.put(list.row.update_sequence);
        out.put(list.locked);
        out.put(list.chosen);
        out.put_text(text_of(list.row.client_id));
        for (const tenon_list_order& order : list.row.orders) {
            out.put(order.order_id);
            out.put_text(text_of(order.client_id));
        }
    });
}

void Core::write_references_and_keys(ByteWriter& out) const {
    out.put(static_cast<std::uint32_t>(references_.size()));
    for (const std::string& reference : references_) {
        const Transfer& transfer = transfers_.at(reference);
        out.put_text(reference);
        out.put(transfer.from);
        out.put(transfer.to);
        out.put(transfer.asset);
        out.put(transfer.amount);
    }
    out.put(static_cast<std::uint32_t>(keys_.size()));
    for (const ApiKey& key : keys_) {
        out.put_text(key.key);
        out.put(key.account);
        out.put(key.kind);
        out.put(key.permissions);
        out.put_text(key.material);
        out.put_text(key.label);
        out.put(key.created_real_ns);
        out.put(static_cast<std::uint8_t>(key.revoked));
        out.put_text(key.addresses);
    }
}

std::uint64_t Core::state_hash() const {
    std::string state;
    write_state(state);
    Hash64 hash;
    hash.add(state);
    for (const VenueBinding& binding : venues_) {
        hash.add(binding.name);
        hash.add(binding.venue->hash(binding.venue.self));
    }
    return hash.value();
}

void Core::snapshot_write(std::string& bytes) const {
    ByteWriter out{bytes};
    out.put(k_snapshot_magic);
    out.put(k_snapshot_version);
    out.put(std::uint16_t{0});
    out.put(sequence_);
    out.put(time_real_ns_);
    write_state(bytes);
    out.put(static_cast<std::uint32_t>(venues_.size()));
    for (const VenueBinding& binding : venues_) {
        StringSink blob;
        ErrorBuffer err;
        check(
            binding.venue->snapshot_write(binding.venue.self, blob.sink(), &err),
            err,
            "snapshot of venue " + binding.name
        );
        out.put_text(binding.name);
        out.put_text(blob.text());
    }
}

void Core::reset() {
    ledger_.reset();
    orders_.reset();
    lists_.clear();
    expiries_.clear();
    accounts_.clear();
    account_ids_.clear();
    keys_.clear();
    key_rows_.clear();
    transfers_.clear();
    references_.clear();
    risk_.clear();
    next_order_id_ = 1;
    anomalies_ = 0;
    halted_ = false;
    for (const auto& [id, name] :
         {std::pair{TENON_ACCOUNT_EXTERNAL, "external"},
          std::pair{TENON_ACCOUNT_FEES, "fees"},
          std::pair{TENON_ACCOUNT_VENUES, "venues"}}) {
        accounts_.push_back({id, name, true, 0, 0});
        account_ids_.emplace(name, id);
    }
    for (std::uint32_t id = 0; id < table_.size(); ++id) {
        Instrument& instrument = table_[id];
        instrument.status = instrument.rules.status;
        instrument.last_price = 0;
        instrument.next_trade_id = 1;
        instrument.next_prevented_id = 1;
    }
}

bool Core::is_of_this_version(std::string_view snapshot) noexcept {
    ByteReader in{snapshot};
    const bool ours = in.get<std::uint32_t>() == k_snapshot_magic;
    return in.get<std::uint16_t>() == k_snapshot_version && ours && in.ok();
}

void Core::snapshot_read(std::string_view bytes) {
    ByteReader in{bytes};
    must(in, in.get<std::uint32_t>() == k_snapshot_magic, "not a snapshot of the core");
    const auto version = in.get<std::uint16_t>();
    must(
        in,
        version >= 1 && version <= k_snapshot_version,
        "version " + std::to_string(version) + ", expected 1 to 6"
    );
    must(in, in.get<std::uint16_t>() == 0, "reserved bytes are set");
    reset();
    sequence_ = in.get<std::uint64_t>();
    time_real_ns_ = in.get<std::int64_t>();
    read_state(in, version);
    must(in, in.at_end(), "bytes are left over");
    if (const std::string broken = check_invariants(); !broken.empty()) {
        corrupt(in, broken);
    }
}

void Core::read_state(ByteReader& in, std::uint16_t version) {
    next_order_id_ = in.get<std::uint64_t>();
    anomalies_ = in.get<std::uint64_t>();
    halted_ = version >= 2 && in.get<std::uint8_t>() != 0;
    read_instruments(in, version);
    read_accounts(in);
    read_orders(in, version);
    if (version >= 4) {
        read_lists(in);
    }
    read_references(in);
    read_keys(in, version);
    if (version >= 6) {
        const auto is_account = [&](std::uint64_t id) { return find_account(id) != nullptr; };
        must(in, risk_.read(in, table_.size(), is_account), "bad risk limits");
    }
    read_venues(in, version);
}

void Core::read_instruments(ByteReader& in, std::uint16_t version) {
    const auto assets = in.get<std::uint32_t>();
    must(in, assets <= table_.asset_count(), "more assets than are listed");
    for (std::uint32_t id = 0; id < assets; ++id) {
        const std::string_view name = in.get_text(k_symbol_bytes_max);
        must(
            in,
            name == table_.asset_name(id),
            "asset " + std::to_string(id) + " is " + std::string{name} + ", listed is " +
                table_.asset_name(id)
        );
    }
    const auto count = in.get<std::uint32_t>();
    must(in, count <= table_.size(), "more instruments than are listed");
    for (std::uint32_t id = 0; id < count; ++id) {
        Instrument& instrument = table_[id];
        const std::string_view symbol = in.get_text(k_symbol_bytes_max);
        must(
            in,
            symbol == view(instrument.rules.symbol),
            "instrument " + std::to_string(id) + " is " + std::string{symbol} + ", listed is " +
                std::string{view(instrument.rules.symbol)}
        );
        instrument.status = in.get<std::uint32_t>();
        instrument.last_price = in.get<std::int64_t>();
        instrument.next_trade_id = in.get<std::uint64_t>();
        instrument.next_prevented_id = version >= 5 ? in.get<std::uint64_t>() : 1;
        must(
            in,
            instrument.status >= TENON_INSTRUMENT_TRADING &&
                instrument.status <= TENON_INSTRUMENT_BREAK && instrument.last_price >= 0,
            "bad state of an instrument"
        );
    }
}

void Core::read_accounts(ByteReader& in) {
    const auto count = in.get<std::uint32_t>();
    for (std::uint32_t i = 0; i < count; ++i) {
        std::string name{in.get_text(k_name_bytes_max)};
        must(in, !account_ids_.contains(name), "an account is there twice");
        open_account(std::move(name), 0);
        Account& account = accounts_.back();
        account.enabled = in.get<std::uint8_t>() != 0;
        account.created_real_ns = in.get<std::int64_t>();
        account.updated_real_ns = in.get<std::int64_t>();
    }
    const auto balances = in.get<std::uint32_t>();
    for (std::uint32_t i = 0; i < balances; ++i) {
        const auto account = in.get<std::uint64_t>();
        const auto asset = in.get<std::uint32_t>();
        const auto free = in.get<std::int64_t>();
        const auto locked = in.get<std::int64_t>();
        must(
            in,
            find_account(account) != nullptr && asset < table_.asset_count(),
            "balance of an unknown account or asset"
        );
        ledger_.restore(account, asset, free, locked);
    }
}

void Core::read_orders(ByteReader& in, std::uint16_t version) {
    const auto count = in.get<std::uint32_t>();
    std::uint64_t last = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
        std::int64_t locked = 0;
        const tenon_order order = read_order(in, version, locked);
        must(
            in, order.order_id > last && order.order_id < next_order_id_, "order ids not ascending"
        );
        must(
            in,
            order.account >= TENON_ACCOUNT_FIRST && find_account(order.account) != nullptr &&
                order.instrument < table_.size() && order.side <= TENON_SIDE_SELL &&
                order.stop_price >= 0 && order.display_quantity >= 0 &&
                order.prevented_quantity >= 0 && order.stp_mode <= TENON_STP_TRANSFER &&
                order.expires_real_ns >= 0 && order.status >= TENON_STATUS_PENDING_NEW &&
                order.status < TENON_STATUS_FILLED,
            "bad order " + std::to_string(order.order_id)
        );
        must(
            in,
            !orders_.client_id_taken(order.account, order.client_id),
            "a client id is there twice"
        );
        last = order.order_id;
        orders_.insert(order, locked);
        watch_expiry(order);
    }
    const auto closed = in.get<std::uint32_t>();
    for (std::uint32_t i = 0; i < closed; ++i) {
        const auto account = in.get<std::uint64_t>();
        const tenon_client_id id = get_client_id(in);
        must(in, find_account(account) != nullptr, "closed order of an unknown account");
        must(in, !orders_.client_id_taken(account, id), "a client id is there twice");
        orders_.remember(account, id);
    }
}

void Core::read_lists(ByteReader& in) {
    const auto count = in.get<std::uint32_t>();
    std::uint64_t last = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
        OrderList list;
        tenon_order_list& row = list.row;
        row.list_id = in.get<std::uint64_t>();
        row.account = in.get<std::uint64_t>();
        row.instrument = in.get<std::uint32_t>();
        row.contingency = in.get<std::uint32_t>();
        row.created_real_ns = in.get<std::int64_t>();
        row.updated_real_ns = in.get<std::int64_t>();
        row.update_sequence = in.get<std::uint64_t>();
        row.status = TENON_LIST_EXECUTING;
        row.order_count = TENON_LIST_ORDERS_MAX;
        list.locked = in.get<std::int64_t>();
        list.chosen = in.get<std::uint64_t>();
        row.client_id = get_client_id(in);
        bool good = row.list_id > last && row.contingency == TENON_CONTINGENCY_OCO &&
                    find_account(row.account) != nullptr && row.instrument < table_.size() &&
                    lists_.find_client(row.account, row.client_id) == nullptr;
        for (tenon_list_order& order : row.orders) {
            order.order_id = in.get<std::uint64_t>();
            order.client_id = get_client_id(in);
            const std::uint32_t slot = orders_.find(order.order_id);
            if (slot != k_no_slot) {
                const tenon_order& open = orders_[slot].order;
                good = good && open.list_id == row.list_id && open.account == row.account &&
                       open.instrument == row.instrument;
                ++list.open;
            }
        }
        must(in, good && list.open != 0, "bad order list " + std::to_string(row.list_id));
        last = row.list_id;
        lists_.insert(list);
    }
}

void Core::read_references(ByteReader& in) {
    const auto count = in.get<std::uint32_t>();
    for (std::uint32_t i = 0; i < count; ++i) {
        const std::string_view reference = in.get_text(k_reference_bytes_max);
        Transfer transfer;
        transfer.from = in.get<std::uint64_t>();
        transfer.to = in.get<std::uint64_t>();
        transfer.asset = in.get<std::uint32_t>();
        transfer.amount = in.get<std::int64_t>();
        must(in, !transfers_.contains(std::string{reference}), "a reference is there twice");
        remember_reference(reference, transfer);
    }
}

void Core::read_keys(ByteReader& in, std::uint16_t version) {
    const auto count = in.get<std::uint32_t>();
    for (std::uint32_t i = 0; i < count; ++i) {
        ApiKey key;
        key.key = in.get_text(k_key_bytes_max);
        key.account = in.get<std::uint64_t>();
        key.kind = in.get<std::uint32_t>();
        key.permissions = in.get<std::uint32_t>();
        key.material = in.get_text(k_material_bytes_max);
        key.label = in.get_text(k_label_bytes_max);
        key.created_real_ns = in.get<std::int64_t>();
        key.revoked = in.get<std::uint8_t>() != 0;
        if (version >= 7) {
            key.addresses = in.get_text(k_addresses_bytes_max);
        }
        must(in, find_account(key.account) != nullptr, "key of an unknown account");
        must(
            in,
            key_rows_.emplace(key.key, static_cast<std::uint32_t>(keys_.size())).second,
            "a key is there twice"
        );
        keys_.push_back(std::move(key));
    }
}

void Core::read_venues(ByteReader& in, std::uint16_t version) {
    const auto count = in.get<std::uint32_t>();
    for (std::uint32_t i = 0; i < count; ++i) {
        const std::string name{in.get_text(k_venue_name_bytes_max)};
        const std::string_view blob = in.get_text(k_venue_blob_bytes_max);
        must(in, true, "");
        const VenueBinding* found = nullptr;
        for (const VenueBinding& binding : venues_) {
            found = binding.name == name ? &binding : found;
        }
        if (found == nullptr) {
            throw Error{
                TENON_INVALID,
                "the snapshot has the state of venue " + name + ", which is not deployed"};
        }
        ErrorBuffer err;
        check(
            found->venue->snapshot_read(found->venue.self, bytes(blob), &err),
            err,
            "snapshot of venue " + name
        );
    }
    if (version < 5) {
        tell_owners();
    }
}

// Venues of servers before self-trade prevention did not write whose an order is.
void Core::tell_owners() const {
    for (const std::uint32_t at : orders_.sorted()) {
        const tenon_order& order = orders_[at].order;
        const Instrument& instrument = table_[order.instrument];
        if (instrument.venue == k_no_venue) {
            continue;
        }
        const Service<tenon_venue_1>& venue = venues_[instrument.venue].venue;
        if (TENON_HAS(venue.table, tenon_venue_1, owned)) {
            venue->owned(venue.self, order.order_id, order.instrument, order.account);
        }
    }
}

}  // namespace tenon::trading
