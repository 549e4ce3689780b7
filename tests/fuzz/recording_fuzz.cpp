// SPDX-License-Identifier: Apache-2.0
// Recorded market data.
//
// input := the file, plain or gzip
// Asserted: a pass ends; a record's levels are within its batch, prices and quantities are not
// negative, a batch is bounded; the same lines one by one give the same records.
#include "plugins/venue/replay/recording.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/fuzz/input_file.hpp"

#include <tenon/plugin.hpp>

#include <algorithm>

using namespace tenon::replay;
using tenon::fuzz::expect;

namespace {

const RecordedSymbol k_symbol{"BTCUSDT", 2, 5};

void expect_sound(const Batch& batch) {
    for (const Record& record : batch.records) {
        const std::size_t levels = std::size_t{record.bid_count} + record.ask_count;
        expect(record.first_level + levels <= batch.levels.size(), "levels are in the batch");
        expect(record.price >= 0 && record.quantity >= 0, "no number is negative");
        expect(record.local_ns > 0 && record.exchange_ms >= 0, "times are above 0");
        expect(record.first_id <= record.last_id || record.first_id == 0, "ids ascend");
        (void)batch.bids(record);
        (void)batch.asks(record);
    }
    expect(
        std::all_of(
            batch.levels.begin(),
            batch.levels.end(),
            [](const tenon_level& level) { return level.price >= 0 && level.quantity >= 0; }
        ),
        "no number is negative"
    );
}

struct Counts {
    std::size_t records = 0, damaged = 0;
};

Counts count_lines(std::string_view text) {
    Counts counts;
    Batch batch;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        counts.damaged += parse_line(text.substr(0, end), k_symbol, batch) ? 0U : 1U;
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    expect_sound(batch);
    counts.records = batch.records.size();
    return counts;
}

}  // namespace

tenon::fuzz::Corpus tenon::fuzz::corpus() {
    Corpus made;
    const std::string lines[] = {
        R"(1732233600000000001 {"lastUpdateId":160,"bids":[["97000.10","0.50000000"]],"asks":[)"
        R"(["97000.20","1.25"],["97000.30","25.42618900"]]})"
        "\n",
        R"(1732233600100000000 {"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate",)"
        R"("E":1732233600100,"s":"BTCUSDT","U":161,"u":163,"b":[["97000.10","0"]],"a":[]}})"
        "\n",
        R"(1732233600200000000 {"stream":"btcusdt@trade","data":{"e":"trade","s":"BTCUSDT",)"
        R"("t":7,"p":"97000.15","q":"0.00100000","T":1732233600200,"m":true}})"
        "\n",
        R"(1732233600300000000 {"stream":"btcusdt@bookTicker","data":{"s":"BTCUSDT","u":164,)"
        R"("b":"97000.10","B":"0.5","a":"97000.20","A":"0.00000000"}})"
        "\n",
        R"(1732233600400000000 {"stream":"ethusdt@trade","data":{"s":"ETHUSDT"}})"
        "\n"};
    std::string all;
    for (const std::string& line : lines) {
        made.seeds.push_back(line);
        all += line;
    }
    made.seeds.push_back(all);
    // The empty file as gzip writes it.
    made.seeds.emplace_back("\x1f\x8b\x08\0\0\0\0\0\0\x03\x03\0\0\0\0\0\0\0\0\0", std::size_t{20});
    made.words = {
        "\"bids\":[", "[\"1.5\",\"2\"],", "9223372036854775807", "\"u\":", "-1", "\n1 {", "@depth"};
    return made;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text = tenon::fuzz::text_of(data, size);
    const bool is_packed = text.starts_with("\x1f\x8b");
    const tenon::fuzz::InputFile file{text};
    Recording recording{file.name(), k_symbol};
    Counts counts;
    bool has_failed = false;
    for (Batch batch; !batch.pass_ended;) {
        recording.next(batch);
        expect_sound(batch);
        expect(batch.records.size() <= k_records_per_batch, "a batch is bounded");
        expect(batch.error.empty() || batch.pass_ended, "a failure ends the pass");
        counts.records += batch.records.size();
        counts.damaged += batch.damaged_lines;
        has_failed = !batch.error.empty();
    }
    if (!is_packed) {
        expect(!has_failed, "plain text is read to its end");
        const Counts lines = count_lines(text);
        expect(
            lines.records == counts.records && lines.damaged == counts.damaged,
            "a file is its lines"
        );
    }
    return 0;
}
