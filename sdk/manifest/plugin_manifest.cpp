// SPDX-License-Identifier: Apache-2.0
#include "sdk/manifest/plugin_manifest.hpp"

#include "sdk/manifest/json_file.hpp"
#include "sdk/manifest/schema.hpp"

#include <tenon/abi/base.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <gnu/libc-version.h>
#include <sodium/crypto_hash_sha256.h>
#include <sys/stat.h>

namespace tenon::manifest {

namespace {

namespace json = boost::json;
namespace fs = std::filesystem;

#if defined(__aarch64__)
constexpr std::string_view k_platform = "linux-aarch64-glibc";
#else
constexpr std::string_view k_platform = "linux-x86_64-glibc";
#endif

constexpr std::string_view k_schema = R"({
"type":"object","required":["manifest_version","id","version","abi"],"properties":{
 "manifest_version":{"type":"integer"},
 "id":{"type":"string"},"version":{"type":"string"},
 "name":{"type":"string"},"license":{"type":"string"},"description":{"type":"string"},
 "library":{"type":"object","required":["file"],"properties":{
   "file":{"type":"string","minLength":1},
   "sha256":{"type":"string","minLength":64,"maxLength":64},
   "platform":{"type":"string"},"cxx_runtime":{"type":"string"}}},
 "abi":{"type":"object","required":["entry","min"],"properties":{
   "entry":{"type":"integer"},"min":{"type":"string"},
   "draft":{"type":"array","items":{"type":"string"}}}},
 "provides":{"type":"array","items":{"type":"object","required":["interface"],"properties":{
   "interface":{"type":"string"},"name":{"type":"string"},"score":{"type":"integer"},
   "threads":{"type":"string"}}}},
 "requires":{"type":"array","items":{"type":"object","required":["interface"],"properties":{
   "interface":{"type":"string"},"optional":{"type":"boolean"},"many":{"type":"boolean"},
   "as":{"type":"string"}}}},
 "order":{"type":"object","properties":{
   "after":{"type":"array","items":{"type":"string"}},
   "before":{"type":"array","items":{"type":"string"}}}},
 "conflicts":{"type":"array","items":{"type":"string"}},
 "permissions":{"type":"array","items":{"type":"string","minLength":1}},
 "config_schema":{"type":"object"},
 "lifecycle":{"type":"object","properties":{
   "instances":{"type":"string","enum":["one","many"]},
   "reload":{"type":"string","enum":["live","replace","restart"]},
   "heal":{"type":"string","enum":["none","restart"]},
   "start_timeout_ms":{"type":"integer","minimum":1,"maximum":3600000},
   "drain_timeout_ms":{"type":"integer","minimum":0,"maximum":3600000},
   "stop_timeout_ms":{"type":"integer","minimum":1,"maximum":3600000}}},
 "metrics":{"type":"array","items":{"type":"string"}},
 "roles":{"type":"array","items":{"type":"string"}},
 "health":{"type":"object","properties":{"critical":{"type":"boolean"},
   "interval_ms":{"type":"integer"},"stale_ms":{"type":"integer"}}}}})";

bool flag_at(const json::object& object, std::string_view key) {
    const json::value* value = object.if_contains(key);
    return value != nullptr && value->is_bool() && value->get_bool();
}

const json::object& object_at(const json::object& object, std::string_view key) {
    static const json::object k_empty;
    const json::value* value = object.if_contains(key);
    return value != nullptr && value->is_object() ? value->get_object() : k_empty;
}

std::vector<std::string> texts_at(const json::object& object, std::string_view key) {
    std::vector<std::string> out;
    const json::value* value = object.if_contains(key);
    if (value != nullptr && value->is_array()) {
        for (const json::value& item : value->get_array()) {
            if (item.is_string()) {
                out.emplace_back(item.get_string());
            }
        }
    }
    return out;
}

