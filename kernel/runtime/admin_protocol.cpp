// SPDX-License-Identifier: Apache-2.0
#include "kernel/runtime/admin_server.hpp"

#include <tenon/plugin.hpp>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace tenon::runtime {

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

std::string run(registry::AdminCommands& commands, std::string_view line) {
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
        commands.run(command->get_string(), args == nullptr ? "{}" : json::serialize(*args));
    // One line, whatever the handler's layout; and never an answer that is not JSON.
    const json::value answer = json::parse(out.empty() ? "null" : std::string_view{out}, ec);
    if (ec) {
        throw Error{TENON_INTERNAL, "the command's answer is not JSON"};
    }
    return json::serialize(json::object{{"ok", answer}});
}

}  // namespace

std::string run_admin_line(registry::AdminCommands& commands, std::string_view line) noexcept {
    try {
        return run(commands, line);
    } catch (const Error& e) {
        return error_line(e.code(), e.what());
    } catch (const std::exception& e) {
        return error_line(TENON_INTERNAL, e.what());
    }
}

int connect_admin(const std::filesystem::path& data_dir) {
    // sun_path is short; the way through /proc is not affected by how deep the folder lies.
    const int folder = ::open(data_dir.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) {
        return -1;
    }
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = "/proc/self/fd/" + std::to_string(folder) + "/admin.sock";
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int reason = errno;
    if (fd >= 0 &&
        ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
        ::close(folder);
        return fd;
    }
    reason = errno;
    ::close(fd);
    ::close(folder);
    errno = reason;
    return -1;
}

}  // namespace tenon::runtime
