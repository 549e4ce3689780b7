// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/advisor/answer.hpp"

#include <tenon/json.hpp>

#include <algorithm>
#include <cmath>
#include <initializer_list>

namespace tenon::advisor {
namespace {

constexpr std::size_t k_costliest = 20;

void field(std::string& out, std::string_view name, std::string_view value) {
    out.append(",\"").append(name).append("\":");
    append_json(out, value);
}

void field(std::string& out, std::string_view name, double value) {
    out.append(",\"").append(name).append("\":").append(std::to_string(std::llround(value)));
}

// Writes a parsed value again.
void append_value(std::string& out, const Json& value) {
    switch (value.kind()) {
        case Json::Kind::null:
            out.append("null");
            break;
        case Json::Kind::boolean:
            out.append(value.boolean() ? "true" : "false");
            break;
        case Json::Kind::number:
            out.append(value.number());
            break;
        case Json::Kind::text:
            append_json(out, value.text());
            break;
        default: {
            const bool is_array = value.is(Json::Kind::array);
            out.push_back(is_array ? '[' : '{');
            for (std::size_t i = 0; i < value.items().size(); ++i) {
                out.append(i == 0 ? "" : ",");
                if (!is_array) {
                    append_json(out, value.keys()[i]);
                    out.push_back(':');
                }
                append_value(out, value.items()[i]);
            }
            out.push_back(is_array ? ']' : '}');
        }
    }
}

void append_some(std::string& out, const Json& one, std::initializer_list<const char*> keys) {
    bool first = true;
    out.push_back('{');
    for (const char* key : keys) {
        const Json* value = one.find(key);
        if (value != nullptr) {
            out.append(first ? "" : ",");
            first = false;
            append_json(out, key);
            out.push_back(':');
            append_value(out, *value);
        }
    }
    out.push_back('}');
}

const std::vector<Json>& list_of(const Json& all, std::string_view key) {
    static const std::vector<Json> none;
    const Json* list = all.find(key);
    return list == nullptr ? none : list->items();
}

}  // namespace

std::string json_of(const Advice& advice, bool applied, const std::vector<Applied>& outcome) {
    std::string out = "{\"statements\":" + std::to_string(advice.statements);
    field(out, "skipped", static_cast<double>(advice.skipped));
    field(out, "candidates", static_cast<double>(advice.candidates));
    out.append(advice.complete ? ",\"complete\":true" : ",\"complete\":false");
    out.append(applied ? ",\"applied\":true" : ",\"applied\":false");
    out.append(",\"proposals\":[");
    for (const Proposal& proposal : advice.proposals) {
        out.append(&proposal == &advice.proposals.front() ? "{\"name\":" : ",{\"name\":");
        append_json(out, proposal.candidate.index.name);
        field(out, "table", proposal.candidate.index.table);
        field(out, "sql", proposal.sql);
        field(out, "gain_ns", static_cast<double>(proposal.gain_ns));
        field(out, "read_work_before", proposal.read_work_before);
        field(out, "read_work_after", proposal.read_work_after);
        field(out, "write_work", proposal.write_work);
        out.append(",\"statements\":[");
        for (const std::string& fingerprint : proposal.fingerprints) {
            out.append(&fingerprint == &proposal.fingerprints.front() ? "" : ",");
            append_json(out, fingerprint);
        }
        out.append("]}");
    }
    out.append("],\"unused\":[");
    for (const std::string& name : advice.unused) {
        out.append(&name == &advice.unused.front() ? "" : ",");
        append_json(out, name);
    }
    out.append("],\"redundant\":[");
    for (const Redundant& one : advice.redundant) {
        out.append(&one == &advice.redundant.front() ? "{\"name\":" : ",{\"name\":");
        append_json(out, one.name);
        field(out, "by", one.by);
        out.push_back('}');
    }
    out.append("],\"not_kept\":[");
    bool is_first = true;
    for (const Applied& one : outcome) {
        if (!one.is_kept) {
            out.append(is_first ? "" : ",");
            append_json(out, one.name);
            is_first = false;
        }
    }
    out.append("],\"adopted\":[");
    is_first = true;
    for (const Applied& one : outcome) {
        if (one.is_adopted && one.is_kept) {
            out.append(is_first ? "" : ",");
            append_json(out, one.name);
            is_first = false;
        }
    }
    out.append("]}");
    return out;
}

std::string slow_of(const std::string& statements) {
    const Json all = Json::parse(statements);
    std::string out = "{\"slow\":[";
    for (const Json& one : list_of(all, "slow")) {
        out.append(&one == &list_of(all, "slow").front() ? "" : ",");
        append_value(out, one);
    }
    out.append("],\"costliest\":[");
    const auto& list = list_of(all, "statements");
    for (std::size_t i = 0; i < std::min(list.size(), k_costliest); ++i) {
        out.append(i == 0 ? "" : ",");
        append_some(
            out,
            list[i],
            {"fingerprint",
             "sql",
             "calls",
             "rows",
             "errors",
             "slow",
             "total_ns",
             "max_ns",
             "p50_ns",
             "p95_ns",
             "p99_ns"}
        );
    }
    out.append("]}");
    return out;
}

std::string plans_of(const std::string& statements) {
    const Json all = Json::parse(statements);
    std::string out = "{\"plans\":[";
    bool first = true;
    for (const Json& one : list_of(all, "statements")) {
        const Json* plan = one.find("plan");
        if (plan != nullptr && plan->is(Json::Kind::object)) {
            out.append(first ? "" : ",");
            first = false;
            append_some(
                out,
                one,
                {"fingerprint",
                 "sql",
                 "plan",
                 "plan_before",
                 "plan_changes",
                 "plan_changed_real_ns"}
            );
        }
    }
    out.append("]}");
    return out;
}

}  // namespace tenon::advisor
