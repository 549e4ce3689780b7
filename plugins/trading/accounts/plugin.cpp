// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/accounts/key_commands.hpp"
#include "plugins/trading/accounts/key_store.hpp"

#include <tenon/abi/auth.h>
#include <tenon/plugin.hpp>

#include <boost/json.hpp>

#include <array>
#include <atomic>
#include <optional>

namespace tenon::accounts {
namespace {

class AccountsPlugin final : public Plugin {
public:
    explicit AccountsPlugin(const tenon_host* host) : Plugin{host} {
        provide("tenon.auth/1", this, &k_auth);
    }

    void configure(std::string_view json, bool dry_run) override {
        const auto parsed = boost::json::parse({json.data(), json.size()});
        const auto timeout_ns =
            parsed.as_object().at("command_timeout_ms").to_number<std::int64_t>() * 1'000'000;
        if (dry_run) {
            return;
        }
        timeout_ns_ = timeout_ns;
        if (commands_) {
            commands_->set_timeout(timeout_ns);
        }
    }

    void start() override {
        try {
            begin();
        } catch (...) {
            stop();
            throw;
        }
    }

    void stop() noexcept override {
        if (subscription_ == 0) {
            return;
        }
        for (const Command& command : k_commands) {
            admin_->remove(admin_.self, str(command.name));
        }
        trading_->unsubscribe(trading_.self, subscription_);
        subscription_ = 0;
        store_.clear();
    }

private:
    void begin() {
        log_ = host().log();
        trading_ = host().require<tenon_trading_1>("tenon.trading/1");
        secrets_ = host().service<tenon_secret_1>("tenon.secret/1");
        admin_ = host().service<tenon_admin_1>("tenon.admin/1");
        make_metrics();
        unreadable_ = 0;
        // First the changes, then what is there: nothing is missed, and twice does no harm.
        if (trading_->subscribe(trading_.self, this, &AccountsPlugin::on_events, &subscription_) !=
            TENON_OK) {
            throw Error{TENON_UNAVAILABLE, "the engine takes no subscription"};
        }
        load_keys();
        commands_.emplace(
            trading_, secrets_, host().service<tenon_exec_1>("tenon.exec/1"), timeout_ns_
        );
        for (const Command& command : k_commands) {
            const tenon_status status = admin_->command(
                admin_.self, str(command.name), str(command.usage), this, command.run
            );
            if (status != TENON_OK) {
                throw Error{status, "the admin command " + std::string{command.name} + " is taken"};
            }
        }
    }

    using Handler = std::string (KeyCommands::*)(std::string_view);

    struct Command {
        std::string_view name, usage;
        tenon_status (*run)(void*, tenon_str, tenon_sink, tenon_err*);
    };

    template <Handler handler>
    static tenon_status run(void* ctx, tenon_str args, tenon_sink out, tenon_err* err) {
        return guard(err, [&]() -> tenon_status {
            std::string answer =
                ((*static_cast<AccountsPlugin*>(ctx)->commands_).*handler)(view(args));
            const tenon_status status = out.put(out.ctx, bytes(answer));
            wipe(answer);
            return status;
        });
    }

    static constexpr std::array<Command, 5> k_commands{{
        {"keys.create",
         "keys create {\"account\",\"permissions\":[\"trade\",\"read\"]}: make an API key, show "
         "its "
         "secret once",
         &run<&KeyCommands::create>},
        {"keys.list", "keys list: API keys without secrets", &run<&KeyCommands::list>},
        {"keys.addresses",
         "keys addresses {\"api_key\",\"addresses\":[\"10.0.0.0/8\"]}: where a key may be used "
         "from; "
         "[\"any\"]: anywhere",
         &run<&KeyCommands::addresses>},
        {"keys.revoke", "keys revoke {\"api_key\"}: end a key now", &run<&KeyCommands::revoke>},
        {"keys.reseal",
         "keys reseal {\"limit\",\"after\"}: seal secrets under the master key in force",
         &run<&KeyCommands::reseal>},
    }};

    static void on_events(void* ctx, const tenon_execution_event* events, std::uint32_t count) {
        auto& self = *static_cast<AccountsPlugin*>(ctx);
        for (std::uint32_t i = 0; i < count; ++i) {
            const tenon_execution_event& event = tenon::at(events, i);
            if (event.kind == TENON_EVENT_KEY && event.key != nullptr) {
                (void)guard(nullptr, [&] { self.follow(*event.key); });
            }
        }
    }

    void load_keys() {
        ErrorBuffer err;
        const auto row = [](void* ctx, const tenon_api_key* key) -> tenon_status {
            return guard(nullptr, [&] { static_cast<AccountsPlugin*>(ctx)->follow(*key); });
        };
        check(trading_->keys(trading_.self, this, row, &err), err, "keys");
        log_.info("keys_loaded", {{"count", store_.size()}});
    }

