// SPDX-License-Identifier: Apache-2.0
// The result of a load test as one JSON document ("format": "tenon-load/1"; README.md has the
// members), and what is made of it: text, a page, comparisons.
#pragma once

#include "sdk/statistics/significance.hpp"
#include "tools/load/tally.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::load {

// What was asked for; two results are comparable when all of it but seed and target is equal.
struct Question {
    std::string scenario, target, arrivals;
    double rate = 0, times = 1;  // requests a second of all users, before `times`; 0: closed loop
    std::uint32_t users = 1;
    double duration_s = 0, warmup_s = 0;
    std::uint64_t seed = 1;
};

// One measurement of a round, for comparisons.
struct Sample {
    double p50_us = 0, p99_us = 0, mean_us = 0, per_second = 0;
    double server_cpu_us = 0;  // per request; 0: not known
};

struct Result {
    Question question;
    Run run;                              // all rounds together
    std::vector<std::string> operations;  // names
    std::vector<Sample> rounds;
};

[[nodiscard]] Sample sample_of(const Run& run, double server_cpu_s);

// Of the rounds; of one round, of its windows instead.
[[nodiscard]] boost::json::object to_json(const Result& result, std::string_view started_at);
// {"count","mean","p50",…,"max"} in microseconds.
[[nodiscard]] boost::json::object latency_json(const Histogram& histogram);
// Version, build and machine, the same in every result of one program on one machine.
[[nodiscard]] boost::json::object environment();

// For people.
[[nodiscard]] std::string to_text(const boost::json::object& result);

// Throws std::runtime_error when it is no result of this format.
[[nodiscard]] boost::json::object read_result(const std::filesystem::path& file);
// Whole or not at all: written beside and renamed. Throws std::runtime_error.
void write_file(const std::filesystem::path& file, std::string_view text);

}  // namespace tenon::load
