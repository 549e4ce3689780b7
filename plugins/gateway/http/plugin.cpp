// SPDX-License-Identifier: Apache-2.0
// Registration of the HTTP gateway: settings, the table of tenon.http_routes/1, the listen file.
#include "plugins/gateway/http/server.hpp"
#include "plugins/gateway/http/settings.hpp"

#include <tenon/abi/http.h>
#include <tenon/background_job.hpp>
#include <tenon/plugin.hpp>

#include <array>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace tenon::http {
namespace {

// The file with an address that is listened on, for tools and tests.
void write_listen_file(const std::filesystem::path& path, const std::string& endpoint) {
    const std::filesystem::path temporary = path.string() + ".tmp";
    std::ofstream file{temporary};
    file << endpoint << "\n";
    file.close();
    std::error_code ec;
    std::filesystem::rename(temporary, path, ec);
    if (!file || ec) {
        throw Error{TENON_UNAVAILABLE, "cannot write " + path.string()};
    }
}

class HttpPlugin final : public Plugin {
public:
    explicit HttpPlugin(const tenon_host* raw) : Plugin{raw} {
        provide("tenon.http_routes/1", this, &k_routes);
    }

    void configure(std::string_view json, bool dry_run) override {
        Settings settings = parse_settings(json);
        auto [tls, stamp] = read_tls(settings);
        if (dry_run) {
            return;
        }
        const std::lock_guard lock{tls_mutex_};  // a renewal comes before or after
        if (server_) {
            call_on_reactor(exec_, 0, [&] {
                server_->set(settings);
                if (tls) {
                    server_->set(tls);
                }
            });
        }
        tls_ = std::move(tls);
        tls_stamp_ = std::move(stamp);
        settings_ = std::move(settings);
    }

    void start() override {
        const ServerServices services{
            host().service<tenon_exec_1>("tenon.exec/1"),
            host().service<tenon_clock_1>("tenon.clock/1"),
            host().service<tenon_metrics_1>("tenon.metrics/1"),
            host().service<tenon_health_1>("tenon.health/1"),
            host().log()};
        exec_ = services.exec;
        clock_ = services.clock;
        auto server = std::make_unique<Server>(services, settings_);
        find_limits(*server);
        const Server::Endpoints endpoints =
            server->start(host().environment("listen"), tls_, unix_socket());
        server_ = std::move(server);
        if (tls_) {
            constexpr std::chrono::seconds k_look{10};
            tls_look_ =
                every(host(), "tls", k_look, [this] { renew_tls(); }, {.degraded_after = 1});
        }
        if (endpoints.plain.empty() && endpoints.tls.empty() && endpoints.unix_socket.empty()) {
            host().log().info("not listening");
            return;
        }
        try {
            tell("listen", endpoints.plain);
            tell("listen-tls", endpoints.tls);
            if (!endpoints.unix_socket.empty()) {
                host().log().info("listening", {{"address", endpoints.unix_socket}, {"tls", "no"}});
            }
        } catch (const Error&) {
            tls_look_.stop();
            server_->stop();
            server_.reset();
            throw;
        }
    }

    void drain(std::int64_t deadline_ns) override {
        remove_listen_files();
        server_->drain(false);
        // A client who has just connected gets that long to say what it wants.
        constexpr std::int64_t k_grace_ns = 250'000'000;
        const std::int64_t grace_end_ns = clock_->now_ns(clock_.self) + k_grace_ns;
        bool grace = true;
        // The reactor tells how many connections are left; what is not done by then is cut by stop.
        constexpr std::chrono::milliseconds k_step{20};
        std::mutex mutex;
        std::condition_variable never;
        std::unique_lock lock{mutex};
        while (connections_left() != 0 && clock_->now_ns(clock_.self) < deadline_ns) {
            if (grace && clock_->now_ns(clock_.self) >= grace_end_ns) {
                grace = false;
                server_->drain(true);
            }
            never.wait_for(lock, k_step);
        }
    }

    void stop() noexcept override {
        tls_look_.stop();
        if (server_) {
            remove_listen_files();
            // The server stays, empty: answers that come late find no connection.
            (void)guard(nullptr, [&] { server_->stop(); });
        }
    }

private:
    static const tenon_http_routes_1 k_routes;

    static HttpPlugin& of(void* self) noexcept { return *static_cast<HttpPlugin*>(self); }

    void find_limits(Server& server) {
        const auto addresses = find_limit("address_limit", settings_.address_limit);
        const auto concurrency = find_limit("concurrency_limit", settings_.concurrency_limit);
        const auto throttle = host().find<tenon_throttle_1>("tenon.throttle/1");
        if (concurrency && !TENON_HAS(throttle.table, tenon_throttle_1, observe)) {
            throw Error{
                TENON_INVALID,
                "setting /concurrency_limit: the throttle hears of no answers, so that no place "
                "would ever come back"};
        }
        if (addresses || concurrency) {
            server.limit(throttle, addresses, concurrency);
        }
    }

    [[nodiscard]] std::optional<std::uint32_t>
    find_limit(std::string_view setting, const std::string& name) {
        if (name.empty()) {
            return std::nullopt;
        }
        const auto throttle = host().find<tenon_throttle_1>("tenon.throttle/1");
        std::uint32_t limit = 0;
        if (!throttle || throttle->find(throttle.self, str(name), &limit) != TENON_OK) {
            throw Error{
                TENON_NOT_FOUND,
                "setting /" + std::string{setting} + ": " +
                    std::string{throttle ? "the throttle has no limit " : "no throttle for "} +
                    name};
        }
        return limit;
    }

    // What a file was when it was read.
    using Stamp = std::array<std::filesystem::file_time_type, 2>;

