// SPDX-License-Identifier: Apache-2.0
#include "sdk/vault/manifest.hpp"

#include "sdk/capture/format.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <sodium.h>

namespace tenon::vault {
namespace {

namespace json = boost::json;
constexpr std::int64_t k_second = 1'000'000'000;

std::string sum_line(std::string_view text, const Key* key) {
    const auto* const bytes = reinterpret_cast<const unsigned char*>(text.data());
    if (key == nullptr) {
        return "sha256 " + capture::hex_of(capture::hash_of({bytes, text.size()}));
    }
    const auto derived = key->derived("manifest");
    capture::Hash sum{};
    (void
    )crypto_generichash(sum.data(), sum.size(), bytes, text.size(), derived.data(), derived.size());
    return "blake2b " + key->name() + " " + capture::hex_of(sum);
}

std::string with_sum(const json::object& whole, const Key* key) {
    const std::string text = json::serialize(whole);
    return text + "\n" + sum_line(text, key) + "\n";
}

json::object checked(std::string_view text, const Key* key, const std::string& where) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) {
        throw Error{TENON_CORRUPT, where + " is damaged: it is cut short"};
    }
    const std::string_view sum = text.substr(end + 1);
    if (sum.starts_with("blake2b ") && sum.size() > 24) {
        const std::string_view id = sum.substr(8, 16);
        if (key == nullptr || id != key->name()) {
            throw Error{
                TENON_DENIED,
                where + " was made under the key " + std::string{id} + ", " +
                    (key == nullptr ? "and no key is set" : "not under " + key->name())};
        }
    } else if (key != nullptr) {
        // Anybody who can write there could have made it.
        throw Error{
            TENON_DENIED,
            where + " was made without a key, and one is set: restore it with none, and give a " +
                "key a folder or prefix of its own"};
    }
    if (sum != sum_line(text.substr(0, end), key) + "\n") {
        throw Error{TENON_CORRUPT, where + " is damaged: it does not match its checksum"};
    }
    try {
        return json::parse({text.data(), end}).as_object();
    } catch (const std::exception& e) {
        throw Error{TENON_CORRUPT, where + ": " + e.what()};
    }
}

// fn() with what is missing or of another type as TENON_CORRUPT.
template <class Read>
auto reading(const std::string& where, Read&& fn) {
    try {
        return fn();
    } catch (const boost::system::system_error& e) {
        throw Error{TENON_CORRUPT, where + ": " + e.what()};
    } catch (const std::out_of_range& e) {
        throw Error{TENON_CORRUPT, where + ": " + e.what()};
    } catch (const std::invalid_argument& e) {
        throw Error{TENON_CORRUPT, where + ": " + e.what()};
    }
}

std::int64_t number(const json::object& from, const char* key) {
    return from.at(key).to_number<std::int64_t>();
}

std::string text_of(const json::object& from, const char* key) {
    return std::string{from.at(key).as_string()};
}

json::value time_or_null(std::int64_t real_ns) {
    return real_ns == 0 ? json::value(nullptr) : json::value(iso_time(real_ns));
}

}  // namespace

std::uint64_t Manifest::bytes() const noexcept {
    std::uint64_t sum = 0;
    for (const File& file : files) {
        sum += file.bytes;
    }
    return sum;
}

std::string encode(const Manifest& manifest, const Key* key) {
    json::array files;
    for (const File& file : manifest.files) {
        json::array pieces;
        for (const Ref& piece : file.pieces) {
            pieces.push_back(json::array{piece.sum, piece.bytes});
        }
        files.push_back({{"name", file.name}, {"bytes", file.bytes}, {"pieces", std::move(pieces)}}
        );
    }
    return with_sum(
        {{"format", 1},
         {"id", manifest.id},
         {"kind", manifest.kind},
         {"label", manifest.label},
         {"started_ns", manifest.started_ns},
         {"finished_ns", manifest.finished_ns},
         {"from_ns", manifest.from_ns},
         {"to_ns", manifest.to_ns},
         {"about", manifest.about},
         {"files", std::move(files)}},
        key
    );
}

