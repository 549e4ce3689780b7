// SPDX-License-Identifier: Apache-2.0
#include "plugins/venue/replay/recording.hpp"

#include <tenon/decimal.hpp>
#include <tenon/plugin.hpp>

#include <boost/json.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

namespace tenon::replay {
namespace {

// Decimals that Binance writes.
constexpr int k_recorded_scale = 8;
constexpr std::size_t k_chunk_bytes = 64U * 1024U;

namespace json = boost::json;

[[nodiscard]] std::string_view text(const json::object& object, std::string_view key) {
    const json::value* value = object.if_contains(key);
    const json::string* string = value != nullptr ? value->if_string() : nullptr;
    return string != nullptr ? std::string_view{*string} : std::string_view{};
}

template <class Number>
[[nodiscard]] bool number(const json::object& object, std::string_view key, Number& out) {
    const json::value* value = object.if_contains(key);
    const std::int64_t* found = value != nullptr ? value->if_int64() : nullptr;
    if (found == nullptr || *found < 0) {
        return false;
    }
    out = static_cast<Number>(*found);
    return true;
}

[[nodiscard]] bool decimal(std::string_view from, int scale, std::int64_t& out) {
    const ParsedDecimal parsed = parse_decimal(from, scale);
    out = parsed.value;
    return parsed && parsed.value >= 0;
}

// Orders older than a change of the lot size rest with more decimals than the instrument has today
// (the recorded BTCUSDT asks hold 25.42618900 at scale 5): what is finer than the scale is cut off.
[[nodiscard]] bool quantity(std::string_view from, int scale, std::int64_t& out) {
    const ParsedDecimal parsed = parse_decimal(from, k_recorded_scale);
    out = parsed.value / power_of_ten(k_recorded_scale - scale);
    return parsed && parsed.value >= 0;
}

[[nodiscard]] bool levels(
    const json::object& object,
    std::string_view key,
    const RecordedSymbol& symbol,
    std::vector<tenon_level>& out,
    std::uint32_t& count
) {
    const json::value* value = object.if_contains(key);
    const json::array* rows = value != nullptr ? value->if_array() : nullptr;
    if (rows == nullptr) {
        return false;
    }
    for (const json::value& row : *rows) {
        const json::array* pair = row.if_array();
        if (pair == nullptr || pair->size() != 2 || !(*pair)[0].is_string() ||
            !(*pair)[1].is_string()) {
            return false;
        }
        tenon_level level{};
        if (!decimal(std::string_view{(*pair)[0].get_string()}, symbol.price_scale, level.price) ||
            !quantity(
                std::string_view{(*pair)[1].get_string()}, symbol.quantity_scale, level.quantity
            )) {
            return false;
        }
        out.push_back(level);
    }
    count = static_cast<std::uint32_t>(rows->size());
    return true;
}

[[nodiscard]] bool parse_snapshot(
    const json::object& object,
    const RecordedSymbol& symbol,
    Batch& batch,
    Record& record
) {
    record.kind = RecordKind::snapshot;
    if (!number(object, "lastUpdateId", record.last_id) ||
        !levels(object, "bids", symbol, batch.levels, record.bid_count) ||
        !levels(object, "asks", symbol, batch.levels, record.ask_count)) {
        return false;
    }
    const auto descends = [](const tenon_level& a, const tenon_level& b) {
        return a.price > b.price;
    };
    const auto ascends = [](const tenon_level& a, const tenon_level& b) {
        return a.price < b.price;
    };
    const auto bids = batch.bids(record);
    const auto asks = batch.asks(record);
    return std::is_sorted(bids.begin(), bids.end(), descends) &&
           std::is_sorted(asks.begin(), asks.end(), ascends);
}

[[nodiscard]] bool
parse_depth(const json::object& data, const RecordedSymbol& symbol, Batch& batch, Record& record) {
    record.kind = RecordKind::diff;
    return number(data, "E", record.exchange_ms) && number(data, "U", record.first_id) &&
           number(data, "u", record.last_id) && record.first_id <= record.last_id &&
           levels(data, "b", symbol, batch.levels, record.bid_count) &&
           levels(data, "a", symbol, batch.levels, record.ask_count);
}

[[nodiscard]] bool
parse_trade(const json::object& data, const RecordedSymbol& symbol, Record& record) {
    record.kind = RecordKind::trade;
    const json::value* maker = data.if_contains("m");
    if (maker == nullptr || !maker->is_bool()) {
        return false;
    }
    record.buyer_is_maker = maker->get_bool();
    return number(data, "T", record.exchange_ms) && number(data, "t", record.trade_id) &&
           decimal(text(data, "p"), symbol.price_scale, record.price) && record.price > 0 &&
           quantity(text(data, "q"), symbol.quantity_scale, record.quantity) && record.quantity > 0;
}

[[nodiscard]] bool
parse_ticker(const json::object& data, const RecordedSymbol& symbol, Batch& batch, Record& record) {
    record.kind = RecordKind::book_ticker;
    tenon_level bid{};
    tenon_level ask{};
    if (!number(data, "u", record.last_id) ||
        !decimal(text(data, "b"), symbol.price_scale, bid.price) ||
        !quantity(text(data, "B"), symbol.quantity_scale, bid.quantity) ||
        !decimal(text(data, "a"), symbol.price_scale, ask.price) ||
        !quantity(text(data, "A"), symbol.quantity_scale, ask.quantity)) {
        return false;
    }
    if (bid.quantity > 0) {
        batch.levels.push_back(bid);
        record.bid_count = 1;
    }
    if (ask.quantity > 0) {
        batch.levels.push_back(ask);
        record.ask_count = 1;
    }
    return true;
}

enum class Line : std::uint8_t { record, skipped, damaged };

[[nodiscard]] Line parse_message(
    const json::object& message,
    const RecordedSymbol& symbol,
    Batch& batch,
    Record& record
) {
    if (message.contains("lastUpdateId")) {
        return parse_snapshot(message, symbol, batch, record) ? Line::record : Line::damaged;
    }
    const std::string_view stream = text(message, "stream");
    const json::value* value = message.if_contains("data");
    const json::object* data = value != nullptr ? value->if_object() : nullptr;
    if (stream.empty() || data == nullptr) {
        return Line::damaged;
    }
    if (text(*data, "s") != symbol.symbol) {
        return Line::skipped;
    }
    const std::string_view kind = stream.substr(std::min(stream.find('@'), stream.size()));
    bool sound = false;
    if (kind == "@depth" || kind == "@depth@100ms") {
        sound = parse_depth(*data, symbol, batch, record);
    } else if (kind == "@trade") {
        sound = parse_trade(*data, symbol, record);
    } else if (kind == "@bookTicker") {
        sound = parse_ticker(*data, symbol, batch, record);
    } else {
        return Line::skipped;
    }
    return sound ? Line::record : Line::damaged;
}

void snapshot_to_front(Batch& batch) {
    const auto snapshot =
        std::find_if(batch.records.begin(), batch.records.end(), [](const Record& record) {
            return record.kind == RecordKind::snapshot;
        });
    if (snapshot == batch.records.end()) {
        return;
    }
    snapshot->local_ns = batch.records.front().local_ns;
    std::rotate(batch.records.begin(), snapshot, snapshot + 1);
}

}  // namespace

bool parse_line(std::string_view line, const RecordedSymbol& symbol, Batch& batch) {
    Record record;
    const char* const end = line.data() + line.size();
    const auto [at, failure] = std::from_chars(line.data(), end, record.local_ns);
    if (failure != std::errc{} || at == end || *at != ' ' || record.local_ns <= 0) {
        return false;
    }
    std::array<unsigned char, 16 * 1024> memory;  // NOLINT: filled by the parser
    json::monotonic_resource resource{memory.data(), memory.size()};
    boost::system::error_code error;
    const json::value value =
        json::parse({at + 1, static_cast<std::size_t>(end - at - 1)}, error, &resource);
    if (error.failed() || !value.is_object()) {
        return false;
    }
    record.first_level = batch.levels.size();
    const Line outcome = parse_message(value.get_object(), symbol, batch, record);
    if (outcome == Line::record) {
        batch.records.push_back(record);
    } else {
        batch.levels.resize(record.first_level);
    }
    return outcome != Line::damaged;
}

Recording::Recording(std::string file, RecordedSymbol symbol)
    : file_{std::move(file)}, symbol_{std::move(symbol)} {
    open();
}

void Recording::open() {
    errno = 0;
    stream_.reset(gzopen(file_.c_str(), "rbe"));
    if (!stream_) {
        throw Error{
            TENON_NOT_FOUND,
            "recording " + file_ +
                " cannot be opened: " + std::strerror(errno != 0 ? errno : ENOMEM)};
    }
    buffer_.clear();
    at_ = 0;
    at_start_ = true;
}

bool Recording::refill(Batch& batch) {
    buffer_.resize(k_chunk_bytes);
    const int got = gzread(stream_.get(), buffer_.data(), static_cast<unsigned>(buffer_.size()));
    int code = Z_OK;
    const char* message = gzerror(stream_.get(), &code);
    if (got < 0 || (code != Z_OK && code != Z_STREAM_END)) {
        batch.error = file_ + ": " + message;
    }
    buffer_.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    at_ = 0;
    return !buffer_.empty();
}

bool Recording::read_line(std::string& line, Batch& batch) {
    line.clear();
    for (;;) {
        if (at_ == buffer_.size() && !refill(batch)) {
            return !line.empty() && batch.error.empty();
        }
        const std::size_t end = buffer_.find('\n', at_);
        const std::size_t stop = end == std::string::npos ? buffer_.size() : end;
        if (line.size() + (stop - at_) <= k_line_bytes_max) {
            line.append(buffer_, at_, stop - at_);
        } else {
            line.assign(1, '!');  // too long to be sound: the parser counts it as damaged
        }
        at_ = end == std::string::npos ? stop : end + 1;
        if (end != std::string::npos) {
            return true;
        }
    }
}

void Recording::next(Batch& batch) {
    batch.clear();
    if (!stream_) {
        try {
            open();
        } catch (const Error& failure) {
            batch.error = failure.what();
            batch.pass_ended = true;
            return;
        }
    }
    const bool first = at_start_;
    at_start_ = false;
    while (batch.records.size() < k_records_per_batch) {
        if (!read_line(line_, batch)) {
            batch.pass_ended = true;
            stream_.reset();
            break;
        }
        if (!parse_line(line_, symbol_, batch)) {
            ++batch.damaged_lines;
        }
    }
    if (first) {
        snapshot_to_front(batch);
    }
}

}  // namespace tenon::replay