// "linux-x86_64-glibc", or with the version of glibc that the library needs: "…-glibc2.31".
bool runs_here(std::string_view platform) {
    if (!platform.starts_with(k_platform)) {
        return false;
    }
    const std::string_view needed = platform.substr(k_platform.size());
    const auto have = abi_version(::gnu_get_libc_version());
    const auto wanted = abi_version(needed);
    return needed.empty() || (have && wanted && abi_serves(*have, *wanted));
}

class Reader {
public:
    Reader(PluginManifest& out, const json::object& root)
        : out_{&out}, root_{&root}, report_{out.file.string(), out.problems} {}

    void read() {
        identity();
        abi();
        platform();
        interfaces();
        out_->after = texts_at(object_at(*root_, "order"), "after");
        out_->before = texts_at(object_at(*root_, "order"), "before");
        out_->conflicts = texts_at(*root_, "conflicts");
        out_->permissions = texts_at(*root_, "permissions");
        out_->metrics = texts_at(*root_, "metrics");
        out_->critical = flag_at(object_at(*root_, "health"), "critical");
        lifecycle();
        if (const json::value* schema = root_->if_contains("config_schema"); schema != nullptr) {
            out_->schema_usable = check_schema(*schema, "/config_schema", report_);
            if (out_->schema_usable) {
                out_->config_schema = schema->get_object();
            }
        } else {
            out_->config_schema = {{"type", "object"}, {"properties", json::object{}}};
            out_->schema_usable = true;
        }
    }

private:
    void identity() {
        out_->id = text_at(*root_, "id");
        out_->version = text_at(*root_, "version");
        out_->name = text_at(*root_, "name");
        if (const json::value* number = root_->if_contains("manifest_version");
            number != nullptr && *number != 1) {
            report_.add(
                "M05", "/manifest_version", "unsupported manifest version", shown(*number), "1"
            );
        }
        if (!out_->id.empty() && !is_plugin_id(out_->id)) {
            report_.add(
                "M03",
                "/id",
                "not a plugin id",
                "\"" + out_->id + "\"",
                "lower-case words of a-z, 0-9, - with dots between, as in org.example.cache"
            );
        }
        if (!out_->version.empty() && !is_semver(out_->version)) {
            report_.add("M04", "/version", "not a version", "\"" + out_->version + "\"", "1.2.3");
        }
    }

    void abi() {
        const json::object& abi = object_at(*root_, "abi");
        if (const json::value* entry = abi.if_contains("entry"); entry != nullptr && *entry != 1) {
            report_.add("M06", "/abi/entry", "unknown entry revision", shown(*entry), "1");
        }
        constexpr AbiVersion k_host{TENON_ABI_MAJOR, TENON_ABI_MINOR};
        const std::string host = std::to_string(k_host.major) + "." + std::to_string(k_host.minor);
        const std::string wanted = text_at(abi, "min");
        const auto min = abi_version(wanted);
        if (!min) {
            report_.add(
                "M06",
                "/abi/min",
                "not an ABI version",
                "\"" + wanted + "\"",
                "MAJOR.MINOR, as in " + host
            );
        } else if (!abi_serves(k_host, *min)) {
            report_.add(
                "M06",
                "/abi/min",
                "needs ABI " + wanted + ", this host provides " + host,
                "\"" + wanted + "\"",
                "from " + std::to_string(k_host.major) + ".0 to " + host
            );
        }
        out_->drafts = texts_at(abi, "draft");
        for (std::size_t i = 0; i < out_->drafts.size(); ++i) {
            interface_id(out_->drafts[i], pointer_to("/abi/draft", i));
        }
        // A draft changes without notice, so no later host will do either.
        if (!out_->drafts.empty() && min && *min != k_host) {
            report_.add(
                "M15",
                "/abi/min",
                "uses draft interfaces, which bind it to one host ABI",
                "\"" + wanted + "\"",
                "\"" + host + "\""
            );
        }
    }

    void platform() {
        const json::object& library = object_at(*root_, "library");
        const fs::path folder = out_->file.parent_path();
        std::string file = text_at(library, "file");
        if (file.empty()) {
            file = folder.filename().string() + ".so";
        }
        out_->library = folder / file;
        out_->sha256 = text_at(library, "sha256");
        out_->platform = text_at(library, "platform");
        if (!out_->platform.empty() && !runs_here(out_->platform)) {
            report_.add(
                "M07",
                "/library/platform",
                "built for another platform",
                out_->platform,
                std::string{k_platform} + " with a version up to " + ::gnu_get_libc_version()
            );
        }
    }

