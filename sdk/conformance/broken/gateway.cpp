// SPDX-License-Identifier: Apache-2.0
// A gateway of two routes and a WebSocket that echoes: the reference of the gateway suite, and what
// it looks like when a rule is broken.
#include "sdk/conformance/broken/fault.hpp"

#include <tenon/abi/http.h>
#include <tenon/plugin.hpp>

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace tenon::broken {
namespace {

class Gateway : public Plugin {
public:
    using Plugin::Plugin;

    void configure(std::string_view, bool) override {}

    void start() override {
        routes_ = host().require<tenon_http_routes_1>("tenon.http_routes/1");
        exec_ = host().service<tenon_exec_1>("tenon.exec/1");
        draining_ = false;
        handles_.clear();
        mount("GET", "/reference/health");
        mount("*", "/reference/api/<tail>");
        static constexpr tenon_ws_handler k_socket{
            sizeof(tenon_ws_handler), 0, &on_open, &on_text, &on_close};
        std::uint64_t handle = 0;
        if (routes_->mount_ws(routes_.self, str("/reference/ws"), &k_socket, this, &handle) !=
            TENON_OK) {
            throw Error{TENON_CONFLICT, "/reference/ws is taken"};
        }
        handles_.push_back(handle);
    }

    void drain(std::int64_t) override { draining_ = true; }

    void stop() noexcept override {
        const std::size_t kept = fault("gateway.mounts") ? 1 : 0;
        while (handles_.size() > kept) {
            routes_->unmount(routes_.self, handles_.back());
            handles_.pop_back();
        }
    }

private:
    static Gateway& of(void* self) noexcept { return *static_cast<Gateway*>(self); }

    void mount(std::string_view method, std::string_view path) {
        std::uint64_t handle = 0;
        const tenon_status status =
            routes_->mount(routes_.self, str(method), str(path), this, &on_request, &handle);
        if (status != TENON_OK && !fault("gateway.mounts")) {
            throw Error{status, std::string{path} + " is taken"};
        }
        handles_.push_back(handle);
    }

    static void on_request(void* self, const tenon_http_request* request) noexcept {
        (void)guard(nullptr, [&] { of(self).handle(*request); });
    }

    void handle(const tenon_http_request& request) {
        ++requests_;
        if ((draining_ && fault("gateway.draining")) ||
            (fault("gateway.many") && requests_ == 900) ||
            (fault("gateway.answers") && view(request.tail) == "order")) {
            return;
        }
        if (fault("gateway.nonblocking")) {
            std::mutex mutex;
            std::condition_variable never;
            std::unique_lock lock{mutex};
            never.wait_for(lock, std::chrono::milliseconds{80});
        }
        if (fault("gateway.reactor")) {
            const std::uint64_t id = request.handle;
            run_blocking(exec_, [this, id] { answer(id, 200, "{}", {}); });
            return;
        }
        const bool sound = request.query.n < 4'000 && request.body.n < 50'000;
        const std::string query{view(request.query)};
        if (draining_) {
            answer(request.handle, 503, R"({"error":"draining"})", {});
        } else if (!sound) {
            answer(
                request.handle,
                fault("gateway.bad-input") ? 500 : 413,
                R"({"error":"too long"})",
                {}
            );
        } else if (view(request.path) == "/reference/health" || view(request.tail) == "ping") {
            answer(request.handle, 200, "{}", query);
        } else {
            answer(request.handle, 404, R"({"error":"no such thing"})", query);
        }
        if (fault("gateway.once")) {
            answer(request.handle, 200, "{}", {});
        }
    }

    void answer(
        std::uint64_t request,
        std::uint32_t status,
        std::string_view body,
        const std::string& query
    ) {
        tenon_http_response response{};
        response.size = sizeof response;
        response.status = status;
        response.content_type = str("application/json");
        response.body = str(body);
        // The fault copies what a client sent into a header, decoded.
        const std::string injected = query + "\r\nSet-Cookie: x=y";
        const tenon_http_header header{str("X-Query"), str(injected)};
        if (fault("gateway.well-formed") && !query.empty()) {
            response.headers = &header;
            response.header_count = 1;
        }
        (void)routes_->respond(routes_.self, request, &response);
    }

    static tenon_status
    on_open(void* self, std::uint64_t connection, const tenon_http_request*, void** user) noexcept {
        *user = nullptr;
        return guard(nullptr, [&] { of(self).open_.insert(connection); });
    }

    static void on_text(void* self, std::uint64_t connection, void*, tenon_str message) noexcept {
        (void)guard(nullptr, [&] { of(self).echo(connection, view(message)); });
    }

    static void on_close(void* self, std::uint64_t connection, void*) noexcept {
        (void)guard(nullptr, [&] {
            if (fault("gateway.websocket")) {
                of(self).echo(connection, "good-bye");
            }
            of(self).open_.erase(connection);
        });
    }

    void echo(std::uint64_t connection, std::string_view message) {
        tenon_ws_frame* const frame = routes_->frame(routes_.self, str(message));
        if (frame != nullptr) {
            (void)routes_->ws_send(routes_.self, connection, frame);
            routes_->frame_release(routes_.self, frame);
        }
    }

    Service<tenon_http_routes_1> routes_;
    Service<tenon_exec_1> exec_;
    std::vector<std::uint64_t> handles_;
    std::atomic<bool> draining_{false};
    // The reactor's.
    std::set<std::uint64_t> open_;
    std::uint64_t requests_ = 0;
};

}  // namespace
}  // namespace tenon::broken

TENON_EXPORT_PLUGIN(tenon::broken::Gateway)
