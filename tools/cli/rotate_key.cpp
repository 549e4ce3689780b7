// SPDX-License-Identifier: Apache-2.0
#include "tools/cli/rotate_key.hpp"

#include "tools/cli/arguments.hpp"

#include <boost/json/array.hpp>

#include <charconv>
#include <cstdint>
#include <string>

namespace tenon::cli {
namespace {

namespace json = boost::json;

constexpr std::int64_t k_batch_default = 100, k_batch_max = 1000;

[[nodiscard]] std::int64_t batch_of(const json::object& options) {
    std::int64_t batch = k_batch_default;
    if (const json::value* const given = options.if_contains("batch")) {
        const std::string text{given->is_string() ? given->get_string() : json::string{}};
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), batch);
        if (error != std::errc{} || end != text.data() + text.size() || batch < 1 ||
            batch > k_batch_max) {
            throw UsageError{"--batch needs a number from 1 to 1000"};
        }
    }
    return batch;
}

struct Progress {
    std::int64_t resealed = 0, remaining = 0;
    json::array unreadable;
};

// One keeper of secrets, from its first to its last.
void reseal_all(
    AdminClient& client,
    const std::string& command,
    std::int64_t batch,
    Progress& progress
) {
    json::object args{{"limit", batch}};
    std::int64_t remaining = 0;
    for (bool goes_on = true; goes_on;) {
        const json::value answer = client.run(command, args);
        progress.resealed += answer.at("resealed").to_number<std::int64_t>();
        remaining = answer.at("remaining").to_number<std::int64_t>();
        const json::array& unreadable = answer.at("unreadable").as_array();
        for (const json::value& name : unreadable) {
            progress.unreadable.push_back(json::object{{"command", command}, {"name", name}});
        }
        const json::value& next = answer.at("next");
        goes_on = !next.is_null();
        args["after"] = next;
    }
    progress.remaining += remaining;
}

}  // namespace

json::object rotate_key(AdminClient& client, const json::object& options) {
    for (const auto& [name, value] : options) {
        if (name != "finish" && name != "batch") {
            throw UsageError{"usage: tenon key rotate [--batch N] [--finish]"};
        }
    }
    const std::int64_t batch = batch_of(options);
    const bool finishes = options.contains("finish");
    const json::value begun = client.run(finishes ? "key.status" : "key.rotate", {});
    json::object answer = begun.as_object();
    Progress progress;
    const json::value commands = client.run("help", {});
    for (const json::value& command : commands.as_array()) {
        const std::string name{command.at("command").as_string()};
        if (name.ends_with(".reseal")) {
            reseal_all(client, name, batch, progress);
        }
    }
    if (finishes) {
        const json::value done = client.run("key.finish", {});
        answer = done.as_object();
    }
    answer["resealed"] = progress.resealed;
    answer["remaining"] = progress.remaining;
    answer["unreadable"] = std::move(progress.unreadable);
    answer["ok"] = progress.remaining == 0;
    return answer;
}

}  // namespace tenon::cli