    void interfaces() {
        const json::value* provides = root_->if_contains("provides");
        for (std::size_t i = 0; provides != nullptr && i < provides->get_array().size(); ++i) {
            const json::object& item = provides->get_array()[i].get_object();
            const json::value* score = item.if_contains("score");
            out_->provides.push_back(
                {text_at(item, "interface"), score == nullptr ? 0 : score->get_int64()}
            );
            interface_id(
                out_->provides.back().interface_id,
                pointer_to(pointer_to("/provides", i), "interface")
            );
        }
        const json::value* requires_list = root_->if_contains("requires");
        for (std::size_t i = 0; requires_list != nullptr && i < requires_list->get_array().size();
             ++i) {
            const json::object& item = requires_list->get_array()[i].get_object();
            Requirement requirement;
            requirement.interface_id = text_at(item, "interface");
            requirement.as = text_at(item, "as");
            requirement.optional = flag_at(item, "optional");
            requirement.many = flag_at(item, "many");
            if (requirement.as.empty()) {
                requirement.as = requirement.interface_id;
            }
            interface_id(
                requirement.interface_id, pointer_to(pointer_to("/requires", i), "interface")
            );
            out_->requirements.push_back(std::move(requirement));
        }
    }

    void interface_id(const std::string& id, std::string pointer) {
        if (!is_interface_id(id)) {
            report_.add(
                "M03",
                std::move(pointer),
                "not an interface id",
                "\"" + id + "\"",
                "NAME/REVISION, as in tenon.storage/1"
            );
        }
    }

    void lifecycle() {
        const json::object& lifecycle = object_at(*root_, "lifecycle");
        out_->single_instance = text_at(lifecycle, "instances") == "one";
        out_->heals = text_at(lifecycle, "heal") == "restart";
        out_->replaceable = text_at(lifecycle, "reload") == "replace";
        for (const auto& [key, to] :
             {std::pair{"start_timeout_ms", &out_->start_timeout_ms},
              std::pair{"drain_timeout_ms", &out_->drain_timeout_ms},
              std::pair{"stop_timeout_ms", &out_->stop_timeout_ms}}) {
            if (const json::value* ms = lifecycle.if_contains(key); ms != nullptr) {
                *to = ms->to_number<std::int64_t>();
            }
        }
    }

    PluginManifest* out_;
    const json::object* root_;
    Report report_;
};

using Digest = std::array<unsigned char, crypto_hash_sha256_BYTES>;

std::string hex(const Digest& digest) {
    constexpr std::string_view k_digits = "0123456789abcdef";
    std::string text;
    for (const unsigned char byte : digest) {
        text.push_back(k_digits[byte >> 4U]);
        text.push_back(k_digits[byte & 15U]);
    }
    return text;
}

std::string hash_file(const fs::path& file, std::string& error) {
    std::ifstream in{file, std::ios::binary};
    if (!in) {
        error = std::strerror(errno);
        return {};
    }
    crypto_hash_sha256_state state;
    crypto_hash_sha256_init(&state);
    std::array<char, 65536> block{};
    while (in) {
        in.read(block.data(), static_cast<std::streamsize>(block.size()));
        crypto_hash_sha256_update(
            &state,
            reinterpret_cast<const unsigned char*>(block.data()),
            static_cast<unsigned long long>(in.gcount())
        );
    }
    Digest digest{};
    crypto_hash_sha256_final(&state, digest.data());
    return hex(digest);
}

bool is_inside(const fs::path& file, const std::vector<fs::path>& folders) {
    std::error_code ec;
    const fs::path real = fs::canonical(file, ec);
    return std::any_of(folders.begin(), folders.end(), [&](const fs::path& folder) {
        std::error_code inner;
        const fs::path base = fs::canonical(folder, inner);
        return !inner && std::mismatch(base.begin(), base.end(), real.begin(), real.end()).first ==
                             base.end();
    });
}

}  // namespace

