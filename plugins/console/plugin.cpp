// SPDX-License-Identifier: Apache-2.0
// The web console: the page, who is signed in, and what he may see and do. Beside it /status, a
// page without scripts.
#include "plugins/console/account_routes.hpp"
#include "plugins/console/assets.hpp"
#include "plugins/console/live.hpp"
#include "plugins/console/operation_routes.hpp"
#include "plugins/console/record_routes.hpp"
#include "plugins/console/session_routes.hpp"
#include "plugins/console/status_page.hpp"
#include "plugins/console/user_commands.hpp"

#include <tenon/admin.hpp>
#include <tenon/settings.hpp>

#include <memory>
#include <optional>
#include <sodium.h>
#include <string>

namespace tenon::console {
namespace {

constexpr std::string_view k_status_policy =
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'";
constexpr std::string_view k_page_policy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'";
constexpr std::string_view k_day = "public, max-age=86400";
constexpr std::string_view k_forever = "public, max-age=31536000, immutable";
constexpr std::int64_t k_ns_per_s = 1'000'000'000;
constexpr std::int64_t k_command_timeout_ns = 10 * k_ns_per_s;
constexpr std::int64_t k_sweep_ns = 10 * k_ns_per_s;

struct Options {
    explicit Options(const tenon::Settings& settings) {
        desk.sessions.idle_ns =
            std::chrono::nanoseconds{settings.get<std::chrono::minutes>("idle_minutes")}.count();
        desk.sessions.absolute_ns =
            std::chrono::nanoseconds{settings.get<std::chrono::hours>("absolute_hours")}.count();
        desk.sessions.sessions_max = settings.get<std::size_t>("sessions_max");
        desk.secure_cookie = settings.get<bool>("secure_cookie");
    }

    DeskSettings desk;
};

class ConsolePlugin final : public Plugin {
public:
    using Plugin::Plugin;

    void configure(std::string_view json, bool dry_run) override {
        const Options options{Settings{json}};
        if (dry_run) {
            return;
        }
        options_ = options;
        if (desk_) {
            call_on_reactor(exec_, 0, [&] { desk_->set(options.desk); });
        }
    }

    void start() override {
        if (sodium_init() < 0) {
            throw Error{TENON_UNAVAILABLE, "libsodium has no source of random numbers"};
        }
        try {
            begin();
        } catch (...) {
            stop();
            throw;
        }
    }

    void stop() noexcept override {
        commands_.clear();
        if (exec_) {
            (void)guard(nullptr, [this] { call_on_reactor(exec_, 0, [this] { end(); }); });
        }
        if (desk_) {
            desk_->close();
        }
        // Nothing on the reactor ends a session any more, which would end its sockets.
        if (live_) {
            live_->close();
        }
        live_.reset();
        line_.reset();
        desk_.reset();
    }

private:
    void begin() {
        stopping_ = false;
        health_ = host().service<tenon_health_1>("tenon.health/1");
        clock_ = host().service<tenon_clock_1>("tenon.clock/1");
        exec_ = host().service<tenon_exec_1>("tenon.exec/1");
        version_ = host().environment("version");
        const auto routes = host().require<tenon_http_routes_1>("tenon.http_routes/1");
        const auto storage = host().find<tenon_storage_1>("tenon.storage/1");
        desk_.emplace(services(), options_->desk, [this](const Sessions::Session& session) {
            if (live_) {
                live_->session_ended(session);
            }
        });
        desk_->open(routes, Metrics{host()});
        if (storage) {
            users_.emplace(Storage{storage}, PasswordCost::interactive());
            add_commands();
        }
        mount_files();
        mount_status();
        mount_session_routes(*desk_, {users_ ? &*users_ : nullptr, k_command_timeout_ns, [this] {
                                          return clock_->now_real_ns(clock_.self);
                                      }});
        mount_record_routes(
            *desk_,
            storage ? Storage{storage} : Storage{},
            static_cast<bool>(storage),
            k_command_timeout_ns
        );
        line_.emplace(exec_, host().environment("data_dir"));
        mount_operation_routes(*desk_, *line_);
        const DeskServices& bound = desk_->services();
        if (bound.trading && bound.auth && bound.catalogue) {
            mount_account_routes(*desk_);
            live_.emplace(*desk_);
            live_->open(routes);
        }
        call_on_reactor(exec_, 0, [this] { sweep_later(); });
    }

