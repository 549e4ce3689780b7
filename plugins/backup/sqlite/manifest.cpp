// SPDX-License-Identifier: Apache-2.0
#include "plugins/backup/sqlite/manifest.hpp"

#include "sdk/capture/format.hpp"

#include <boost/json.hpp>

#include <cstdio>
#include <ctime>

namespace tenon::backup_sqlite {
namespace {

namespace json = boost::json;
constexpr std::int64_t k_second = 1'000'000'000;

std::string sum_of(std::string_view text) {
    const auto* const bytes = reinterpret_cast<const unsigned char*>(text.data());
    return capture::hex_of(capture::hash_of({bytes, text.size()}));
}

}  // namespace

std::uint64_t Manifest::bytes() const noexcept {
    std::uint64_t sum = 0;
    for (const Part& part : parts) {
        sum += part.bytes;
    }
    return sum;
}

// Two lines: the backup, and the checksum of the first.
std::string encode(const Manifest& manifest) {
    json::array parts;
    for (const Part& part : manifest.parts) {
        parts.push_back(
            {{"name", part.name},
             {"file", part.file},
             {"bytes", part.bytes},
             {"sha256", part.sha256}}
        );
    }
    const json::object whole{
        {"format", 1},
        {"id", manifest.id},
        {"label", manifest.label},
        {"started_ns", manifest.started_ns},
        {"finished_ns", manifest.finished_ns},
        {"from_ns", manifest.from_ns},
        {"to_ns", manifest.to_ns},
        {"from_txid", manifest.from_txid},
        {"to_txid", manifest.to_txid},
        {"parts", std::move(parts)}};
    const std::string text = json::serialize(whole);
    return text + "\n" + sum_of(text) + "\n";
}

Manifest decode(std::string_view text, const std::string& file) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos ||
        text.substr(end + 1) != sum_of(text.substr(0, end)) + "\n") {
        throw Error{TENON_CORRUPT, file + " is damaged: it does not match its checksum"};
    }
    try {
        const json::value parsed = json::parse({text.data(), end});
        const json::object& whole = parsed.as_object();
        const auto number = [&](const char* key) {
            return whole.at(key).to_number<std::int64_t>();
        };
        Manifest manifest;
        manifest.id = whole.at("id").as_string();
        manifest.label = whole.at("label").as_string();
        manifest.started_ns = number("started_ns");
        manifest.finished_ns = number("finished_ns");
        manifest.from_ns = number("from_ns");
        manifest.to_ns = number("to_ns");
        manifest.from_txid = whole.at("from_txid").to_number<std::uint64_t>();
        manifest.to_txid = whole.at("to_txid").to_number<std::uint64_t>();
        for (const json::value& part : whole.at("parts").as_array()) {
            const json::object& o = part.as_object();
            manifest.parts.push_back(
                {std::string{o.at("name").as_string()},
                 std::string{o.at("file").as_string()},
                 o.at("bytes").to_number<std::uint64_t>(),
                 std::string{o.at("sha256").as_string()}}
            );
        }
        return manifest;
    } catch (const std::exception& e) {
        throw Error{TENON_CORRUPT, file + ": " + e.what()};
    }
}

std::string iso_time(std::int64_t real_ns) {
    const std::time_t seconds = real_ns / k_second;
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    char text[32];
    (void)std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    char fraction[16];
    (void)std::snprintf(
        fraction, sizeof fraction, ".%03dZ", static_cast<int>(real_ns / 1'000'000 % 1000)
    );
    return std::string{text} + fraction;
}

std::int64_t time_of_iso(const std::string& text) {
    std::tm parts{};
    const char* rest = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
    std::int64_t fraction = 0;
    if (rest != nullptr && *rest == '.') {
        std::int64_t unit = k_second / 10;
        for (++rest; *rest >= '0' && *rest <= '9'; ++rest, unit /= 10) {
            fraction += unit * (*rest - '0');
        }
    }
    if (rest == nullptr || std::string_view{rest} != "Z") {
        throw Error{TENON_INVALID, "\"" + text + "\" is no time in UTC as 2026-05-04T03:02:01Z"};
    }
    return std::int64_t{::timegm(&parts)} * k_second + fraction;
}

std::string describe(const Manifest& manifest) {
    json::array pieces;
    for (const Part& part : manifest.parts) {
        pieces.push_back({{"name", part.name}, {"bytes", part.bytes}, {"sha256", part.sha256}});
    }
    return json::serialize(json::object{
        {"id", manifest.id},
        {"kind", "full"},
        {"label", manifest.label},
        {"started_at", iso_time(manifest.started_ns)},
        {"finished_at", iso_time(manifest.finished_ns)},
        {"bytes", manifest.bytes()},
        {"pieces", std::move(pieces)},
        {"from", iso_time(manifest.from_ns)},
        {"to", iso_time(manifest.to_ns)},
        {"from_sequence", manifest.from_txid},
        {"to_sequence", manifest.to_txid},
        {"parent", nullptr},
        {"verified_at", nullptr}});
}

}  // namespace tenon::backup_sqlite
