// SPDX-License-Identifier: Apache-2.0
// tenon.migrations/1: after start the schema is where the report says, however often it starts.
#include "sdk/conformance/suites/suites.hpp"

#include <tenon/abi/migrations.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <string>
#include <string_view>

namespace tenon::suites {
namespace {

namespace json = boost::json;

struct Seen {
    std::string text;
    json::object report;
    std::uint32_t version;
};

[[nodiscard]] Seen look(const Instance& instance) {
    const auto table = instance.service<tenon_migrations_1>("tenon.migrations/1");
    StringSink out;
    ErrorBuffer err;
    expect_status(table->report(table.self, out.sink(), &err), TENON_OK, "report", &err);
    json::error_code wrong;
    const json::value parsed = json::parse(out.text(), wrong);
    expect(!wrong && parsed.is_object(), "the report is no JSON object: ", out.text());
    return {out.text(), parsed.as_object(), table->version(table.self)};
}

[[nodiscard]] const json::value& field(const json::object& object, std::string_view name) {
    const json::value* const found = object.if_contains(name);
    expect(found != nullptr, "the report has no \"", name, "\": ", json::serialize(object));
    return *found;
}

[[nodiscard]] std::int64_t number(const json::object& object, std::string_view name) {
    const json::value& value = field(object, name);
    json::error_code wrong;
    const auto read = value.is_number() ? value.to_number<std::int64_t>(wrong) : std::int64_t{-1};
    expect(!wrong && read >= 0, "\"", name, "\" is not a number from 0: ", json::serialize(value));
    return read;
}

[[nodiscard]] const json::array& migrations(const json::object& report) {
    const json::value& list = field(report, "migrations");
    expect(list.is_array(), "\"migrations\" is no list");
    return list.as_array();
}

void report(Bench& bench) {
    const auto instance = bench.open();
    const Seen seen = look(*instance);
    (void)number(seen.report, "current");
    (void)number(seen.report, "latest");
    for (const json::value& one : migrations(seen.report)) {
        expect(one.is_object(), "a migration is no object: ", json::serialize(one));
        (void)number(one.as_object(), "version");
        for (const char* name : {"name", "state", "checksum"}) {
            const json::value& value = field(one.as_object(), name);
            expect(
                value.is_string() && !value.get_string().empty(),
                "\"",
                name,
                "\" of a migration is ",
                json::serialize(value)
            );
        }
        const json::value& when = field(one.as_object(), "applied_at");
        expect(
            when.is_string() || when.is_null() || when.is_number(),
            "\"applied_at\" of a migration is ",
            json::serialize(when)
        );
    }
}

void report_sink(Bench& bench) {
    const auto instance = bench.open();
    const auto table = instance->service<tenon_migrations_1>("tenon.migrations/1");
    const tenon_sink full{
        nullptr, [](void*, tenon_bytes) -> tenon_status { return TENON_UNAVAILABLE; }};
    ErrorBuffer err;
    expect_status(
        table->report(table.self, full, &err), TENON_UNAVAILABLE, "report into a sink that refuses"
    );
}

void version(Bench& bench) {
    const auto instance = bench.open();
    const Seen seen = look(*instance);
    const std::int64_t current = number(seen.report, "current");
    const std::int64_t latest = number(seen.report, "latest");
    expect(
        current == seen.version, "version says ", seen.version, ", the report's current ", current
    );
    expect(
        current == latest,
        "after start the schema is at ",
        current,
        ", the newest migration is ",
        latest
    );
}

void ordered(Bench& bench) {
    const auto instance = bench.open();
    const Seen seen = look(*instance);
    std::int64_t before = 0;
    for (const json::value& one : migrations(seen.report)) {
        const std::int64_t now = number(one.as_object(), "version");
        expect(now > before, "migration ", now, " follows ", before);
        before = now;
    }
    expect(
        before <= number(seen.report, "latest"),
        "the list ends with ",
        before,
        ", latest is ",
        number(seen.report, "latest")
    );
}

void idempotent(Bench& bench) {
    const auto instance = bench.open();
    const Seen first = look(*instance);
    for (int round = 0; round < 3; ++round) {
        instance->stop();
        instance->start();
        const Seen again = look(*instance);
        expect(again.version == first.version, "start again: version ", again.version);
        expect(
            again.text == first.text,
            "start again changed the report: ",
            again.text,
            ", before ",
            first.text
        );
    }
}

void second_runner(Bench& bench) {
    Seen first;
    {
        const auto instance = bench.open();
        first = look(*instance);
    }
    const auto instance = bench.open();
    const Seen again = look(*instance);
    expect(
        again.text == first.text,
        "another instance on the same storage reports ",
        again.text,
        ", the one before ",
        first.text
    );
}

constexpr std::string_view k_migrations = "tenon.migrations/1";

constexpr Check k_checks[] = {
    {"migrations.report", "the report is JSON with every field", k_migrations, &checked<&report>},
    {"migrations.report-sink",
     "what the sink answers is answered",
     k_migrations,
     &checked<&report_sink>},
    {"migrations.version",
     "version and report agree, nothing is pending",
     k_migrations,
     &checked<&version>},
    {"migrations.ordered",
     "migrations are listed by version, each once",
     k_migrations,
     &checked<&ordered>},
    {"migrations.idempotent",
     "starting again changes nothing",
     k_migrations,
     &checked<&idempotent>},
    {"migrations.second-runner",
     "another instance finds the schema as it is",
     k_migrations,
     &checked<&second_runner>},
};

}  // namespace
}  // namespace tenon::suites

namespace tenon::conformance {

std::span<const Check> migrations_checks() {
    return suites::k_checks;
}

}  // namespace tenon::conformance