    [[nodiscard]] static Stamp stamp_of(const Settings& settings) {
        std::error_code missing;  // its reading says so
        return {
            std::filesystem::last_write_time(settings.tls_certificate, missing),
            std::filesystem::last_write_time(settings.tls_certificate_key, missing)};
    }

    [[nodiscard]] static std::pair<std::shared_ptr<const TlsContext>, Stamp> read_tls(
        const Settings& settings
    ) {
        if (settings.tls_listen.empty()) {
            return {};
        }
        const Stamp stamp = stamp_of(settings);
        return {
            std::make_shared<const TlsContext>(
                settings.tls_certificate, settings.tls_certificate_key, settings.tls_protocol_min
            ),
            stamp};
    }

    // [pool] Whoever renews the certificate writes its files; nobody has to tell.
    void renew_tls() {
        const std::lock_guard lock{tls_mutex_};
        if (stamp_of(settings_) == tls_stamp_) {
            return;
        }
        auto [tls, stamp] = read_tls(settings_);
        tls_ = tls;
        tls_stamp_ = stamp;
        post(exec_, 0, [this, tls = std::move(tls)] { server_->set(tls); });
        host().log().info("certificate renewed", {{"expires", tls_->expires_s()}});
    }

    [[nodiscard]] std::size_t connections_left() {
        std::size_t left = 0;
        call_on_reactor(exec_, 0, [&] { left = server_->open_connections(); });
        return left;
    }

    // Of the settings, from the data folder on.
    [[nodiscard]] UnixPath unix_socket() const {
        if (settings_.unix_listen.empty()) {
            return {};
        }
        const std::filesystem::path folder = host().environment("data_dir");
        return {(folder / settings_.unix_listen).string(), settings_.unix_mode};
    }

    // An address that is listened on: to the log, and to a file of that name; nothing: there is
    // none.
    void tell(const std::string& name, const std::string& endpoint) {
        if (endpoint.empty()) {
            return;
        }
        if (const std::string data_dir = host().environment("data_dir"); !data_dir.empty()) {
            listen_files_.push_back(std::filesystem::path{data_dir} / name);
            write_listen_file(listen_files_.back(), endpoint);
        }
        host().log().info(
            "listening", {{"address", endpoint}, {"tls", name == "listen" ? "no" : "yes"}}
        );
    }

    void remove_listen_files() noexcept {
        std::error_code ignored;
        for (const std::filesystem::path& file : listen_files_) {
            std::filesystem::remove(file, ignored);
        }
    }

    tenon_status mount(Route route, std::uint64_t* handle) {
        if (!server_ || route.path.empty() || route.path.front() != '/') {
            return server_ ? TENON_INVALID : TENON_UNAVAILABLE;
        }
        *handle = server_->mount(std::move(route));
        return *handle == 0 ? TENON_CONFLICT : TENON_OK;
    }

    std::mutex tls_mutex_;  // of the three below
    Settings settings_;
    std::shared_ptr<const TlsContext> tls_;
    Stamp tls_stamp_{};
    BackgroundJob tls_look_;
    Service<tenon_exec_1> exec_;
    Service<tenon_clock_1> clock_;
    std::vector<std::filesystem::path> listen_files_;
    std::unique_ptr<Server> server_;
};

const tenon_http_routes_1 HttpPlugin::k_routes{
    sizeof(tenon_http_routes_1),
    0,
    [](void* self,
       tenon_str method,
       tenon_str path,
       void* ctx,
       void (*fn)(void*, const tenon_http_request*),
       std::uint64_t* handle) -> tenon_status {
        return guard(nullptr, [&] {
            Route route;
            route.method = view(method);
            route.path = view(path);
            route.ctx = ctx;
            route.fn = fn;
            return fn == nullptr || route.method.empty() ? tenon_status{TENON_INVALID}
                                                         : of(self).mount(std::move(route), handle);
        });
    },
    [](void* self, tenon_str path, const tenon_ws_handler* handler, void* ctx, std::uint64_t* handle
    ) -> tenon_status {
        return guard(nullptr, [&] {
            if (!TENON_HAS(handler, tenon_ws_handler, open) ||
                !TENON_HAS(handler, tenon_ws_handler, text) ||
                !TENON_HAS(handler, tenon_ws_handler, close)) {
                return tenon_status{TENON_INVALID};
            }
            Route route;
            route.path = view(path);
            route.ctx = ctx;
            route.ws = *handler;
            return of(self).mount(std::move(route), handle);
        });
    },
    [](void* self, std::uint64_t handle) {
        (void)guard(nullptr, [&] {
            if (of(self).server_) {
                of(self).server_->unmount(handle);
            }
        });
    },
    [](void* self, std::uint64_t request, const tenon_http_response* response) -> tenon_status {
        return guard(nullptr, [&] { return of(self).server_->respond(request, *response); });
    },
    [](void*, tenon_str text) -> tenon_ws_frame* {
        tenon_ws_frame* frame = nullptr;
        (void)guard(nullptr, [&] { frame = make_frame(Opcode::text, view(text)); });
        return frame;
    },
    [](void*, tenon_ws_frame* frame) { release_frame(frame); },
    [](void* self, std::uint64_t connection, tenon_ws_frame* frame) -> tenon_status {
        return guard(nullptr, [&] { return of(self).server_->ws_send(connection, *frame); });
    },
    [](void* self, std::uint64_t connection) -> std::uint64_t {
        return of(self).server_->ws_queued(connection);
    },
    [](void* self, std::uint64_t connection, std::uint16_t code, tenon_str reason) -> tenon_status {
        return guard(nullptr, [&] {
            return of(self).server_->ws_close(connection, code, view(reason));
        });
    },
};

}  // namespace
}  // namespace tenon::http

TENON_EXPORT_PLUGIN(tenon::http::HttpPlugin)
