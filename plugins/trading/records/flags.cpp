// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/records/flags.hpp"

#include "plugins/trading/records/failure.hpp"

#include <tenon/json_text.hpp>

#include <algorithm>
#include <exception>
#include <utility>

namespace tenon::records {
namespace {

constexpr std::int64_t k_wait_ns = 10'000'000'000;
constexpr std::size_t k_reason_max = 500;

[[nodiscard]] ApiFailure unreadable() {
    return {500, "internal", "the server's answer could not be read"};
}

// What stands behind "ok". Throws ApiFailure.
[[nodiscard]] Json result_of(std::string_view line) {
    Json answer;
    try {
        answer = Json::parse(line);
    } catch (const Error&) {
        throw unreadable();
    }
    const Json* const ok = answer.find("ok");
    if (ok == nullptr || !ok->is(Json::Kind::object)) {
        throw unreadable();
    }
    return *ok;
}

[[nodiscard]] std::string text_of(const Json& object, std::string_view key) {
    const Json* const found = object.find(key);
    return found != nullptr && found->is(Json::Kind::text) ? found->text() : std::string{};
}

[[nodiscard]] bool bool_of(const Json& object, std::string_view key) {
    const Json* const found = object.find(key);
    return found != nullptr && found->is(Json::Kind::boolean) && found->boolean();
}

[[nodiscard]] std::string name_of(const Json& setting) {
    std::string name = text_of(setting, "plugin") + text_of(setting, "pointer");
    std::replace(name.begin(), name.end(), '/', '.');
    return name;
}

[[nodiscard]] const Json& settings_of(const Json& result) {
    const Json* const settings = result.find("settings");
    if (settings == nullptr || !settings->is(Json::Kind::array)) {
        throw unreadable();
    }
    return *settings;
}

void member(std::string& out, std::string_view key, std::string_view text) {
    append_json(out, key);
    out.push_back(':');
    append_json(out, text);
}

void member(std::string& out, std::string_view key, bool value) {
    append_json(out, key);
    out.append(value ? ":true" : ":false");
}

void append_generation(std::string& out, const Json& result) {
    const Json* const generation = result.find("generation");
    out.append(",\"generation\":");
    append_json(out, generation != nullptr ? *generation : Json{});
}

// Runs the body; a failure of it is the answer.
template <class Body>
void settle(const Flags::Done& done, const AdminLine::Answer& told, Body&& body) {
    Answer failed{503, {}};
    try {
        if (!told.failure.empty()) {
            throw ApiFailure{503, "unavailable", "the server did not answer: " + told.failure};
        }
        body(result_of(told.line));
        return;
    } catch (const ApiFailure& failure) {
        failed = {failure.http_status(), failure.body()};
    } catch (const std::exception&) {
        const ApiFailure failure = unreadable();
        failed = {failure.http_status(), failure.body()};
    }
    done(failed);
}

// Why the server refused: the first of its problems.
[[nodiscard]] ApiFailure refusal(const Json& result) {
    std::string why{"the server refused it"};
    const Json* const problems = result.find("problems");
    if (problems != nullptr && !problems->items().empty()) {
        const Json& first = problems->items().front();
        for (const std::string_view key : {"message", "text"}) {
            if (const std::string text = text_of(first, key); !text.empty()) {
                why.append(": ").append(text);
                break;
            }
        }
    }
    return conflict("refused", why);
}

[[nodiscard]] std::string changed_answer(
    const std::string& name,
    const Json& flag,
    const FlagChange& wanted,
    const Json& result
) {
    std::string out{"{"};
    member(out, "name", name);
    out.push_back(',');
    member(out, "on", wanted.on ? *wanted.on : bool_of(flag, "deployment"));
    out.push_back(',');
    member(out, "before", bool_of(flag, "value"));
    append_generation(out, result);
    return out.append("}");
}

[[nodiscard]] std::string
change_line(const Json& flag, const FlagChange& wanted, const std::string& actor) {
    std::string line{R"({"command":)"};
    append_json(line, wanted.on ? "settings.set" : "settings.unset");
    line.append(R"(,"args":{"changes":[{)");
    member(line, "plugin", text_of(flag, "plugin"));
    line.push_back(',');
    member(line, "pointer", text_of(flag, "pointer"));
    if (wanted.on) {
        line.push_back(',');
        member(line, "value", *wanted.on);
    }
    line.append("}],");
    member(line, "by", actor);
    if (!wanted.reason.empty()) {
        line.push_back(',');
        member(line, "reason", wanted.reason);
    }
    return line.append("}}");
}

}  // namespace

FlagChange read_flag_change(const Request& request) {
    FlagChange out;
    const bool sets = request.method == "PUT";
    const Json body = request.object();
    for (std::size_t i = 0; i < body.keys().size(); ++i) {
        const std::string& key = body.keys()[i];
        const Json& value = body.items()[i];
        if (key == "on" && sets) {
            if (!value.is(Json::Kind::boolean)) {
                throw invalid("/on", "expected true or false");
            }
            out.on = value.boolean();
        } else if (key == "reason") {
            if (!value.is(Json::Kind::text) || value.text().size() > k_reason_max) {
                throw invalid("/reason", "expected a text of at most 500 bytes");
            }
            out.reason = value.text();
        } else {
            throw invalid("/" + key, "there is no such member");
        }
    }
    if (sets && !out.on) {
        throw invalid("/on", "true or false is needed");
    }
    return out;
}

std::string flags_answer(std::string_view line) {
    const Json result = result_of(line);
    std::vector<std::pair<std::string, const Json*>> flags;
    const Json& settings = settings_of(result);
    for (const Json& setting : settings.items()) {
        if (bool_of(setting, "flag")) {
            flags.emplace_back(name_of(setting), &setting);
        }
    }
    std::sort(flags.begin(), flags.end(), [](const auto& a, const auto& b) {
        return a.first < b.first;
    });
    std::string out{"{\"data\":["};
    for (const auto& [name, setting] : flags) {
        out.append(out.back() == '[' ? "{" : ",{");
        member(out, "name", name);
        for (const std::string_view key : {"title", "description", "by", "reason"}) {
            out.push_back(',');
            member(out, key, text_of(*setting, key));
        }
        out.push_back(',');
        member(out, "on", bool_of(*setting, "value"));
        for (const std::string_view key : {"deployment", "overridden"}) {
            out.push_back(',');
            member(out, key, bool_of(*setting, key));
        }
        out.push_back('}');
    }
    out.push_back(']');
    append_generation(out, result);
    return out.append("}");
}

bool Flags::ask(const std::string& line, AdminLine::Done done) {
    return line_.ask(line, clock_->now_ns(clock_.self) + k_wait_ns, std::move(done));
}

void Flags::answer(const Request& request, const std::string& actor, Done done) {
    if (!request.caller.is_admin) {
        throw ApiFailure{403, "forbidden", "the key has no permission admin"};
    }
    Parameters{request.query}.finish();
    if (request.method == "GET") {
        list(std::move(done));
        return;
    }
    change(read_flag_change(request), request.tail, actor, std::move(done));
}

void Flags::list(Done done) {
    const bool asked =
        ask(R"({"command":"settings.list","args":{}})", [done](const AdminLine::Answer& told) {
            settle(done, told, [&](const Json&) { done({200, flags_answer(told.line)}); });
        });
    if (!asked) {
        throw ApiFailure{503, "busy", "too many questions at once: try again later"};
    }
}

// Two questions: is there such a flag, and the change.
void Flags::change(const FlagChange& wanted, std::string name, std::string actor, Done done) {
    auto changed = [this, wanted, name, actor = std::move(actor), done](const Json& result) {
        const auto& settings = settings_of(result).items();
        const auto flag = std::find_if(settings.begin(), settings.end(), [&](const Json& setting) {
            return bool_of(setting, "flag") && name_of(setting) == name;
        });
        if (flag == settings.end()) {
            throw not_found("flag");
        }
        const bool asked =
            ask(change_line(*flag, wanted, actor),
                [wanted, name, flag = *flag, done](const AdminLine::Answer& told) {
                    settle(done, told, [&](const Json& answer) {
                        if (!bool_of(answer, "applied")) {
                            throw refusal(answer);
                        }
                        done({200, changed_answer(name, flag, wanted, answer)});
                    });
                });
        if (!asked) {
            throw ApiFailure{503, "busy", "too many questions at once: try again later"};
        }
    };
    const bool asked =
        ask(R"({"command":"settings.list","args":{}})",
            [done, changed = std::move(changed)](const AdminLine::Answer& told) {
                settle(done, told, changed);
            });
    if (!asked) {
        throw ApiFailure{503, "busy", "too many questions at once: try again later"};
    }
}

std::string_view flags_operations() {
    return R"("get":{"summary":"Optimisations that are switched while the server runs",)"
           R"("tags":["flags"],"x-right":"admin","parameters":[],"responses":{"200":{)"
           R"("description":"done","content":{"application/json":{"schema":{"type":"object",)"
           R"("properties":{"data":{"type":"array","items":{)"
           R"("$ref":"#/components/schemas/flags"}},"generation":{"type":"integer"}}}}}},)"
           R"("default":{"$ref":"#/components/responses/failure"}}})";
}

std::string_view flag_operations() {
    return R"("put":{"summary":"Switch a flag on or off","tags":["flags"],"x-right":"admin",)"
           R"("parameters":[{"name":"name","in":"path","required":true,)"
           R"("schema":{"type":"string","description":"PLUGIN.SETTING"}}],"requestBody":{)"
           R"("required":true,"content":{"application/json":{"schema":{"type":"object",)"
           R"("required":["on"],"additionalProperties":false,"properties":{)"
           R"("on":{"type":"boolean"},"reason":{"type":"string","maxLength":500}}}}}},)"
           R"("responses":{"200":{"description":"done","content":{"application/json":{"schema":{)"
           R"("$ref":"#/components/schemas/flag-change"}}}},)"
           R"("default":{"$ref":"#/components/responses/failure"}}},)"
           R"("delete":{"summary":"Back to what the deployment says","tags":["flags"],)"
           R"("x-right":"admin","parameters":[{"name":"name","in":"path","required":true,)"
           R"("schema":{"type":"string","description":"PLUGIN.SETTING"}}],)"
           R"("responses":{"200":{"description":"done","content":{"application/json":{"schema":{)"
           R"("$ref":"#/components/schemas/flag-change"}}}},)"
           R"("default":{"$ref":"#/components/responses/failure"}}})";
}

}  // namespace tenon::records
