// SPDX-License-Identifier: Apache-2.0
#include "plugins/console/session_routes.hpp"

#include "plugins/console/challenges.hpp"

#include <tenon/auth.hpp>
#include <tenon/structs.hpp>

#include <boost/json/array.hpp>

#include <array>
#include <atomic>
#include <memory>
#include <sodium.h>
#include <utility>

namespace tenon::console {
namespace {

namespace json = boost::json;

constexpr std::size_t k_password_min = 12, k_password_max = 256, k_key_max = 128;
constexpr int k_hashing_max = 2;  // each takes 64 MiB for its time

template <class Names>
json::array array_of(const Names& names) {
    json::array list;
    for (const auto& name : names) {
        list.emplace_back(name);
    }
    return list;
}

json::object session_json(const Sessions::Session& session) {
    json::array accounts;
    for (const BoundAccount& account : session.who.accounts) {
        accounts.emplace_back(account.name);
    }
    return {
        {"signed_in", true},
        {"name", session.who.name},
        {"user", session.who.api_key.empty()},
        {"roles", array_of(role_names(session.who.roles))},
        {"rights", array_of(right_names(rights_of(session.who.roles)))},
        {"accounts", std::move(accounts)},
        {"csrf", session.csrf}};
}

[[nodiscard]] Refusal wrong() {
    return {401, "wrong", "the name or the password is wrong"};
}

void refuse_flood(Desk& desk, std::string_view name, const tenon_http_request& request) {
    const auto wait = desk.guard().take(name, view(request.remote), desk.now_ns());
    if (wait) {
        desk.refused_sign_ins().add();
        constexpr std::int64_t k_ns_per_s = 1'000'000'000;
        throw Refusal{
            429,
            "too_many",
            "too many tries: wait " + std::to_string(wait->count() / k_ns_per_s + 1) + " s"};
    }
}

[[nodiscard]] std::vector<BoundAccount>
accounts_of(const DeskServices& services, const std::function<bool(const BoundAccount&)>& wanted) {
    struct Search {
        const std::function<bool(const BoundAccount&)>& wanted;
        std::vector<BoundAccount> found;
    } search{wanted, {}};

    if (!services.trading) {
        return {};
    }
    ErrorBuffer err;
    const auto row = [](void* ctx, const tenon_account* account) -> tenon_status {
        return guard(nullptr, [&] {
            auto& mine = *static_cast<Search*>(ctx);
            BoundAccount one{account->id, std::string{view(account->name)}};
            if (one.id >= TENON_ACCOUNT_FIRST && mine.wanted(one)) {
                mine.found.push_back(std::move(one));
            }
        });
    };
    check(services.trading->accounts(services.trading.self, &search, row, &err), err, "accounts");
    return std::move(search.found);
}

// HMAC-SHA256 as lower-case hex.
[[nodiscard]] std::string sign(std::string_view secret, std::string_view text) {
    crypto_auth_hmacsha256_state state;
    std::array<unsigned char, crypto_auth_hmacsha256_BYTES> mac{};
    const auto raw = [](std::string_view s) {
        return reinterpret_cast<const unsigned char*>(s.data());
    };
    crypto_auth_hmacsha256_init(&state, raw(secret), secret.size());
    crypto_auth_hmacsha256_update(&state, raw(text), text.size());
    crypto_auth_hmacsha256_final(&state, mac.data());
    sodium_memzero(&state, sizeof state);
    std::string hex(mac.size() * 2 + 1, '\0');
    sodium_bin2hex(hex.data(), hex.size(), mac.data(), mac.size());
    hex.pop_back();
    return hex;
}

class SessionRoutes : public std::enable_shared_from_this<SessionRoutes> {
public:
    SessionRoutes(Desk& desk, SignInOptions options) : desk_{desk}, options_{options} {}