    void follow(const tenon_api_key& key) {
        if (key.revoked != 0) {
            store_.remove(view(key.key));
        } else if (key.kind == TENON_KEY_HMAC_SHA256) {
            StringSink opened;
            opened.text().reserve(256);
            ErrorBuffer err;
            const tenon_status status = secrets_->open(
                secrets_.self, str(seal_context(view(key.key))), key.material, opened.sink(), &err
            );
            if (status != TENON_OK) {
                unreadable(err.message());
                return;
            }
            put(key, opened.text());
            wipe(opened.text());
        } else {
            put(key, view(key.material));
        }
        if (keys_ != nullptr) {
            std::atomic_ref{*keys_}.store(
                static_cast<std::int64_t>(store_.size()), std::memory_order_relaxed
            );
        }
    }

    void put(const tenon_api_key& key, std::string_view material) {
        const tenon_str addresses =
            TENON_HOLDS(&key, tenon_api_key, addresses) ? key.addresses : tenon_str{};
        try {
            store_.put(
                {view(key.key), key.account, key.kind, key.permissions, material, view(addresses)}
            );
        } catch (const Error& e) {
            store_.remove(view(key.key));  // as it was before, it might be open to more
            unreadable(e.what());
        }
    }

    // A key whose secret does not open, or whose addresses are none, is refused; the others go on.
    void unreadable(std::string_view reason) {
        ++unreadable_;
        log_.error("key_secret_unreadable", {{"count", unreadable_}, {"reason", reason}});
        const auto health = host().service<tenon_health_1>("tenon.health/1");
        const std::string text =
            std::to_string(unreadable_) + " keys cannot be used: " + std::string{reason};
        health->set(health.self, str("keys"), TENON_DEGRADED, str(text));
    }

    void make_metrics() {
        const auto metrics = host().service<tenon_metrics_1>("tenon.metrics/1");
        keys_ = metrics->gauge(
            metrics.self, str("tenon_accounts_keys"), str("API keys in force."), nullptr, 0
        );
        verifications_ = metrics->counter(
            metrics.self,
            str("tenon_accounts_verifications_total"),
            str("Signatures checked."),
            nullptr,
            0
        );
        denials_ = metrics->counter(
            metrics.self,
            str("tenon_accounts_denials_total"),
            str("Signatures that did not fit."),
            nullptr,
            0
        );
        address_denials_ = metrics->counter(
            metrics.self,
            str("tenon_accounts_address_denials_total"),
            str("Uses of a key from an address that is not of its list."),
            nullptr,
            0
        );
    }

    static void count(std::uint64_t* cell) noexcept {
        if (cell != nullptr) {
            std::atomic_ref{*cell}.fetch_add(1, std::memory_order_relaxed);
        }
    }

    static tenon_status identify(void* self, tenon_str key, tenon_identity* out) {
        return guard(nullptr, [&] {
            return static_cast<AccountsPlugin*>(self)->store_.identify(view(key), *out);
        });
    }

    static tenon_status verify(
        void* self,
        tenon_str key,
        const tenon_bytes* parts,
        std::uint32_t part_count,
        tenon_str signature,
        tenon_identity* out
    ) {
        return guard(nullptr, [&] {
            auto& plugin = *static_cast<AccountsPlugin*>(self);
            const tenon_status status =
                plugin.store_.verify(view(key), {parts, part_count}, view(signature), *out);
            count(plugin.verifications_);
            if (status == TENON_DENIED) {
                count(plugin.denials_);
            }
            return status;
        });
    }

    static tenon_status allows(void* self, tenon_str key, tenon_str address) {
        return guard(nullptr, [&] {
            auto& plugin = *static_cast<AccountsPlugin*>(self);
            const tenon_status status = plugin.store_.allows(view(key), view(address));
            if (status == TENON_DENIED) {
                count(plugin.address_denials_);
            }
            return status;
        });
    }

    static constexpr tenon_auth_1 k_auth{
        sizeof(tenon_auth_1),
        0,
        &AccountsPlugin::identify,
        &AccountsPlugin::verify,
        &AccountsPlugin::allows};

    Log log_;
    Service<tenon_trading_1> trading_;
    Service<tenon_secret_1> secrets_;
    Service<tenon_admin_1> admin_;
    std::int64_t timeout_ns_ = 0;
    KeyStore store_;
    std::optional<KeyCommands> commands_;
    std::uint64_t subscription_ = 0;
    std::uint64_t unreadable_ = 0;
    std::int64_t* keys_ = nullptr;
    std::uint64_t* verifications_ = nullptr;
    std::uint64_t* denials_ = nullptr;
    std::uint64_t* address_denials_ = nullptr;
};

}  // namespace
}  // namespace tenon::accounts

TENON_EXPORT_PLUGIN(tenon::accounts::AccountsPlugin)