    [[nodiscard]] DeskServices services() const {
        DeskServices services;
        services.exec = exec_;
        services.clock = clock_;
        tenon_iface audit{};
        if (host().raw()->query(host().raw()->self, str("tenon.audit/1"), &audit) == TENON_OK) {
            services.audit = service_from<tenon_audit_1>(audit);
        }
        services.auth = host().find<tenon_auth_1>("tenon.auth/1");
        services.trading = host().find<tenon_trading_1>("tenon.trading/1");
        services.catalogue = Catalogue{host().find<tenon_instruments_1>("tenon.instruments/1")};
        services.log = host().log();
        return services;
    }

    // On the reactor: what is under way ends, nothing new begins.
    void end() {
        stopping_ = true;
        if (sweep_ != 0) {
            exec_->cancel_timer(exec_.self, std::exchange(sweep_, 0));
        }
        if (line_) {
            line_->close();
        }
    }

    void sweep_later() {
        sweep_ = exec_->timer(
            exec_.self,
            clock_->now_ns(clock_.self) + k_sweep_ns,
            [](void* ctx) noexcept {
                auto& self = *static_cast<ConsolePlugin*>(ctx);
                self.sweep_ = 0;
                if (!self.stopping_) {
                    (void)guard(nullptr, [&] { self.desk_->sweep(); });
                    self.sweep_later();
                }
            },
            this
        );
    }

    void add_commands() {
        commands_.open(host());
        UserCommandOptions options;
        options.users = &*users_;
        options.timeout_ns = k_command_timeout_ns;
        options.now_ns = [this] { return clock_->now_ns(clock_.self); };
        options.now_real_ns = [this] { return clock_->now_real_ns(clock_.self); };
        options.changed = [this](const std::string& name) {
            call_on_reactor(exec_, 0, [&] { desk_->user_changed(name); });
        };
        options.audit = [this](std::string_view action, std::string_view name) {
            const auto& audit = desk_->services().audit;
            auto event = sized<tenon_audit_event>();
            event.actor = str("cli");
            event.action = str(action);
            event.subject = str(name);
            ErrorBuffer err;
            if (!audit) {
                throw Error{TENON_UNSUPPORTED, "there is no audit log"};
            }
            check(audit->record(audit.self, &event, &err), err, "audit log");
        };
        add_user_commands(commands_, std::move(options));
    }

    void mount_files() {
        for (const Asset& asset : assets()) {
            desk_->mount("GET", asset.path, [this, &asset](const tenon_http_request& request) {
                give(request, asset);
            });
        }
    }

    void give(const tenon_http_request& request, const Asset& asset) {
        const bool is_page = asset.path == "/";
        const bool packed =
            !asset.gzip.empty() &&
            header_of(request, "accept-encoding").find("gzip") != std::string_view::npos;
        const std::string_view body = packed ? asset.gzip : asset.plain;
        desk_->give_file(
            request.handle,
            {asset.type,
             body,
             is_page ? "no-cache" : k_forever,
             is_page ? k_page_policy : "",
             packed}
        );
    }

    void mount_status() {
        desk_->mount("GET", "/status", [this](const tenon_http_request& request) {
            StringSink report;
            (void)health_->report(health_.self, report.sink());
            constexpr std::int64_t k_ns_per_ms = 1'000'000;
            const std::string html = status_page(
                report.text(), version_, clock_->now_real_ns(clock_.self) / k_ns_per_ms
            );
            desk_->give_file(
                request.handle,
                {"text/html; charset=utf-8", html, "no-store", k_status_policy, false}
            );
        });
        mount_text("/status.css", "text/css; charset=utf-8", style_sheet());
        mount_text("/favicon.svg", "image/svg+xml", icon_svg());
        desk_->mount("GET", "/favicon.ico", [this](const tenon_http_request& request) {
            desk_->give_nothing(request.handle);
        });
    }

    void mount_text(std::string_view path, std::string_view type, std::string_view content) {
        desk_->mount("GET", path, [this, type, content](const tenon_http_request& request) {
            desk_->give_file(request.handle, {type, content, k_day, "", false});
        });
    }

    std::optional<Options> options_;
    Service<tenon_health_1> health_;
    Service<tenon_clock_1> clock_;
    Service<tenon_exec_1> exec_;
    std::string version_;
    std::optional<UserStore> users_;
    std::optional<Desk> desk_;
    std::optional<AdminLine> line_;
    std::optional<Live> live_;
    AdminCommands commands_;
    std::uint64_t sweep_ = 0;
    bool stopping_ = false;
};

}  // namespace
}  // namespace tenon::console

TENON_EXPORT_PLUGIN(tenon::console::ConsolePlugin)
