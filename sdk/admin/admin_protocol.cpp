// SPDX-License-Identifier: Apache-2.0
#include "sdk/admin/admin_protocol.hpp"

#include <tenon/plugin.hpp>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <array>

namespace tenon {

namespace {

namespace json = boost::json;

std::string_view code_name(tenon_status status) {
    constexpr std::array<std::string_view, 11> k_names{
        "OK",
        "NOT_FOUND",
        "INVALID",
        "UNSUPPORTED",
        "UNAVAILABLE",
        "TIMEOUT",
        "CONFLICT",
        "DENIED",
        "CORRUPT",
        "INTERNAL",
        "IN_DOUBT"};
    const auto index = static_cast<std::size_t>(-status);
    return status < 0 && index < k_names.size() ? k_names[index] : "INTERNAL";
}

std::string error_line(tenon_status status, std::string_view message) {
    const json::object error{{"code", code_name(status)}, {"message", message}};
    return json::serialize(json::object{{"error", error}});
}

std::string run(const AdminRun& command_of, std::string_view line) {
    json::error_code ec;
    const json::value request = json::parse(line, ec);
    const json::object* object = request.if_object();
    const json::value* command = object == nullptr ? nullptr : object->if_contains("command");
    if (ec || command == nullptr || !command->is_string()) {
        throw Error{
            TENON_INVALID, "a request is one line {\"command\":\"NAME\",\"args\":{…}} of JSON"};
    }
    const json::value* args = object->if_contains("args");
    if (args != nullptr && !args->is_object()) {
        throw Error{TENON_INVALID, "args is an object"};
    }
    std::string out =
        command_of(command->get_string(), args == nullptr ? "{}" : json::serialize(*args));
    // One line, whatever the handler's layout; and never an answer that is not JSON.
    const json::value answer = json::parse(out.empty() ? "null" : std::string_view{out}, ec);
    if (ec) {
        throw Error{TENON_INTERNAL, "the command's answer is not JSON"};
    }
    return json::serialize(json::object{{"ok", answer}});
}

}  // namespace

std::string run_admin_line(const AdminRun& command_of, std::string_view line) noexcept {
    try {
        return run(command_of, line);
    } catch (const Error& e) {
        return error_line(e.code(), e.what());
    } catch (const std::exception& e) {
        return error_line(TENON_INTERNAL, e.what());
    }
}

}  // namespace tenon