Manifest decode_manifest(std::string_view text, const Key* key, const std::string& where) {
    const json::object whole = checked(text, key, where);
    return reading(where, [&] {
        if (number(whole, "format") != 1) {
            throw Error{TENON_UNSUPPORTED, where + " is of a later release"};
        }
        Manifest manifest;
        manifest.id = text_of(whole, "id");
        manifest.kind = text_of(whole, "kind");
        manifest.label = text_of(whole, "label");
        manifest.started_ns = number(whole, "started_ns");
        manifest.finished_ns = number(whole, "finished_ns");
        manifest.from_ns = number(whole, "from_ns");
        manifest.to_ns = number(whole, "to_ns");
        manifest.about = whole.at("about").as_object();
        for (const json::value& one : whole.at("files").as_array()) {
            const json::object& from = one.as_object();
            File file;
            file.name = text_of(from, "name");
            file.bytes = from.at("bytes").to_number<std::uint64_t>();
            for (const json::value& piece : from.at("pieces").as_array()) {
                const json::array& pair = piece.as_array();
                file.pieces.push_back(
                    {std::string{pair.at(0).as_string()}, pair.at(1).to_number<std::uint32_t>()}
                );
            }
            manifest.files.push_back(std::move(file));
        }
        return manifest;
    });
}

std::string encode(const Proof& proof, const Key* key) {
    return with_sum(
        {{"format", 1},
         {"proven_ns", proof.proven_ns},
         {"failed_ns", proof.failed_ns},
         {"reason", proof.reason},
         {"about", proof.about}},
        key
    );
}

Proof decode_proof(std::string_view text, const Key* key, const std::string& where) {
    const json::object whole = checked(text, key, where);
    return reading(where, [&] {
        Proof proof;
        proof.proven_ns = number(whole, "proven_ns");
        proof.failed_ns = number(whole, "failed_ns");
        proof.reason = text_of(whole, "reason");
        proof.about = whole.at("about").as_object();
        return proof;
    });
}

json::object describe(const Manifest& manifest, const Proof& proof) {
    json::array files;
    for (const File& file : manifest.files) {
        files.push_back(
            {{"name", file.name}, {"bytes", file.bytes}, {"objects", file.pieces.size()}}
        );
    }
    json::object made{
        {"id", manifest.id},
        {"kind", manifest.kind},
        {"label", manifest.label},
        {"started_at", iso_time(manifest.started_ns)},
        {"finished_at", iso_time(manifest.finished_ns)},
        {"bytes", manifest.bytes()},
        {"pieces", std::move(files)},
        {"from", iso_time(manifest.from_ns)},
        {"to", iso_time(manifest.to_ns)},
        {"parent", nullptr},
        {"verified_at", time_or_null(proof.is_proven() ? proof.proven_ns : 0)},
        {"proven_at", time_or_null(proof.is_proven() ? proof.proven_ns : 0)},
        {"failed",
         proof.failed_ns == 0 ? json::value(nullptr) : json::value(json::string(proof.reason))}};
    for (const auto& [name, value] : manifest.about) {
        made[name] = value;
    }
    return made;
}

std::string iso_time(std::int64_t real_ns) {
    std::time_t seconds = real_ns / k_second;
    std::int64_t rest = real_ns % k_second;
    if (rest < 0) {  // before 1970
        rest += k_second;
        --seconds;
    }
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    char text[32];
    (void)std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    char fraction[16];
    (void)std::snprintf(fraction, sizeof fraction, ".%03dZ", static_cast<int>(rest / 1'000'000));
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
    std::int64_t time = 0;
    if (__builtin_mul_overflow(std::int64_t{::timegm(&parts)}, k_second, &time) ||
        __builtin_add_overflow(time, fraction, &time)) {
        throw Error{TENON_INVALID, "\"" + text + "\" is not a time from 1678 to 2261"};
    }
    return time;
}

std::string id_of_time(std::int64_t real_ns) {
    std::string id = iso_time(real_ns);
    std::erase_if(id, [](char c) { return c == ':' || c == '-'; });
    return id;
}

bool is_id(std::string_view id) noexcept {
    return !id.empty() && id.size() <= 64 && id.front() != '.' &&
           std::all_of(id.begin(), id.end(), [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                      c == '.' || c == '_' || c == '-';
           });
}

}  // namespace tenon::vault