    void who(const tenon_http_request& request) const {
        const bool background = !header_of(request, "x-tenon-background").empty();
        const Sessions::Session* const session = desk_.session_of(request, !background);
        desk_.answer(
            request.handle,
            session != nullptr ? session_json(*session)
                               : json::object{
                                     {"signed_in", false},
                                     {"users", options_.users != nullptr},
                                     {"keys", static_cast<bool>(desk_.services().auth)}}
        );
    }

    void challenge(const tenon_http_request& request) const {
        if (!desk_.services().auth) {
            throw Refusal{404, "absent", "this deployment has no API keys"};
        }
        desk_.answer(request.handle, {{"challenge", challenges_.make(desk_.now_ns())}});
    }

    void sign_out(const tenon_http_request& request) const {
        Json body;
        (void)desk_.require_write(request, 0, body);
        desk_.sessions().end(desk_.token_of(request));
        desk_.show_sessions();
        desk_.answer_with_cookie(request.handle, {{"signed_in", false}}, desk_.cookie_for({}));
    }

    void sign_in(const tenon_http_request& request) {
        const Json body = desk_.read_write(request);
        if (body.find("api_key") != nullptr) {
            by_key(request, body);
        } else {
            by_password(request, body);
        }
    }

    // {"old","new"}: his own, and all his sessions end but for a new one of this browser.
    void change_password(const tenon_http_request& request) {
        Json body;
        const Sessions::Session& session = desk_.require_write(request, 0, body);
        constexpr std::string_view k_user = "user:";
        if (options_.users == nullptr || !session.who.actor.starts_with(k_user)) {
            throw forbidden("an API key has no password");
        }
        const auto change = std::make_shared<Change>(
            request.handle,
            desk_.user_changes(),
            session.who,
            session.who.actor.substr(k_user.size()),
            std::string{view(request.remote)}
        );
        change->old_one = text_member(body, "old");
        change->new_one = text_member(body, "new");
        check_new_password(*change);
        refuse_flood(desk_, change->name, request);
        desk_.audited(
            {session.who.actor, "console.password", change->name, {}},
            request.handle,
            [self = shared_from_this(), change] { self->begin_change(change); }
        );
    }

private:
    struct Change {
        Change(
            std::uint64_t handle,
            std::uint64_t user_changes,
            Principal principal,
            std::string user_name,
            std::string remote_address
        )
            : request{handle},
              changes{user_changes},
              who{std::move(principal)},
              name{std::move(user_name)},
              remote{std::move(remote_address)} {}

        Change(const Change&) = delete;
        Change& operator=(const Change&) = delete;

        ~Change() {
            sodium_memzero(old_one.data(), old_one.size());
            sodium_memzero(new_one.data(), new_one.size());
        }

        std::uint64_t request;
        std::uint64_t changes;  // of users, as it began
        Principal who;
        std::string name, remote, old_one, new_one;
        bool is_done = false;
        std::string failure;
    };

    static void check_new_password(const Change& change) {
        if (change.old_one.size() > k_password_max || change.new_one.size() > k_password_max ||
            change.new_one.size() < k_password_min) {
            throw invalid("new: a password of 12 to 256 bytes expected");
        }
        if (change.new_one == change.old_one || change.new_one == change.name) {
            throw invalid("new: another one than the old, and than the name");
        }
    }

    void take_hashing() {
        if (hashing_.fetch_add(1) >= k_hashing_max) {
            --hashing_;
            throw busy();
        }
    }

    void begin_change(const std::shared_ptr<Change>& change) {
        take_hashing();
        desk_.in_flight().enter();
        try {
            run_blocking(desk_.services().exec, [self = shared_from_this(), change] {
                self->change_on_pool(change);
            });
        } catch (const Error&) {
            --hashing_;
            desk_.in_flight().leave();
            throw busy();
        }
    }

