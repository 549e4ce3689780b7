// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/predictor/provider.hpp"

#include <tenon/decimal.hpp>
#include <tenon/json_text.hpp>

namespace tenon::predictor {
namespace {

[[nodiscard]] Answer answer_of(const Json& json) {
    constexpr std::size_t k_message_max = 200;
    if (!json.is(Json::Kind::object)) {
        return {TENON_CORRUPT, {}, "the provider's prediction is no object", false};
    }
    if (const Json* const error = json.find("error")) {
        const std::string text = error->is(Json::Kind::text) ? error->text() : "no reason";
        return {
            TENON_UNAVAILABLE, {}, "the provider refused: " + text.substr(0, k_message_max), false};
    }
    return {TENON_OK, to_text(json), {}, false};
}

}  // namespace

std::string to_text(const Json& json) {
    std::string out;
    append_json(out, json);
    return out;
}

std::string request_body(std::string_view model, std::span<const Question> questions) {
    std::string out{"{\"model\":"};
    append_json(out, model);
    out.append(",\"inputs\":[");
    for (const Question& question : questions) {
        out.append(&question == &questions.front() ? "" : ",").append("{\"symbol\":");
        append_json(out, question.symbol);
        out.append(",\"input\":").append(question.input).append("}");
    }
    return out.append("]}");
}

BatchAnswer read_answer(std::string_view body, std::size_t questions, std::int64_t price_each) {
    Json json;
    try {
        json = Json::parse(body);
    } catch (const Error& e) {
        throw Error{TENON_CORRUPT, "the provider's answer: " + std::string{e.what()}};
    }
    const Json* const list = json.is(Json::Kind::object) ? json.find("predictions") : nullptr;
    if (list == nullptr || !list->is(Json::Kind::array) || list->items().size() != questions) {
        throw Error{
            TENON_CORRUPT,
            "the provider's answer: expected " + std::to_string(questions) + " predictions"};
    }
    BatchAnswer answer;
    std::int64_t good = 0;
    for (const Json& one : list->items()) {
        answer.answers.push_back(answer_of(one));
        good += answer.answers.back().status == TENON_OK ? 1 : 0;
    }
    const Json* const cost = json.find("cost");
    if (cost == nullptr) {
        if (__builtin_mul_overflow(price_each, good, &answer.cost)) {
            throw Error{TENON_CORRUPT, "the price of a batch is too large to be counted"};
        }
        return answer;
    }
    try {
        answer.cost = cost_of(cost->text());
    } catch (const Error&) {
        throw Error{TENON_CORRUPT, "the provider's answer: cost is no decimal as a string"};
    }
    return answer;
}

std::int64_t cost_of(std::string_view text) {
    const ParsedDecimal parsed = parse_decimal(text, k_cost_scale);
    if (parsed.status != DecimalStatus::ok || parsed.value < 0) {
        throw Error{
            TENON_INVALID, "expected a decimal of at most 8 places, not below zero, as a string"};
    }
    return parsed.value;
}

}  // namespace tenon::predictor
