// SPDX-License-Identifier: Apache-2.0
#include "sdk/admin/own_line.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <future>
#include <memory>
#include <utility>

namespace tenon {

namespace json = boost::json;

namespace {

constexpr std::int64_t k_ns_per_ms = 1'000'000;

// {"ok":…}, or {"error":{"code":…,"message":…}} as an Error.
json::value answer_of(std::string_view command, const AdminLine::Answer& answer) {
    if (!answer.failure.empty()) {
        throw Error{TENON_UNAVAILABLE, std::string{command} + ": " + answer.failure};
    }
    boost::system::error_code failed;
    json::value parsed = json::parse(answer.line, failed);
    json::object* const object = failed ? nullptr : parsed.if_object();
    if (object != nullptr && object->contains("ok")) {
        return std::move(object->at("ok"));
    }
    const auto text = [&](const char* pointer) -> std::string_view {
        boost::system::error_code missing;
        const json::value* const found =
            object == nullptr ? nullptr : parsed.find_pointer(pointer, missing);
        return found != nullptr && found->is_string() ? std::string_view{found->get_string()}
                                                      : std::string_view{};
    };
    const std::string_view message = text("/error/message");
    throw Error{
        text("/error/code") == "UNAVAILABLE" ? TENON_UNAVAILABLE
        : text("/error/code") == "CONFLICT"  ? TENON_CONFLICT
                                             : TENON_INVALID,
        std::string{command} + ": " +
            (message.empty() ? "the server's answer could not be read" : std::string{message})};
}

}  // namespace

OwnLine::OwnLine(Service<tenon_exec_1> exec, Service<tenon_clock_1> clock, std::string data_dir)
    : exec_{exec}, clock_{clock}, line_{exec, std::move(data_dir)} {}

OwnLine::~OwnLine() {
    close();
}

json::value OwnLine::ask(std::string_view command, json::object args, std::int64_t patience_ms) {
    json::object question{{"command", command}};
    question["args"] = std::move(args);
    const auto told = std::make_shared<std::promise<AdminLine::Answer>>();
    auto answer = told->get_future();
    const std::int64_t deadline_ns = clock_->now_ns(clock_.self) + patience_ms * k_ns_per_ms;
    call_on_reactor(exec_, 0, [&] {
        const bool asked =
            line_.ask(json::serialize(question), deadline_ns, [told](AdminLine::Answer got) {
                told->set_value(std::move(got));
            });
        if (!asked) {
            told->set_value({{}, "the server does not take commands now"});
        }
    });
    return answer_of(command, answer.get());
}

void OwnLine::close() noexcept {
    (void)guard(nullptr, [this] { call_on_reactor(exec_, 0, [this] { line_.close(); }); });
}

}  // namespace tenon
