// SPDX-License-Identifier: Apache-2.0
#include "plugins/monitor/advisor/chronicle.hpp"

#include <tenon/plugin.hpp>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <utility>

namespace tenon::advisor {

namespace json = boost::json;

namespace {

std::string text_of(const json::object& object, std::string_view key) {
    const json::value* const found = object.if_contains(key);
    return found != nullptr && found->is_string()
               ? std::string{std::string_view{found->get_string()}}
               : std::string{};
}

std::int64_t number_of(const json::object& object, std::string_view key) {
    const json::value* const found = object.if_contains(key);
    return found != nullptr && found->is_int64() ? found->get_int64() : 0;
}

// None: the line is damaged, which the check of the chain counts.
std::optional<Entry> read_line(std::string_view line) {
    boost::system::error_code failed;
    const json::value value = json::parse(line, failed);
    const json::object* const object = failed ? nullptr : value.if_object();
    const json::value* const detail = object == nullptr ? nullptr : object->if_contains("detail");
    if (detail == nullptr || !detail->is_object()) {
        return std::nullopt;
    }
    return Entry{
        static_cast<std::uint64_t>(number_of(*object, "seq")),
        number_of(*object, "time_ms"),
        text_of(*object, "actor"),
        text_of(*object, "action"),
        text_of(*object, "subject"),
        detail->get_object()};
}

}  // namespace

json::object to_json(const Entry& entry) {
    json::object out{
        {"seq", entry.sequence},
        {"time_ms", entry.time_ms},
        {"by", entry.by},
        {"event", entry.event},
        {"id", entry.id}};
    for (const auto& [key, value] : entry.detail) {
        out.insert({{key, value}});
    }
    return out;
}

Chronicle::Chronicle(const std::filesystem::path& file) : log_{file} {
    (void)audit::check_file(file, [this](std::string_view line) {
        if (auto entry = read_line(line)) {
            remember(std::move(*entry));
        }
    });
    sequence_ = log_.found().last_sequence;
}

void Chronicle::record(Entry entry) {
    const std::lock_guard lock{mutex_};
    const std::string detail = json::serialize(entry.detail);
    auto event = sized<tenon_audit_event>();
    event.actor = str(entry.by);
    event.action = str(entry.event);
    event.subject = str(entry.id);
    event.detail = str(detail);
    log_.record("advice", event, entry.time_ms);
    entry.sequence = ++sequence_;
    remember(std::move(entry));
}

void Chronicle::remember(Entry entry) {
    if (entry.event == "trial_begun") {
        unfinished_ = entry;
    } else if (unfinished_ && unfinished_->id == entry.id && entry.event != "dismissed") {
        unfinished_.reset();
    }
    newest_[entry.id].insert_or_assign(entry.event, entry);
    entries_.push_back(std::move(entry));
    if (entries_.size() > k_in_memory) {
        entries_.pop_front();
    }
}

json::array Chronicle::json(std::size_t limit, std::string_view id) const {
    const std::lock_guard lock{mutex_};
    json::array out;
    for (auto at = entries_.rbegin(); at != entries_.rend() && out.size() < limit; ++at) {
        if (id.empty() || at->id == id) {
            out.push_back(to_json(*at));
        }
    }
    return out;
}

std::optional<Entry> Chronicle::unfinished() const {
    const std::lock_guard lock{mutex_};
    return unfinished_;
}

std::optional<Entry> Chronicle::in_force(std::string_view id) const {
    const std::lock_guard lock{mutex_};
    const auto of = newest_.find(id);
    if (of == newest_.end()) {
        return std::nullopt;
    }
    const auto kept = of->second.find("kept");
    const auto taken_back = of->second.find("taken_back");
    const bool stands =
        kept != of->second.end() &&
        (taken_back == of->second.end() || kept->second.sequence > taken_back->second.sequence);
    return stands ? std::optional{kept->second} : std::nullopt;
}

std::int64_t Chronicle::left_alone_until_ms(
    std::string_view id,
    std::int64_t for_ms,
    bool rolled_back_too
) const {
    const std::lock_guard lock{mutex_};
    const auto of = newest_.find(id);
    if (of == newest_.end()) {
        return 0;
    }
    std::int64_t until_ms = 0;
    for (const auto& [event, entry] : of->second) {
        const bool ended_badly = event == "rolled_back" || event == "recovered" ||
                                 event == "failed" || event == "taken_back";
        if (event == "dismissed" || (rolled_back_too && ended_badly)) {
            until_ms = std::max(until_ms, entry.time_ms + for_ms);
        }
    }
    return until_ms;
}

}  // namespace tenon::advisor
