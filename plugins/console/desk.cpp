// SPDX-License-Identifier: Apache-2.0
#include "plugins/console/desk.hpp"

#include <tenon/auth.hpp>
#include <tenon/structs.hpp>

#include <boost/json/serialize.hpp>

#include <algorithm>
#include <memory>
#include <utility>

namespace tenon::console {
namespace {

namespace json = boost::json;

constexpr std::size_t k_body_max = 16'384;
constexpr std::string_view k_cookie = "tenon_session";

[[nodiscard]] std::string error_json(const Refusal& refusal) {
    return json::serialize(json::object{
        {"error", json::object{{"code", refusal.code()}, {"message", refusal.what()}}}});
}

}  // namespace

std::string_view header_of(const tenon_http_request& request, std::string_view name) {
    for (std::uint32_t i = 0; i < request.header_count; ++i) {
        if (view(request.headers[i].name) == name) {
            return view(request.headers[i].value);
        }
    }
    return {};
}

std::string_view cookie_of(std::string_view header, std::string_view name) noexcept {
    while (!header.empty()) {
        const std::size_t end = std::min(header.find(';'), header.size());
        std::string_view one = header.substr(0, end);
        header.remove_prefix(std::min(end + 1, header.size()));
        while (one.starts_with(' ')) {
            one.remove_prefix(1);
        }
        if (one.starts_with(name) && one.size() > name.size() && one[name.size()] == '=') {
            return one.substr(name.size() + 1);
        }
    }
    return {};
}

bool is_same_origin(std::string_view origin, std::string_view host) noexcept {
    if (origin.empty()) {
        return true;  // not a page of a browser
    }
    const std::size_t at = origin.find("://");
    return at != std::string_view::npos && !host.empty() && origin.substr(at + 3) == host;
}

std::string_view query_of(std::string_view query, std::string_view name) noexcept {
    while (!query.empty()) {
        const std::size_t end = std::min(query.find('&'), query.size());
        const std::string_view one = query.substr(0, end);
        query.remove_prefix(std::min(end + 1, query.size()));
        if (one.starts_with(name) && one.size() > name.size() && one[name.size()] == '=') {
            return one.substr(name.size() + 1);
        }
    }
    return {};
}

Desk::Desk(DeskServices services, DeskSettings settings, Sessions::Ended ended)
    : services_{std::move(services)},
      secure_cookie_{settings.secure_cookie},
      sessions_{settings.sessions, std::move(ended)} {}

void Desk::set(const DeskSettings& settings) {
    secure_cookie_ = settings.secure_cookie;
    sessions_.set_limits(settings.sessions);
}

void Desk::open(Service<tenon_http_routes_1> routes, const Metrics& metrics) {
    routes_ = std::make_unique<HttpRoutes>(routes);
    sign_ins_ = metrics.counter("tenon_console_sign_ins_total", "Sign-ins to the console");
    refused_sign_ins_ = metrics.counter(
        "tenon_console_sign_ins_refused_total", "Sign-ins refused: wrong, or too many"
    );
    writes_ = metrics.counter("tenon_console_writes_total", "Writes of the console's users");
    refused_writes_ = metrics.counter(
        "tenon_console_writes_refused_total",
        "Writes refused: no session, no right, no token, another origin"
    );
    open_sessions_ = metrics.gauge("tenon_console_sessions", "Sessions of the console");
}

void Desk::close() noexcept {
    if (routes_) {
        routes_->clear();
        in_flight_.wait();
        routes_.reset();
    }
}

void Desk::mount(std::string_view method, std::string_view path, Handler handler) {
    routes_->mount(
        method,
        path,
        [this, handler = std::move(handler)](const tenon_http_request& request) {
            try {
                handler(request);
            } catch (const Refusal& refusal) {
                refuse(request.handle, refusal);
            }
        }
    );
}

std::string_view Desk::token_of(const tenon_http_request& request) const {
    return cookie_of(header_of(request, "cookie"), k_cookie);
}

std::string Desk::cookie_for(std::string_view token) const {
    std::string cookie{k_cookie};
    cookie.append("=").append(token).append("; Path=/; HttpOnly; SameSite=Strict");
    if (token.empty()) {
        cookie.append("; Max-Age=0");
    }
    if (secure_cookie_) {
        cookie.append("; Secure");
    }
    return cookie;
}

const Sessions::Session* Desk::session_of(const tenon_http_request& request, bool touch) {
    const std::string_view token = token_of(request);
    const Sessions::Session* const session = sessions_.find(token, now_ns(), touch);
    if (session != nullptr && is_revoked(*session, request.remote)) {
        sessions_.end(token);
        return nullptr;
    }
    return session;
}

bool Desk::is_revoked(const Sessions::Session& session, std::optional<tenon_str> remote) const {
    if (session.who.api_key.empty()) {
        return false;
    }
    auto identity = sized<tenon_identity>();
    const auto& auth = services_.auth;
    return !auth || auth->identify(auth.self, str(session.who.api_key), &identity) != TENON_OK ||
           (remote && !may_come_from(auth, session.who.api_key, identity, *remote));
}

void Desk::sweep() {
    sessions_.sweep(now_ns());
    sessions_.end_if([this](const Sessions::Session& session) {
        return is_revoked(session, std::nullopt);
    });
    show_sessions();
}

void Desk::settle(std::uint64_t request, const std::function<void()>& body) const noexcept {
    const tenon_status status = tenon::guard(nullptr, [&] {
        try {
            body();
        } catch (const Refusal& refusal) {
            refuse(request, refusal);
        } catch (const std::exception& e) {
            services_.log.warn("console_request_failed", {{"reason", e.what()}});
            refuse(request, {503, "failed", "the server could not do it now: try again later"});
        }
    });
    if (status != TENON_OK) {
        constexpr std::string_view k_body =
            R"({"error":{"code":"failed","message":"the server is out of memory"}})";
        (void)routes_->respond(request, {503, "application/json", k_body});
    }
}

const Sessions::Session& Desk::require(const tenon_http_request& request, std::uint32_t right) {
    const bool in_background = !header_of(request, "x-tenon-background").empty();
    const Sessions::Session* const session = session_of(request, !in_background);
    show_sessions();
    if (session == nullptr) {
        throw Refusal{401, "signed_out", "sign in first"};
    }
    if (!session->who.may(right)) {
        throw forbidden("your role does not allow this");
    }
    return *session;
}

Json Desk::read_write(const tenon_http_request& request) const {
    if (!is_same_origin(header_of(request, "origin"), header_of(request, "host"))) {
        throw forbidden("the request comes from another site");
    }
    if (!header_of(request, "content-type").starts_with("application/json")) {
        throw Refusal{415, "not_json", "the content must be application/json"};
    }
    if (view(request.body).size() > k_body_max) {
        throw Refusal{413, "too_large", "the body is too large"};
    }
    try {
        return Json::parse(view(request.body));
    } catch (const Error&) {
        throw invalid("the body is no JSON");  // the parser's message could quote a password
    }
}

const Sessions::Session&
Desk::require_write(const tenon_http_request& request, std::uint32_t right, Json& body) {
    try {
        const Sessions::Session& session = require(request, right);
        if (!same_secret(header_of(request, "x-csrf-token"), session.csrf)) {
            throw Refusal{403, "csrf", "the page's token is missing or old: load the page again"};
        }
        body = read_write(request);
        writes_.add();
        return session;
    } catch (const Refusal&) {
        refused_writes_.add();
        throw;
    }
}

void Desk::answer_text(std::uint64_t request, std::string_view text) const {
    (void)routes_->respond(
        request,
        {200,
         "application/json",
         text,
         {{str("Cache-Control"), str("no-store")}, {str("X-Content-Type-Options"), str("nosniff")}}}
    );
}

void Desk::answer(std::uint64_t request, const json::object& body) const {
    answer_text(request, json::serialize(body));
}

void Desk::answer_with_cookie(
    std::uint64_t request,
    const json::object& body,
    const std::string& cookie
) const {
    (void)routes_->respond(
        request,
        {200,
         "application/json",
         json::serialize(body),
         {{str("Cache-Control"), str("no-store")},
          {str("X-Content-Type-Options"), str("nosniff")},
          {str("Set-Cookie"), str(cookie)}}}
    );
}

void Desk::give_file(std::uint64_t request, const File& file) const {
    const tenon_http_header cache{str("Cache-Control"), str(file.cache)};
    const tenon_http_header plain{str("X-Content-Type-Options"), str("nosniff")};
    const tenon_http_header vary{str("Vary"), str("Accept-Encoding")};
    const tenon_http_header packed{str("Content-Encoding"), str("gzip")};
    const tenon_http_header policy{str("Content-Security-Policy"), str(file.policy)};
    const tenon_http_header referrer{str("Referrer-Policy"), str("no-referrer")};
    if (!file.policy.empty() && file.packed) {
        (void)routes_->respond(
            request, {200, file.type, file.content, {cache, plain, vary, packed, policy, referrer}}
        );
    } else if (!file.policy.empty()) {
        (void)routes_->respond(
            request, {200, file.type, file.content, {cache, plain, policy, referrer}}
        );
    } else if (file.packed) {
        (void
        )routes_->respond(request, {200, file.type, file.content, {cache, plain, vary, packed}});
    } else {
        (void)routes_->respond(request, {200, file.type, file.content, {cache, plain}});
    }
}

void Desk::give_nothing(std::uint64_t request) const {
    (void)routes_->respond(request, {204, {}, {}});
}

void Desk::refuse(std::uint64_t request, const Refusal& refusal) const noexcept {
    (void)tenon::guard(nullptr, [&] {
        (void)routes_->respond(
            request,
            {refusal.status(),
             "application/json",
             error_json(refusal),
             {{str("Cache-Control"), str("no-store")},
              {str("X-Content-Type-Options"), str("nosniff")}}}
        );
    });
}

void Desk::audited(Deed deed, std::uint64_t request, std::function<void()> then) {
    in_flight_.enter();
    auto work = [this, deed = std::move(deed), request, then = std::move(then)] {
        auto event = sized<tenon_audit_event>();
        event.actor = str(deed.actor);
        event.action = str(deed.action);
        event.subject = str(deed.subject);
        event.detail = str(deed.detail);
        ErrorBuffer err;
        const auto& audit = services_.audit;
        const bool recorded = audit && audit->record(audit.self, &event, &err) == TENON_OK;
        const tenon_status posted = tenon::guard(nullptr, [&] {
            post(services_.exec, 0, [this, recorded, request, then] {
                settle(request, [&] {
                    if (!recorded) {
                        throw Refusal{
                            503,
                            "unrecorded",
                            "it could not be written to the audit log: not done"};
                    }
                    then();
                });
                in_flight_.leave();
            });
        });
        if (posted != TENON_OK) {
            in_flight_.leave();
        }
    };
    try {
        run_blocking(services_.exec, std::move(work));
    } catch (const Error&) {
        in_flight_.leave();
        throw busy();
    }
}

}  // namespace tenon::console
