// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/engine/core/command.hpp"

#include <tenon/byte_codec.hpp>
#include <tenon/plugin.hpp>

#include <algorithm>
#include <array>

namespace tenon::trading {
namespace {

[[nodiscard]] std::string_view text_of(const tenon_client_id& id) noexcept {
    return {id.text, std::min<std::size_t>(id.length, TENON_CLIENT_ID_MAX)};
}

[[nodiscard]] tenon_client_id get_client_id(ByteReader& in) noexcept {
    const std::string_view text = in.get_text(TENON_CLIENT_ID_MAX);
    tenon_client_id id{};
    id.length = static_cast<std::uint8_t>(text.size());
    std::copy(text.begin(), text.end(), id.text);  // may be empty, with no bytes behind it
    return id;
}

[[nodiscard]] tenon_bytes get_bytes(ByteReader& in, std::size_t most) noexcept {
    return bytes(in.get_text(most));
}

[[nodiscard]] tenon_str get_str(ByteReader& in, std::size_t most) noexcept {
    return str(in.get_text(most));
}

void put_order(ByteWriter& out, const SubmitCommand& command) {
    const tenon_order_request& order = command.order;
    out.put(order.instrument);
    out.put(order.account);
    out.put(order.side);
    out.put(order.type);
    out.put(order.time_in_force);
    out.put(order.price);
    out.put(order.quantity);
    out.put(order.quote_quantity);
    out.put_text(text_of(order.client_id));
    out.put_text(view(command.evidence));
}

// What version 4 says of an order.
[[nodiscard]] bool has_extras(const SubmitCommand& command) noexcept {
    const tenon_order_request& order = command.order;
    return order.stp_mode != TENON_STP_NONE || order.trailing_delta != 0 ||
           order.display_quantity != 0 || order.expires_real_ns != 0;
}

void put_extras(ByteWriter& out, const SubmitCommand& command) {
    out.put(command.order.stp_mode);
    out.put(command.order.trailing_delta);
    out.put(command.order.display_quantity);
    out.put(command.order.expires_real_ns);
}

void get_extras(ByteReader& in, SubmitCommand& command) noexcept {
    command.order.stp_mode = in.get<std::uint32_t>();
    command.order.trailing_delta = in.get<std::uint32_t>();
    command.order.display_quantity = in.get<std::int64_t>();
    command.order.expires_real_ns = in.get<std::int64_t>();
}

void put(ByteWriter& out, const SubmitCommand& command) {
    put_order(out, command);
    const bool extras = has_extras(command);
    if (command.order.stop_price != 0 || extras) {
        out.put(command.order.stop_price);
    }
    if (extras) {
        put_extras(out, command);
    }
}

// The first version whose readers understand the command.
[[nodiscard]] std::uint8_t version_of(const Command& command) noexcept {
    if (command.kind() >= CommandKind::key_addresses) {
        return 6;
    }
    if (command.kind() >= CommandKind::risk_limits) {
        return 5;
    }
    if (command.kind() >= CommandKind::amend) {
        return 4;
    }
    const auto* submit = std::get_if<SubmitCommand>(&command.body);
    const auto* list = std::get_if<SubmitListCommand>(&command.body);
    const auto* cancel = std::get_if<CancelCommand>(&command.body);
    if ((submit != nullptr && has_extras(*submit)) ||
        (list != nullptr && std::any_of(list->orders->begin(), list->orders->end(), has_extras))) {
        return 4;
    }
    if (command.kind() >= CommandKind::submit_list) {
        return 3;
    }
    const bool newer = (submit != nullptr && submit->order.stop_price != 0) ||
                       (cancel != nullptr && cancel->request.restriction != TENON_CANCEL_ANY);
    return newer ? 2 : 1;
}

void get(ByteReader& in, SubmitCommand& command) noexcept {
    tenon_order_request& order = command.order;
    order.size = sizeof order;
    order.instrument = in.get<std::uint32_t>();
    order.account = in.get<std::uint64_t>();
    order.side = in.get<std::uint8_t>();
    order.type = in.get<std::uint8_t>();
    order.time_in_force = in.get<std::uint8_t>();
    order.price = in.get<std::int64_t>();
    order.quantity = in.get<std::int64_t>();
    order.quote_quantity = in.get<std::int64_t>();
    order.client_id = get_client_id(in);
    command.evidence = get_bytes(in, k_evidence_bytes_max);
}

void put(ByteWriter& out, const CancelCommand& command) {
    const tenon_cancel_request& request = command.request;
    out.put(request.instrument);
    out.put(request.account);
    out.put(request.order_id);
    out.put_text(text_of(request.client_id));
    out.put_text(text_of(request.cancel_client_id));
    if (request.restriction != TENON_CANCEL_ANY) {
        out.put(request.restriction);
    }
}

void get(ByteReader& in, CancelCommand& command) noexcept {
    tenon_cancel_request& request = command.request;
    request.size = sizeof request;
    request.instrument = in.get<std::uint32_t>();
    request.account = in.get<std::uint64_t>();
    request.order_id = in.get<std::uint64_t>();
    request.client_id = get_client_id(in);
    request.cancel_client_id = get_client_id(in);
}

void put(ByteWriter& out, const CancelAllCommand& command) {
    out.put(command.account);
    out.put(command.instrument);
}

void get(ByteReader& in, CancelAllCommand& command) noexcept {
    command.account = in.get<std::uint64_t>();
    command.instrument = in.get<std::uint32_t>();
}

void put(ByteWriter& out, const VenueApplyCommand& command) {
    out.put_text(view(command.venue));
    out.put_text(view(command.evidence));
}

void get(ByteReader& in, VenueApplyCommand& command) noexcept {
    command.venue = get_str(in, k_venue_name_bytes_max);
    command.evidence = get_bytes(in, k_evidence_bytes_max);
}

void put(ByteWriter& out, const AccountOpenCommand& command) {
    out.put_text(view(command.name));
}

void get(ByteReader& in, AccountOpenCommand& command) noexcept {
    command.name = get_str(in, k_name_bytes_max);
}

void put(ByteWriter& out, const TransferCommand& command) {
    out.put(command.entry.from);
    out.put(command.entry.to);
    out.put(command.entry.asset);
    out.put(command.entry.amount);
    out.put_text(view(command.entry.reference));
}

void get(ByteReader& in, TransferCommand& command) noexcept {
    command.entry.from = in.get<std::uint64_t>();
    command.entry.to = in.get<std::uint64_t>();
    command.entry.asset = in.get<std::uint32_t>();
    command.entry.amount = in.get<std::int64_t>();
    command.entry.reference = get_str(in, k_reference_bytes_max);
}

void put(ByteWriter& out, const KeyAddCommand& command) {
    out.put_text(view(command.key.key));
    out.put(command.key.account);
    out.put(command.key.kind);
    out.put(command.key.permissions);
    out.put_text(view(command.key.material));
    out.put_text(view(command.key.label));
}

void get(ByteReader& in, KeyAddCommand& command) noexcept {
    command.key.key = get_str(in, k_key_bytes_max);
    command.key.account = in.get<std::uint64_t>();
    command.key.kind = in.get<std::uint32_t>();
    command.key.permissions = in.get<std::uint32_t>();
    command.key.material = get_bytes(in, k_material_bytes_max);
    command.key.label = get_str(in, k_label_bytes_max);
}

void put(ByteWriter& out, const KeyRevokeCommand& command) {
    out.put_text(view(command.key));
}

void get(ByteReader& in, KeyRevokeCommand& command) noexcept {
    command.key = get_str(in, k_key_bytes_max);
}

void put(ByteWriter& out, const InstrumentStatusCommand& command) {
    out.put(command.instrument);
    out.put(command.status);
}

void get(ByteReader& in, InstrumentStatusCommand& command) noexcept {
    command.instrument = in.get<std::uint32_t>();
    command.status = in.get<std::uint32_t>();
}

void put(ByteWriter& out, const AccountStatusCommand& command) {
    out.put(command.account);
    out.put(command.enabled);
    out.put(command.cancels);
}

void get(ByteReader& in, AccountStatusCommand& command) noexcept {
    command.account = in.get<std::uint64_t>();
    command.enabled = in.get<std::uint8_t>();
    command.cancels = in.get<std::uint8_t>();
}

void put(ByteWriter& out, const SubmitListCommand& command) {
    out.put(command.contingency);
    out.put_text(text_of(command.client_id));
    for (const SubmitCommand& order : *command.orders) {
        put_order(out, order);
        out.put(order.order.stop_price);
    }
    if (std::any_of(command.orders->begin(), command.orders->end(), has_extras)) {
        for (const SubmitCommand& order : *command.orders) {
            put_extras(out, order);
        }
    }
}

// Where the orders of a decoded list are.
[[nodiscard]] ListOrders& decoded_orders() noexcept {
    static thread_local ListOrders orders;
    return orders;
}

void get(ByteReader& in, SubmitListCommand& command) noexcept {
    command.contingency = in.get<std::uint32_t>();
    command.client_id = get_client_id(in);
    for (SubmitCommand& order : decoded_orders()) {
        order = {};
        get(in, order);
        order.order.stop_price = in.get<std::int64_t>();
    }
    command.orders = &decoded_orders();
}

void put(ByteWriter& out, const CancelListCommand& command) {
    const tenon_list_cancel& request = command.request;
    out.put(request.instrument);
    out.put(request.account);
    out.put(request.list_id);
    out.put_text(text_of(request.client_id));
    out.put_text(text_of(request.cancel_client_id));
}

void get(ByteReader& in, CancelListCommand& command) noexcept {
    tenon_list_cancel& request = command.request;
    request.instrument = in.get<std::uint32_t>();
    request.account = in.get<std::uint64_t>();
    request.list_id = in.get<std::uint64_t>();
    request.client_id = get_client_id(in);
    request.cancel_client_id = get_client_id(in);
}

void put(ByteWriter& out, const AmendCommand& command) {
    const tenon_amend_request& request = command.request;
    out.put(request.instrument);
    out.put(request.account);
    out.put(request.order_id);
    out.put_text(text_of(request.client_id));
    out.put(request.quantity);
    out.put_text(text_of(request.new_client_id));
}

void get(ByteReader& in, AmendCommand& command) noexcept {
    tenon_amend_request& request = command.request;
    request.instrument = in.get<std::uint32_t>();
    request.account = in.get<std::uint64_t>();
    request.order_id = in.get<std::uint64_t>();
    request.client_id = get_client_id(in);
    request.quantity = in.get<std::int64_t>();
    request.new_client_id = get_client_id(in);
}

void put(ByteWriter&, const ExpireCommand&) {}

void get(ByteReader&, ExpireCommand&) noexcept {}

void put(ByteWriter& out, const KeyAddressesCommand& command) {
    out.put_text(view(command.key));
    out.put_text(view(command.addresses));
}

void get(ByteReader& in, KeyAddressesCommand& command) noexcept {
    command.key = get_str(in, k_key_bytes_max);
    command.addresses = get_str(in, k_addresses_bytes_max);
}

void put(ByteWriter& out, const RiskLimitsCommand& command) {
    out.put(command.account);
    out.put(command.instrument);
    for (const std::int64_t limit : command.limits) {
        out.put(limit);
    }
}

void get(ByteReader& in, RiskLimitsCommand& command) noexcept {
    command.account = in.get<std::uint64_t>();
    command.instrument = in.get<std::uint32_t>();
    for (std::int64_t& limit : command.limits) {
        limit = in.get<std::int64_t>();
    }
}

// What later versions put behind a body of an earlier one.
void get_later(ByteReader& in, std::uint8_t version, CommandBody& body) noexcept {
    if (auto* submit = std::get_if<SubmitCommand>(&body); submit != nullptr && version >= 2) {
        submit->order.stop_price = in.get<std::int64_t>();
        if (version >= 4) {
            get_extras(in, *submit);
        }
    }
    if (auto* cancel = std::get_if<CancelCommand>(&body); cancel != nullptr && version >= 2) {
        cancel->request.restriction = in.get<std::uint32_t>();
    }
    if (std::holds_alternative<SubmitListCommand>(body) && version >= 4) {
        for (SubmitCommand& order : decoded_orders()) {
            get_extras(in, order);
        }
    }
}

template <std::size_t Index = 0>
[[nodiscard]] bool get_body(ByteReader& in, std::size_t index, CommandBody& body) noexcept {
    if constexpr (Index == std::variant_size_v<CommandBody>) {
        return false;
    } else if (index == Index) {
        get(in, body.emplace<Index>());
        return true;
    } else {
        return get_body<Index + 1>(in, index, body);
    }
}

struct Bounds {
    bool operator()(const SubmitCommand& c) const noexcept {
        return c.order.client_id.length <= TENON_CLIENT_ID_MAX &&
               c.evidence.n <= k_evidence_bytes_max;
    }