    void change_on_pool(const std::shared_ptr<Change>& change) {
        try {
            change->is_done = options_.users->change_password(
                change->name,
                change->old_one,
                change->new_one,
                options_.now_real_ns(),
                desk_.now_ns() + options_.timeout_ns
            );
        } catch (const std::exception& e) {
            change->failure = e.what();
        }
        --hashing_;
        const tenon_status posted = guard(nullptr, [&] {
            post(desk_.services().exec, 0, [self = shared_from_this(), change] {
                self->desk_.settle(change->request, [&] { self->finish_change(*change); });
                self->desk_.in_flight().leave();
            });
        });
        if (posted != TENON_OK) {
            desk_.in_flight().leave();
        }
    }

    void finish_change(const Change& change) {
        if (!change.failure.empty()) {
            desk_.services().log.warn("console_password_failed", {{"reason", change.failure}});
            throw Refusal{503, "unavailable", "the password could not be changed: try again later"};
        }
        if (!change.is_done) {
            desk_.refused_sign_ins().add();
            throw Refusal{403, "wrong", "the old password is wrong"};
        }
        const bool was_changed = change.changes != desk_.user_changes();
        desk_.user_changed(change.name);
        if (was_changed) {  // his roles, perhaps: what is new is read at a sign-in
            throw Refusal{401, "signed_out", "changed; sign in with the new password"};
        }
        open(change.request, change.who, change.name, change.remote);
    }

    void
    open(std::uint64_t request, Principal who, std::string_view name, std::string_view remote) {
        desk_.guard().succeeded(name, remote);
        desk_.sign_ins().add();
        const std::string token = desk_.sessions().open(std::move(who), desk_.now_ns());
        desk_.show_sessions();
        const Sessions::Session& session = *desk_.sessions().find(token, desk_.now_ns(), false);
        desk_.answer_with_cookie(request, session_json(session), desk_.cookie_for(token));
    }

    void by_key(const tenon_http_request& request, const Json& body) {
        const auto& auth = desk_.services().auth;
        if (!auth) {
            throw Refusal{404, "absent", "this deployment has no API keys"};
        }
        const std::string key = text_member(body, "api_key");
        const bool is_signed = body.find("signature") != nullptr;
        const std::string proof = text_member(body, is_signed ? "signature" : "secret");
        const std::string given = is_signed ? text_member(body, "challenge") : random_token();
        if (key.size() > k_key_max || proof.size() > k_password_max ||
            given.size() > k_password_max) {
            throw wrong();
        }
        refuse_flood(desk_, key, request);
        if (is_signed && !challenges_.holds(given, desk_.now_ns())) {
            throw Refusal{401, "stale", "what was signed is too old: try again"};
        }
        const std::string text =
            is_signed ? Challenges::text_of(header_of(request, "host"), given) : given;
        const tenon_bytes part = bytes(text);
        auto identity = sized<tenon_identity>();
        const std::string signature = is_signed ? proof : sign(proof, text);
        if (auth->verify(auth.self, str(key), &part, 1, str(signature), &identity) != TENON_OK ||
            !may_come_from(auth, key, identity, request.remote)) {
            desk_.refused_sign_ins().add();
            throw wrong();
        }
        if (is_signed && !challenges_.use(given, desk_.now_ns())) {
            throw busy();
        }
        const auto role = [&](std::uint32_t permission, std::uint32_t bit) {
            return (identity.permissions & permission) != 0 ? bit : 0U;
        };
        Principal who;
        const std::string shown = key.substr(0, 8);
        who.actor = "key:" + key;
        who.name = "key " + shown + "…";
        who.api_key = key;
        who.roles = role(TENON_PERMISSION_READ, k_role_reader) |
                    role(TENON_PERMISSION_TRADE, k_role_placer) |
                    role(k_permission_admin, k_role_operator);
        who.accounts = accounts_of(desk_.services(), [&](const BoundAccount& account) {
            return account.id == identity.account;
        });
        open(request.handle, std::move(who), key, view(request.remote));
    }

