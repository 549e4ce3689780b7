// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/suites/fake_routes.hpp"

#include <algorithm>

// What a frame is to those who only hold it.
struct tenon_ws_frame {
    std::string text;
};

namespace tenon::suites {

std::string Exchange::name() const {
    std::string out = method + " " + path;
    out.append(query.empty() ? "" : "?").append(query.substr(0, 60));
    return text(out, body.empty() ? "" : text(" with a body of ", body.size(), " bytes"));
}

FakeRoutes::FakeRoutes(Bench& bench) : bench_{bench} {
    bench.on_reactor([&] { reactor_ = std::this_thread::get_id(); });
}

std::vector<FakeRoutes::Route> FakeRoutes::routes() const {
    const std::lock_guard lock{mutex_};
    return routes_;
}

std::vector<FakeRoutes::Socket> FakeRoutes::sockets() const {
    const std::lock_guard lock{mutex_};
    return sockets_;
}

tenon_http_request FakeRoutes::raw(const Exchange& exchange) const {
    tenon_http_request request{};
    request.size = sizeof request;
    request.handle = exchange.handle;
    request.method = str(exchange.method);
    request.path = str(exchange.path);
    request.query = str(exchange.query);
    request.tail = str(exchange.tail);
    request.body = str(exchange.body);
    request.headers = exchange.headers.data();
    request.header_count = static_cast<std::uint32_t>(exchange.headers.size());
    request.remote = str("127.0.0.1");
    request.received_ns = bench_.now_ns();
    request.received_real_ns = bench_.now_real_ns();
    return request;
}

Exchange& FakeRoutes::request(
    const Route& route,
    std::string method,
    std::string_view tail,
    std::string query,
    std::string body
) {
    Exchange* exchange = nullptr;
    {
        const std::lock_guard lock{mutex_};
        exchange = &exchanges_.emplace_back();
        exchange->handle = next_handle_++;
    }
    exchange->method = std::move(method);
    exchange->path = route.path;
    if (route.prefix()) {
        exchange->tail = tail;
        exchange->path.resize(route.path.size() - std::string_view{"<tail>"}.size());
        exchange->path.append(tail);
    }
    exchange->query = std::move(query);
    exchange->body = std::move(body);
    exchange->fields = {{"host", "localhost"}, {"user-agent", "tenon-plugin-check"}};
    for (const auto& [name, value] : exchange->fields) {
        exchange->headers.push_back({str(name), str(value)});
    }
    bench_.on_reactor([&] {
        const tenon_http_request request = raw(*exchange);
        const std::int64_t before = bench_.now_ns();
        route.fn(route.ctx, &request);
        exchange->took_ns = bench_.now_ns() - before;
    });
    return *exchange;
}

bool FakeRoutes::wait_for(const Exchange& exchange) {
    return bench_.wait([&] {
        const std::lock_guard lock{mutex_};
        return exchange.answers > 0;
    });
}

Exchange FakeRoutes::copy_of(const Exchange& exchange) const {
    const std::lock_guard lock{mutex_};
    return exchange;
}

tenon_status FakeRoutes::respond(std::uint64_t request, const tenon_http_response& response) {
    const std::lock_guard lock{mutex_};
    for (Exchange& exchange : exchanges_) {
        if (exchange.handle != request) {
            continue;
        }
        exchange.on_reactor = exchange.on_reactor && std::this_thread::get_id() == reactor_;
        if (++exchange.answers > 1) {
            return TENON_NOT_FOUND;
        }
        exchange.status = response.status;
        exchange.content_type = view(response.content_type);
        exchange.answer = view(response.body);
        for (std::uint32_t i = 0; i < response.header_count; ++i) {
            exchange.answer_headers.emplace_back(
                view(response.headers[i].name), view(response.headers[i].value)
            );
        }
        return TENON_OK;
    }
    return TENON_NOT_FOUND;
}

FakeRoutes::Connection* FakeRoutes::find(std::uint64_t id) {
    const auto found =
        std::find_if(connections_.begin(), connections_.end(), [id](const Connection& one) {
            return one.id == id;
        });
    return found == connections_.end() ? nullptr : &*found;
}

std::uint64_t FakeRoutes::open(const Socket& socket, std::string_view tail) {
    std::uint64_t id = 0;
    bench_.on_reactor([&] {
        Exchange exchange;
        exchange.method = "GET";
        exchange.path = socket.path;
        exchange.tail = tail;
        {
            const std::lock_guard lock{mutex_};
            id = next_handle_++;
            connections_.push_back({id, nullptr, true});
        }
        const tenon_http_request request = raw(exchange);
        void* user = nullptr;
        const tenon_status status = socket.handler->open(socket.ctx, id, &request, &user);
        const std::lock_guard lock{mutex_};
        Connection& made = *find(id);
        made.user = user;
        made.open = status == TENON_OK;
        id = status == TENON_OK ? id : 0;
    });
    return id;
}

void FakeRoutes::text(const Socket& socket, std::uint64_t connection, std::string_view message) {
    bench_.on_reactor([&] {
        void* user = nullptr;
        {
            const std::lock_guard lock{mutex_};
            const Connection& one = *find(connection);
            if (!one.open) {
                return;
            }
            user = one.user;
        }
        socket.handler->text(socket.ctx, connection, user, str(message));
    });
}

void FakeRoutes::close(const Socket& socket, std::uint64_t connection) {
    bench_.on_reactor([&] {
        void* user = nullptr;
        {
            const std::lock_guard lock{mutex_};
            Connection& one = *find(connection);
            one.open = false;
            user = one.user;
        }
        socket.handler->close(socket.ctx, connection, user);
    });
}

tenon_status FakeRoutes::send(std::uint64_t connection) {
    const std::lock_guard lock{mutex_};
    const Connection* const found = find(connection);
    if (found == nullptr || !found->open) {
        ++sends_to_closed_;
        return TENON_NOT_FOUND;
    }
    return TENON_OK;
}

void FakeRoutes::unmount(std::uint64_t handle) {
    // On the reactor, so that no handler is under way when this returns; open WebSockets of the
    // route are closed, as the contract has it.
    bench_.on_reactor([&] {
        std::vector<std::pair<Socket, std::uint64_t>> closing;
        {
            const std::lock_guard lock{mutex_};
            for (const Socket& socket : sockets_) {
                for (const Connection& one : connections_) {
                    if (socket.handle == handle && one.open) {
                        closing.emplace_back(socket, one.id);
                    }
                }
            }
        }
        for (const auto& [socket, id] : closing) {
            void* user = nullptr;
            {
                const std::lock_guard lock{mutex_};
                Connection& one = *find(id);
                one.open = false;
                user = one.user;
            }
            socket.handler->close(socket.ctx, id, user);
        }
        const std::lock_guard lock{mutex_};
        std::erase_if(routes_, [handle](const Route& one) { return one.handle == handle; });
        std::erase_if(sockets_, [handle](const Socket& one) { return one.handle == handle; });
    });
}

std::uint64_t FakeRoutes::sends_to_closed() const {
    const std::lock_guard lock{mutex_};
    return sends_to_closed_;
}

std::int64_t FakeRoutes::frames_alive() const {
    const std::lock_guard lock{mutex_};
    return frames_;
}

const tenon_http_routes_1 FakeRoutes::k_table{
    sizeof(tenon_http_routes_1),
    0,
    [](void* self,
       tenon_str method,
       tenon_str path,
       void* ctx,
       void (*fn)(void*, const tenon_http_request*),
       std::uint64_t* handle) -> tenon_status {
        const std::lock_guard lock{of(self).mutex_};
        for (const Route& one : of(self).routes_) {
            if (one.method == view(method) && one.path == view(path)) {
                return TENON_CONFLICT;
            }
        }
        *handle = of(self).next_handle_++;
        of(self).routes_.push_back(
            {*handle, std::string{view(method)}, std::string{view(path)}, ctx, fn}
        );
        return TENON_OK;
    },
    [](void* self, tenon_str path, const tenon_ws_handler* handler, void* ctx, std::uint64_t* handle
    ) -> tenon_status {
        const std::lock_guard lock{of(self).mutex_};
        *handle = of(self).next_handle_++;
        of(self).sockets_.push_back({*handle, std::string{view(path)}, handler, ctx});
        return TENON_OK;
    },
    [](void* self, std::uint64_t handle) { of(self).unmount(handle); },
    [](void* self, std::uint64_t request, const tenon_http_response* response) {
        return of(self).respond(request, *response);
    },
    [](void* self, tenon_str text) {
        const std::lock_guard lock{of(self).mutex_};
        ++of(self).frames_;
        return std::make_unique<tenon_ws_frame>(tenon_ws_frame{std::string{view(text)}}).release();
    },
    [](void* self, tenon_ws_frame* frame) {
        const std::unique_ptr<tenon_ws_frame> mine{frame};
        const std::lock_guard lock{of(self).mutex_};
        --of(self).frames_;
    },
    [](void* self, std::uint64_t connection, tenon_ws_frame*) { return of(self).send(connection); },
    [](void*, std::uint64_t) -> std::uint64_t { return 0; },
    [](void* self, std::uint64_t connection, std::uint16_t, tenon_str) -> tenon_status {
        const std::lock_guard lock{of(self).mutex_};
        return of(self).find(connection) != nullptr ? TENON_OK : TENON_NOT_FOUND;
    }};

}  // namespace tenon::suites