    bool operator()(const CancelCommand& c) const noexcept {
        return c.request.client_id.length <= TENON_CLIENT_ID_MAX &&
               c.request.cancel_client_id.length <= TENON_CLIENT_ID_MAX;
    }

    bool operator()(const CancelAllCommand&) const noexcept { return true; }

    bool operator()(const VenueApplyCommand& c) const noexcept {
        return c.venue.n <= k_venue_name_bytes_max && c.evidence.n <= k_evidence_bytes_max;
    }

    bool operator()(const AccountOpenCommand& c) const noexcept {
        return c.name.n <= k_name_bytes_max;
    }

    bool operator()(const TransferCommand& c) const noexcept {
        return c.entry.reference.n <= k_reference_bytes_max;
    }

    bool operator()(const KeyAddCommand& c) const noexcept {
        return c.key.key.n <= k_key_bytes_max && c.key.material.n <= k_material_bytes_max &&
               c.key.label.n <= k_label_bytes_max;
    }

    bool operator()(const KeyRevokeCommand& c) const noexcept { return c.key.n <= k_key_bytes_max; }

    bool operator()(const InstrumentStatusCommand&) const noexcept { return true; }

    bool operator()(const AccountStatusCommand&) const noexcept { return true; }

    bool operator()(const SubmitListCommand& c) const noexcept {
        return c.client_id.length <= TENON_CLIENT_ID_MAX &&
               std::all_of(c.orders->begin(), c.orders->end(), *this);
    }

