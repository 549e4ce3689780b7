// SPDX-License-Identifier: Apache-2.0
#include "plugins/console/operation_routes.hpp"

#include "plugins/console/operations.hpp"

#include <boost/json/parse.hpp>

#include <utility>

namespace tenon::console {
namespace {

namespace json = boost::json;

// {"ok":…} as it is; {"error":…} as a refusal. A command that nobody has: its plugin is not there.
void answer(Desk& desk, std::uint64_t request, const AdminLine::Answer& answer) {
    if (!answer.failure.empty()) {
        throw Refusal{504, "no_answer", answer.failure};
    }
    if (answer.line.starts_with("{\"ok\"")) {
        desk.answer_text(request, answer.line);
        return;
    }
    boost::system::error_code failed;
    const json::value parsed = json::parse(answer.line, failed);
    const json::value* const message =
        failed ? nullptr : parsed.find_pointer("/error/message", failed);
    if (message == nullptr || !message->is_string()) {
        throw Refusal{500, "failed", "the server's answer could not be read"};
    }
    const std::string text{std::string_view{message->get_string()}};
    if (text.starts_with("no command ")) {
        throw Refusal{404, "absent", "not in this deployment"};
    }
    throw Refusal{422, "refused", text};
}

void ask(
    Desk& desk,
    AdminLine& line,
    std::uint64_t request,
    const Operation& op,
    std::string args
) {
    constexpr std::int64_t k_ns_per_ms = 1'000'000;
    desk.in_flight().enter();
    const bool asked = line.ask(
        line_of(op, args),
        desk.now_ns() + op.timeout_ms * k_ns_per_ms,
        [&desk, request](AdminLine::Answer got) {
            desk.settle(request, [&] { answer(desk, request, got); });
            desk.in_flight().leave();
        }
    );
    if (!asked) {
        desk.in_flight().leave();
        throw busy();
    }
}

const Operation& operation_of(const tenon_http_request& request, bool writes) {
    const Operation* const found = find_operation(view(request.tail));
    if (found == nullptr) {
        throw Refusal{404, "unknown", "there is no such operation"};
    }
    if (found->writes != writes) {
        throw Refusal{405, "method", writes ? "this one is a GET" : "this one is a POST"};
    }
    return *found;
}

void look(Desk& desk, AdminLine& line, const tenon_http_request& request) {
    const Operation& operation = operation_of(request, false);
    (void)desk.require(request, operation.right);
    ask(desk, line, request.handle, operation, arguments_of(operation, Json::parse("{}")));
}

void change(Desk& desk, AdminLine& line, const tenon_http_request& request) {
    const Operation& operation = operation_of(request, true);
    Json body;
    const Sessions::Session& session = desk.require_write(request, operation.right, body);
    const std::string arguments = arguments_of(operation, body, session.who.actor);
    const std::uint64_t handle = request.handle;
    desk.audited(
        {session.who.actor,
         "console." + std::string{operation.name},
         std::string{operation.command},
         arguments},
        handle,
        [&desk, &line, handle, &operation, arguments] {
            ask(desk, line, handle, operation, arguments);
        }
    );
}

}  // namespace

void mount_operation_routes(Desk& desk, AdminLine& line) {
    desk.mount(
        "GET",
        "/api/console/operations/<tail>",
        [&desk, &line](const tenon_http_request& request) { look(desk, line, request); }
    );
    desk.mount(
        "POST",
        "/api/console/operations/<tail>",
        [&desk, &line](const tenon_http_request& request) { change(desk, line, request); }
    );
}

}  // namespace tenon::console