const Requirement* PluginManifest::requirement(std::string_view interface_id) const {
    const auto found = std::find_if(requirements.begin(), requirements.end(), [&](const auto& r) {
        return r.interface_id == interface_id;
    });
    return found == requirements.end() ? nullptr : &*found;
}

bool PluginManifest::offers(std::string_view interface_id) const {
    return std::any_of(provides.begin(), provides.end(), [&](const Provision& provision) {
        return provision.interface_id == interface_id;
    });
}

PluginManifest read_plugin_manifest(const fs::path& file) {
    static const json::value k_parsed = json::parse(k_schema);
    PluginManifest manifest;
    manifest.file = file;
    Report report{file.string(), manifest.problems};
    auto document = read_json_file(file, report);
    if (!document) {
        return manifest;
    }
    SchemaRules rules;
    rules.code = "M02";
    rules.extensions = true;
    validate(k_parsed.get_object(), *document, "", rules, report);
    const bool shape = std::none_of(
        manifest.problems.begin(),
        manifest.problems.end(),
        [](const Problem& problem) { return problem.code == "M02"; }
    );
    if (shape) {
        Reader{manifest, document->get_object()}.read();
    } else if (document->is_object()) {
        manifest.id = text_at(document->get_object(), "id");
    }
    return manifest;
}

std::string check_library(
    const PluginManifest& manifest,
    const std::vector<fs::path>& plugin_path,
    Report& report
) {
    const std::string pointer = "/library/file";

    struct stat info {};

    if (::stat(manifest.library.c_str(), &info) != 0) {
        report.add(
            "M09",
            pointer,
            "the library cannot be read",
            manifest.library.string() + ": " + std::strerror(errno),
            "a file beside plugin.json"
        );
        return {};
    }
    if (!S_ISREG(info.st_mode)) {
        report.add("M09", pointer, "not a regular file", manifest.library.string(), "a library");
        return {};
    }
    if (!is_inside(manifest.library, plugin_path)) {
        report.add(
            "M09", pointer, "outside of the plugin path", manifest.library.string(), "inside"
        );
    }
    if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        report.add(
            "M09",
            pointer,
            "others than its owner can change the library",
            "group- or world-writable " + manifest.library.string(),
            "writable by its owner alone (chmod go-w)"
        );
    }
    std::string error;
    std::string found = hash_file(manifest.library, error);
    if (!manifest.sha256.empty() && found != manifest.sha256) {
        report.add(
            "M08",
            "/library/sha256",
            "the library is not the one of the manifest",
            found.empty() ? error : found,
            manifest.sha256
        );
    }
    return found;
}

std::string sha256_of(std::string_view text) {
    Digest digest{};
    crypto_hash_sha256(
        digest.data(), reinterpret_cast<const unsigned char*>(text.data()), text.size()
    );
    return hex(digest);
}

json::object digest(const json::array& list) {
    const std::string text = json::serialize(list);
    return {{"count", list.size()}, {"bytes", text.size()}, {"sha256", sha256_of(text)}};
}

std::vector<PluginManifest> discover(const std::vector<fs::path>& plugin_path, Report& report) {
    std::vector<PluginManifest> found;
    for (const fs::path& folder : plugin_path) {
        std::error_code ec;
        std::vector<fs::path> files;
        for (const auto& entry : fs::directory_iterator{folder, ec}) {
            std::error_code none;
            if (fs::path file = entry.path() / "plugin.json"; fs::exists(file, none)) {
                files.push_back(std::move(file));
            }
        }
        if (ec && files.empty()) {
            report.add(
                "M09",
                "/plugin_path",
                "the plugin folder cannot be read",
                folder.string() + ": " + ec.message(),
                "a folder with NAME/plugin.json"
            );
        }
        std::sort(files.begin(), files.end());
        for (const fs::path& file : files) {
            found.push_back(read_plugin_manifest(file));
        }
    }
    return found;
}

}  // namespace tenon::manifest