    bool operator()(const CancelListCommand& c) const noexcept {
        return c.request.client_id.length <= TENON_CLIENT_ID_MAX &&
               c.request.cancel_client_id.length <= TENON_CLIENT_ID_MAX;
    }

    bool operator()(const AmendCommand& c) const noexcept {
        return c.request.client_id.length <= TENON_CLIENT_ID_MAX &&
               c.request.new_client_id.length <= TENON_CLIENT_ID_MAX;
    }

    bool operator()(const ExpireCommand&) const noexcept { return true; }

    bool operator()(const RiskLimitsCommand&) const noexcept { return true; }

    bool operator()(const KeyAddressesCommand& c) const noexcept {
        return c.key.n <= k_key_bytes_max && c.addresses.n <= k_addresses_bytes_max;
    }
};

}  // namespace

void encode(const Command& command, std::string& out) {
    ByteWriter writer{out};
    writer.put(version_of(command));
    writer.put(static_cast<std::uint8_t>(command.kind()));
    writer.put(command.sequence);
    writer.put(command.time_real_ns);
    std::visit([&](const auto& body) { put(writer, body); }, command.body);
}

bool well_formed(const Command& command) noexcept {
    return std::visit(Bounds{}, command.body);
}

DecodeStatus decode(std::string_view in, Command& out) noexcept {
    ByteReader reader{in};
    const auto version = reader.get<std::uint8_t>();
    if (reader.ok() && version > k_command_version) {
        return DecodeStatus::bad_version;
    }
    const auto kind = reader.get<std::uint8_t>();
    out.sequence = reader.get<std::uint64_t>();
    out.time_real_ns = reader.get<std::int64_t>();
    if (!reader.ok()) {
        return DecodeStatus::truncated;
    }
    if (kind == 0 || !get_body(reader, kind - std::size_t{1}, out.body)) {
        return DecodeStatus::unknown_kind;
    }
    get_later(reader, version, out.body);
    if (!reader.ok()) {
        return DecodeStatus::truncated;
    }
    if (!reader.at_end()) {
        return DecodeStatus::trailing;
    }
    return version == version_of(out) ? DecodeStatus::ok : DecodeStatus::bad_version;
}

std::string_view name(CommandKind kind) noexcept {
    constexpr std::array<std::string_view, 17> k_names{
        "unknown",
        "submit",
        "cancel",
        "cancel_all",
        "venue_apply",
        "account_open",
        "transfer",
        "key_add",
        "key_revoke",
        "instrument_status",
        "account_status",
        "submit_list",
        "cancel_list",
        "amend",
        "expire",
        "risk_limits",
        "key_addresses"};
    const auto index = static_cast<std::size_t>(kind);
    return index < k_names.size() ? k_names[index] : k_names[0];
}

std::string_view name(DecodeStatus status) noexcept {
    switch (status) {
        case DecodeStatus::ok:
            return "ok";
        case DecodeStatus::truncated:
            return "truncated or a text too long";
        case DecodeStatus::trailing:
            return "bytes left over";
        case DecodeStatus::bad_version:
            return "version of a later release";
        case DecodeStatus::unknown_kind:
            return "unknown kind";
    }
    return "unknown";
}

}  // namespace tenon::trading
