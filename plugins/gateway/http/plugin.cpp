// SPDX-License-Identifier: Apache-2.0
// Registration of the HTTP gateway: settings, the table of tenon.http_routes/1, the listen file.
#include "plugins/gateway/http/server.hpp"
#include "plugins/gateway/http/settings.hpp"

#include <tenon/abi/http.h>
#include <tenon/plugin.hpp>

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>

namespace tenon::http {
namespace {

// The file DATA_DIR/listen with the address that is listened on, for tools and tests.
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
        if (dry_run) {
            return;
        }
        if (server_) {
            call_on_reactor(exec_, 0, [&] { server_->set(settings); });
        }
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
        const std::string endpoint = server->start(host().environment("listen"));
        server_ = std::move(server);
        const std::string data_dir = host().environment("data_dir");
        if (endpoint.empty()) {
            host().log().info("not listening");
            return;
        }
        if (!data_dir.empty()) {
            listen_file_ = std::filesystem::path{data_dir} / "listen";
            try {
                write_listen_file(listen_file_, endpoint);
            } catch (const Error&) {
                server_->stop();
                server_.reset();
                throw;
            }
        }
        host().log().info("listening", {{"address", endpoint}});
    }

    void drain(std::int64_t deadline_ns) override {
        remove_listen_file();
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
        if (server_) {
            remove_listen_file();
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

    [[nodiscard]] std::size_t connections_left() {
        std::size_t left = 0;
        call_on_reactor(exec_, 0, [&] { left = server_->open_connections(); });
        return left;
    }

    void remove_listen_file() noexcept {
        std::error_code ignored;
        if (!listen_file_.empty()) {
            std::filesystem::remove(listen_file_, ignored);
        }
    }

    tenon_status mount(Route route, std::uint64_t* handle) {
        if (!server_ || route.path.empty() || route.path.front() != '/') {
            return server_ ? TENON_INVALID : TENON_UNAVAILABLE;
        }
        *handle = server_->mount(std::move(route));
        return *handle == 0 ? TENON_CONFLICT : TENON_OK;
    }

    Settings settings_;
    Service<tenon_exec_1> exec_;
    Service<tenon_clock_1> clock_;
    std::filesystem::path listen_file_;
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
