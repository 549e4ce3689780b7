// SPDX-License-Identifier: Apache-2.0
#include "plugins/backup/postgres/manifest.hpp"

#include <boost/json.hpp>

#include <cstdio>
#include <ctime>

namespace tenon::backup_postgres {
namespace {

namespace json = boost::json;
constexpr std::int64_t k_second = 1'000'000'000;

}  // namespace

std::uint64_t Manifest::bytes() const noexcept {
    std::uint64_t sum = 0;
    for (const BasePiece& piece : pieces) {
        sum += piece.bytes;
    }
    return sum;
}

std::string encode(const Manifest& manifest) {
    json::array pieces;
    for (const BasePiece& piece : manifest.pieces) {
        pieces.push_back({{"name", piece.name}, {"bytes", piece.bytes}, {"sha256", piece.sha256}});
    }
    return json::serialize(json::object{
        {"format", 1},
        {"id", manifest.id},
        {"label", manifest.label},
        {"system", manifest.system},
        {"server_version", manifest.server_version},
        {"timeline", manifest.timeline},
        {"start", lsn_text(manifest.start)},
        {"end", lsn_text(manifest.end)},
        {"started_ns", manifest.started_ns},
        {"finished_ns", manifest.finished_ns},
        {"order", manifest.order},
        {"superuser", manifest.superuser},
        {"pieces", std::move(pieces)}});
}

Manifest decode(std::string_view text, const std::string& piece) {
    try {
        const json::value parsed = json::parse({text.data(), text.size()});
        const json::object& whole = parsed.as_object();
        const auto word = [&](const char* key) { return std::string{whole.at(key).as_string()}; };
        const auto number = [&](const char* key) {
            return whole.at(key).to_number<std::int64_t>();
        };
        Manifest manifest;
        manifest.id = word("id");
        manifest.label = word("label");
        manifest.system = word("system");
        manifest.server_version = static_cast<int>(number("server_version"));
        manifest.timeline = static_cast<Timeline>(number("timeline"));
        manifest.start = lsn_of(word("start"));
        manifest.end = lsn_of(word("end"));
        manifest.started_ns = number("started_ns");
        manifest.finished_ns = number("finished_ns");
        manifest.order = number("order");
        manifest.superuser = word("superuser");
        for (const json::value& one : whole.at("pieces").as_array()) {
            manifest.pieces.push_back(
                {std::string{one.at("name").as_string()},
                 one.at("bytes").to_number<std::uint64_t>(),
                 std::string{one.at("sha256").as_string()}}
            );
        }
        return manifest;
    } catch (const std::exception& e) {
        throw Error{TENON_CORRUPT, "the piece " + piece + " is no backup: " + e.what()};
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
        fraction, sizeof fraction, ".%06dZ", static_cast<int>(real_ns / 1'000 % 1'000'000)
    );
    return std::string{text} + fraction;
}

std::string describe(const Manifest& manifest, std::int64_t to_real_ns) {
    json::array pieces;
    for (const BasePiece& piece : manifest.pieces) {
        pieces.push_back({{"name", piece.name}, {"bytes", piece.bytes}, {"sha256", piece.sha256}});
    }
    const auto time = [](std::int64_t real_ns) {
        return real_ns == 0 ? json::value(nullptr) : json::value(iso_time(real_ns));
    };
    return json::serialize(json::object{
        {"id", manifest.id},
        {"kind", "full"},
        {"label", manifest.label},
        {"started_at", iso_time(manifest.started_ns)},
        {"finished_at", iso_time(manifest.finished_ns)},
        {"bytes", manifest.bytes()},
        {"pieces", std::move(pieces)},
        {"from", iso_time(manifest.finished_ns)},
        {"to", time(to_real_ns)},
        {"from_position", lsn_text(manifest.end)},
        {"timeline", manifest.timeline},
        {"parent", nullptr},
        {"verified_at", time(manifest.proven_ns)}});
}

}  // namespace tenon::backup_postgres