    void by_password(const tenon_http_request& request, const Json& body) {
        if (options_.users == nullptr) {
            throw Refusal{404, "absent", "this deployment has no local users: it has no storage"};
        }
        std::string name = text_member(body, "user");
        std::string password = text_member(body, "password");
        if (name.size() > k_key_max || password.size() > k_password_max) {
            throw wrong();
        }
        refuse_flood(desk_, name, request);
        if (guard(nullptr, [&] { check_user_name(name); }) != TENON_OK) {
            desk_.refused_sign_ins().add();
            throw wrong();
        }
        take_hashing();
        desk_.in_flight().enter();
        // The work outlives the routes that hold this object, when they are taken back meanwhile.
        auto work = [self = shared_from_this(),
                     changes = desk_.user_changes(),
                     name,
                     password = std::move(password),
                     remote = std::string{view(request.remote)},
                     handle = request.handle]() mutable {
            self->look_up({handle, changes, name, remote}, password);
            sodium_memzero(password.data(), password.size());
        };
        try {
            run_blocking(desk_.services().exec, std::move(work));
        } catch (const Error&) {
            --hashing_;
            desk_.in_flight().leave();
            throw busy();
        }
    }

    // A sign-in by password on its way over the pool.
    struct Try {
        std::uint64_t request;
        std::uint64_t changes;  // of users, as it began
        std::string name;
        std::string remote;
    };

    // On the pool.
    void look_up(const Try& attempt, std::string_view password) {
        std::optional<User> user;
        std::string failure;
        try {
            const std::int64_t deadline_ns = desk_.now_ns() + options_.timeout_ns;
            user = options_.users->sign_in(attempt.name, password, deadline_ns);
        } catch (const std::exception& e) {
            failure = e.what();
        }
        --hashing_;
        const tenon_status posted = guard(nullptr, [&] {
            post(desk_.services().exec, 0, [self = shared_from_this(), attempt, user, failure] {
                self->desk_.settle(attempt.request, [&] { self->finish(attempt, user, failure); });
                self->desk_.in_flight().leave();
            });
        });
        if (posted != TENON_OK) {
            desk_.in_flight().leave();
        }
    }

    void finish(const Try& attempt, const std::optional<User>& user, const std::string& failure) {
        if (!failure.empty()) {
            desk_.services().log.warn("console_users_unreadable", {{"reason", failure}});
            throw Refusal{503, "unavailable", "the users cannot be read now: try again later"};
        }
        if (attempt.changes != desk_.user_changes()) {
            throw Refusal{503, "changed", "the users were changed meanwhile: try again"};
        }
        if (!user) {
            desk_.refused_sign_ins().add();
            throw wrong();
        }
        Principal who;
        who.actor = "user:" + user->name;
        who.name = user->name;
        who.roles = user->roles;
        who.accounts = accounts_of(desk_.services(), [&](const BoundAccount& account) {
            const auto& names = user->accounts;
            return std::find(names.begin(), names.end(), account.name) != names.end();
        });
        open(attempt.request, std::move(who), attempt.name, attempt.remote);
    }

    Desk& desk_;
    SignInOptions options_;
    Challenges challenges_;
    std::atomic<int> hashing_{0};
};

}  // namespace

void mount_session_routes(Desk& desk, SignInOptions options) {
    const auto routes = std::make_shared<SessionRoutes>(desk, options);
    desk.mount("GET", "/api/console/session", [routes](const tenon_http_request& request) {
        routes->who(request);
    });
    desk.mount("GET", "/api/console/challenge", [routes](const tenon_http_request& request) {
        routes->challenge(request);
    });
    desk.mount("POST", "/api/console/session", [routes](const tenon_http_request& request) {
        routes->sign_in(request);
    });
    desk.mount("POST", "/api/console/password", [routes](const tenon_http_request& request) {
        routes->change_password(request);
    });
    desk.mount("DELETE", "/api/console/session", [routes](const tenon_http_request& request) {
        routes->sign_out(request);
    });
}

}  // namespace tenon::console
