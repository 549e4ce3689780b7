// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/accounts/key_commands.hpp"

#include "plugins/trading/accounts/secret.hpp"
#include "plugins/trading/accounts/signature.hpp"

#include <tenon/address_networks.hpp>
#include <tenon/auth.hpp>
#include <tenon/reseal.hpp>

#include <boost/json.hpp>

#include <algorithm>
#include <chrono>
#include <future>
#include <memory>
#include <optional>

namespace tenon::accounts {
namespace {

namespace json = boost::json;

constexpr std::size_t k_key_size = 64;
constexpr std::size_t k_label_max = 64;
constexpr std::size_t k_addresses_max = 1024;

json::object parse_args(std::string_view args, std::initializer_list<std::string_view> known) {
    boost::system::error_code failure;
    json::value parsed = args.empty() ? json::value{json::object{}}
                                      : json::parse({args.data(), args.size()}, failure);
    if (failure || !parsed.is_object()) {
        throw Error{TENON_INVALID, "args: a JSON object expected"};
    }
    for (const auto& [key, value] : parsed.as_object()) {
        if (std::find(known.begin(), known.end(), std::string_view{key}) == known.end()) {
            throw Error{TENON_INVALID, "args/" + std::string{key} + ": not known"};
        }
    }
    return parsed.as_object();
}

std::optional<std::string> optional_text(const json::object& args, std::string_view key) {
    const json::value* value = args.if_contains(key);
    if (value == nullptr) {
        return std::nullopt;
    }
    if (!value->is_string() || value->as_string().empty()) {
        throw Error{TENON_INVALID, "args/" + std::string{key} + ": text expected"};
    }
    return std::string{value->as_string()};
}

std::string text(const json::object& args, std::string_view key) {
    auto found = optional_text(args, key);
    if (!found) {
        throw Error{TENON_INVALID, "args/" + std::string{key} + ": missing"};
    }
    return *found;
}

std::uint32_t parse_permissions(const json::object& args) {
    const json::value* list = args.if_contains("permissions");
    if (list == nullptr || !list->is_array() || list->as_array().empty()) {
        throw Error{
            TENON_INVALID,
            "args/permissions: a list of \"trade\", \"read\" and \"admin\" expected"};
    }
    std::uint32_t permissions = 0;
    for (const json::value& item : list->as_array()) {
        if (item == "read") {
            permissions |= TENON_PERMISSION_READ;
        } else if (item == "trade") {
            permissions |= TENON_PERMISSION_TRADE;
        } else if (item == "admin") {
            permissions |= k_permission_admin;
        } else {
            throw Error{
                TENON_INVALID,
                "args/permissions: found " + json::serialize(item) +
                    ", expected \"trade\", \"read\" or \"admin\""};
        }
    }
    return permissions;
}

// Addresses and networks as one text for the engine; nothing: they are not among the args.
std::optional<std::string> parse_addresses(const json::object& args) {
    const json::value* list = args.if_contains("addresses");
    if (list == nullptr) {
        return std::nullopt;
    }
    if (!list->is_array()) {
        throw Error{TENON_INVALID, "args/addresses: a list of addresses and networks expected"};
    }
    const json::array& items = list->as_array();
    if (items.size() == 1 && items[0] == "any") {
        return std::string{};
    }
    // A list that came out empty by mistake must not open the key to everybody.
    if (items.empty()) {
        throw Error{TENON_INVALID, "args/addresses: name at least one, or \"any\""};
    }
    std::string out;
    AddressNetworks networks;
    for (std::size_t i = 0; i < items.size(); ++i) {
        const json::value& item = items[i];
        const std::string where = "args/addresses/" + std::to_string(i) + ": ";
        if (!item.is_string()) {
            throw Error{TENON_INVALID, where + "text expected"};
        }
        try {
            networks.add(item.as_string());
        } catch (const Error& e) {
            throw Error{TENON_INVALID, where + e.what()};
        }
        out.append(out.empty() ? "" : ",").append(item.as_string());
    }
    if (out.size() > k_addresses_max) {
        throw Error{TENON_INVALID, "args/addresses: at most 1024 bytes with their commas"};
    }
    return out;
}

json::array address_list(std::string_view text) {
    json::array out;
    while (!text.empty()) {
        const std::size_t comma = std::min(text.find(','), text.size());
        out.emplace_back(text.substr(0, comma));
        text.remove_prefix(std::min(comma + 1, text.size()));
    }
    return out;
}

json::array permission_names(std::uint32_t permissions) {
    json::array names;
    if ((permissions & TENON_PERMISSION_TRADE) != 0) {
        names.emplace_back("trade");
    }
    if ((permissions & TENON_PERMISSION_READ) != 0) {
        names.emplace_back("read");
    }
    if ((permissions & k_permission_admin) != 0) {
        names.emplace_back("admin");
    }
    return names;
}

std::string_view kind_name(std::uint32_t kind) {
    return kind == TENON_KEY_ED25519 ? "ed25519" : "hmac";
}

struct Answer {
    std::promise<void> ready;
    tenon_status status = TENON_OK;
    std::uint32_t reject = TENON_REJECT_NONE;
    std::string message;
};

std::string reject_text(std::uint32_t reject) {
    switch (reject) {
        case TENON_REJECT_UNKNOWN_KEY:
            return "there is no such key";
        case TENON_REJECT_DUPLICATE_KEY:
            return "the key exists already";
        case TENON_REJECT_UNKNOWN_ACCOUNT:
            return "there is no such account";
        case TENON_REJECT_CAPACITY:
            return "the server holds as many keys as it may";
        default:
            return "the engine refused it, reason " + std::to_string(reject);
    }
}

}  // namespace

std::string seal_context(std::string_view key) {
    return "api_key:" + std::string{key};
}

std::uint64_t KeyCommands::account_id(std::string_view name) const {
    struct Search {
        std::string_view name;
        std::optional<std::uint64_t> id;
    } search{name, std::nullopt};

    ErrorBuffer err;
    const auto row = [](void* ctx, const tenon_account* account) -> tenon_status {
        auto& mine = *static_cast<Search*>(ctx);
        if (view(account->name) == mine.name) {
            mine.id = account->id;
        }
        return TENON_OK;
    };
    check(trading_->accounts(trading_.self, &search, row, &err), err, "accounts");
    if (!search.id || *search.id < TENON_ACCOUNT_FIRST) {
        throw Error{
            TENON_NOT_FOUND, "args/account: there is no account \"" + std::string{name} + "\""};
    }
    return *search.id;
}

void KeyCommands::send(Send command, std::string_view what) const {
    // Shared: the answer may come after a time-out.
    auto answer = std::make_shared<Answer>();
    auto ready = answer->ready.get_future();
    call_on_reactor(exec_, 0, [&] {
        auto owned = std::make_unique<std::shared_ptr<Answer>>(answer);
        const tenon_trading_done done{
            owned.get(),
            [](void* ctx,
               tenon_status status,
               const tenon_trading_reply* reply,
               const tenon_err* err) {
                const std::unique_ptr<std::shared_ptr<Answer>> holder{
                    static_cast<std::shared_ptr<Answer>*>(ctx)};
                Answer& mine = **holder;
                mine.status = status;
                if (reply != nullptr) {
                    mine.reject = reply->reject;
                } else if (err != nullptr) {
                    mine.message.assign(err->msg, err->len);
                }
                mine.ready.set_value();
            }};
        ErrorBuffer err;
        check(command(done, &err), err, what);
        (void)owned.release();
    });
    if (ready.wait_for(std::chrono::nanoseconds{timeout_ns_.load()}) != std::future_status::ready) {
        throw Error{TENON_IN_DOUBT, std::string{what} + ": the engine has not answered in time"};
    }
    if (answer->status != TENON_OK) {
        throw Error{answer->status, std::string{what} + ": " + answer->message};
    }
    if (answer->reject != TENON_REJECT_NONE) {
        throw Error{TENON_CONFLICT, std::string{what} + ": " + reject_text(answer->reject)};
    }
}

std::string KeyCommands::create(std::string_view args) {
    const json::object parsed =
        parse_args(args, {"account", "permissions", "type", "public_key", "label", "addresses"});
    const std::string account = text(parsed, "account");
    const std::string type = optional_text(parsed, "type").value_or("hmac");
    const auto public_key = optional_text(parsed, "public_key");
    const std::string label = optional_text(parsed, "label").value_or("");
    if (type != "hmac" && type != "ed25519") {
        throw Error{
            TENON_INVALID, "args/type: found \"" + type + "\", expected \"hmac\" or \"ed25519\""};
    }
    if (public_key.has_value() != (type == "ed25519")) {
        throw Error{TENON_INVALID, "args/public_key: expected with type ed25519, and only there"};
    }
    if (label.size() > k_label_max) {
        throw Error{TENON_INVALID, "args/label: at most 64 bytes"};
    }
    const std::uint32_t permissions = parse_permissions(parsed);
    const std::string addresses = parse_addresses(parsed).value_or("");
    const std::uint64_t owner = account_id(account);
    const std::string key = random_alphanumeric(k_key_size);
    std::string secret;
    std::string material;
    if (public_key) {
        material = parse_ed25519_public_key(*public_key);
    } else {
        secret = random_alphanumeric(k_key_size);
        material = seal_text(secrets_, seal_context(key), secret);
    }
    auto record = sized<tenon_api_key>();
    record.key = str(key);
    record.account = owner;
    record.kind = public_key ? TENON_KEY_ED25519 : TENON_KEY_HMAC_SHA256;
    record.permissions = permissions;
    record.material = bytes(material);
    record.label = str(label);
    send(
        [&](tenon_trading_done done, tenon_err* err) {
            return trading_->key_add(trading_.self, &record, done, err);
        },
        "keys.create"
    );
    if (!addresses.empty()) {
        try {
            bind(key, addresses);
        } catch (...) {
            revoke_quietly(key);  // rather none than one that works from anywhere
            throw;
        }
    }
    json::object out{
        {"api_key", key},
        {"account", account},
        {"permissions", permission_names(permissions)},
        {"type", type},
        {"addresses", address_list(addresses)}};
    if (!secret.empty()) {
        out["secret"] = secret;
    }
    std::string answer = json::serialize(out);
    wipe(secret);
    return answer;
}

std::string KeyCommands::list(std::string_view args) {
    (void)parse_args(args, {});

    struct Rows {
        std::unordered_map<std::uint64_t, std::string> accounts;
        json::array keys;
    } rows;

    ErrorBuffer err;
    const auto account_row = [](void* ctx, const tenon_account* account) -> tenon_status {
        return guard(nullptr, [&] {
            static_cast<Rows*>(ctx)->accounts[account->id] = view(account->name);
        });
    };
    check(trading_->accounts(trading_.self, &rows, account_row, &err), err, "accounts");
    const auto key_row = [](void* ctx, const tenon_api_key* key) -> tenon_status {
        return guard(nullptr, [&] {
            auto& mine = *static_cast<Rows*>(ctx);
            json::object row{
                {"api_key", std::string{view(key->key)}},
                {"account", mine.accounts[key->account]},
                {"type", std::string{kind_name(key->kind)}},
                {"permissions", permission_names(key->permissions)},
                {"label", std::string{view(key->label)}},
                {"created_real_ns", key->created_real_ns},
                {"revoked", key->revoked != 0}};
            if (TENON_HOLDS(key, tenon_api_key, addresses)) {
                row["addresses"] = address_list(view(key->addresses));
            }
            mine.keys.push_back(std::move(row));
        });
    };
    check(trading_->keys(trading_.self, &rows, key_row, &err), err, "keys");
    return json::serialize(rows.keys);
}

void KeyCommands::bind(std::string_view key, std::string_view addresses) const {
    if (!TENON_HAS(trading_.table, tenon_trading_1, key_addresses)) {
        throw Error{TENON_UNSUPPORTED, "this engine cannot bind a key to addresses"};
    }
    send(
        [&](tenon_trading_done done, tenon_err* err) {
            return trading_->key_addresses(trading_.self, str(key), str(addresses), done, err);
        },
        "keys.addresses"
    );
}

std::string KeyCommands::addresses(std::string_view args) {
    const json::object parsed = parse_args(args, {"api_key", "addresses"});
    const std::string key = text(parsed, "api_key");
    const auto addresses = parse_addresses(parsed);
    if (!addresses) {
        throw Error{TENON_INVALID, "args/addresses: missing"};
    }
    bind(key, *addresses);
    return json::serialize(json::object{{"api_key", key}, {"addresses", address_list(*addresses)}});
}

void KeyCommands::revoke_quietly(std::string_view key) const noexcept {
    (void)guard(nullptr, [&] {
        send(
            [&](tenon_trading_done done, tenon_err* err) {
                return trading_->key_revoke(trading_.self, str(key), done, err);
            },
            "keys.revoke"
        );
    });
}

std::string KeyCommands::revoke(std::string_view args) {
    const std::string key = text(parse_args(args, {"api_key"}), "api_key");
    send(
        [&](tenon_trading_done done, tenon_err* err) {
            return trading_->key_revoke(trading_.self, str(key), done, err);
        },
        "keys.revoke"
    );
    return json::serialize(json::object{{"api_key", key}, {"revoked", true}});
}

std::vector<KeyCommands::StoredKey> KeyCommands::stale_keys(std::string_view in_force) const {
    struct Rows {
        std::string_view in_force;
        std::vector<StoredKey> keys;
    } rows{in_force, {}};

    ErrorBuffer err;
    const auto row = [](void* ctx, const tenon_api_key* key) -> tenon_status {
        return guard(nullptr, [&] {
            auto& mine = *static_cast<Rows*>(ctx);
            if (key->revoked != 0 || key->kind != TENON_KEY_HMAC_SHA256 ||
                key_of_sealed(view(key->material)) == mine.in_force) {
                return;
            }
            mine.keys.push_back(
                {std::string{view(key->key)},
                 std::string{view(key->material)},
                 std::string{view(key->label)},
                 key->account,
                 key->permissions}
            );
        });
    };
    check(trading_->keys(trading_.self, &rows, row, &err), err, "keys");
    std::sort(rows.keys.begin(), rows.keys.end(), [](const StoredKey& a, const StoredKey& b) {
        return a.key < b.key;
    });
    return std::move(rows.keys);
}

bool KeyCommands::reseal_one(const StoredKey& key) const {
    const std::string context = seal_context(key.key);
    StringSink opened;
    opened.text().reserve(key.material.size());
    ErrorBuffer closed;
    const tenon_status status =
        secrets_->open(secrets_.self, str(context), bytes(key.material), opened.sink(), &closed);
    if (status != TENON_OK) {
        return false;
    }
    std::string material;
    try {
        material = seal_text(secrets_, context, opened.text());
    } catch (...) {
        wipe(opened.text());
        throw;
    }
    wipe(opened.text());
    auto record = sized<tenon_api_key>();
    record.key = str(key.key);
    record.account = key.account;
    record.kind = TENON_KEY_HMAC_SHA256;
    record.permissions = key.permissions;
    record.material = bytes(material);
    record.label = str(key.label);
    try {
        send(
            [&](tenon_trading_done done, tenon_err* err) {
                return trading_->key_add(trading_.self, &record, done, err);
            },
            "keys.reseal"
        );
    } catch (const Error& e) {
        if (e.code() != TENON_CONFLICT) {
            throw;
        }
        // Revoked meanwhile: nobody needs its secret.
    }
    return true;
}

std::string KeyCommands::reseal(std::string_view args) {
    const ResealRequest request{Settings{args.empty() ? "{}" : args}};
    const std::string in_force = key_in_force(secrets_);
    const std::vector<StoredKey> stale = stale_keys(in_force);
    ResealAnswer answer;
    std::int64_t tried = 0;
    for (const StoredKey& key : stale) {
        if (key.key <= request.after) {
            continue;
        }
        if (tried == request.limit) {
            break;
        }
        ++tried;
        answer.next = key.key;
        if (reseal_one(key)) {
            ++answer.resealed;
        } else {
            answer.unreadable.push_back(key.key);
        }
    }
    if (tried < request.limit || request.limit == 0) {
        answer.next.reset();
    }
    answer.remaining = std::ssize(request.limit == 0 ? stale : stale_keys(in_force));
    return answer.json();
}

}  // namespace tenon::accounts
