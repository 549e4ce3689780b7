// SPDX-License-Identifier: Apache-2.0
#include "tools/cli/plugin_new.hpp"

#include "sdk/manifest/plugin_manifest.hpp"
#include "tools/cli/admin_client.hpp"

#include <boost/json/array.hpp>
#include <catch2/catch.hpp>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <unistd.h>

using namespace tenon::cli;
namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

fs::path templates() {
    const char* const source = std::getenv("TENON_SOURCE_DIR");
    REQUIRE(source != nullptr);
    return fs::path{source} / "sdk" / "templates";
}

class Folder {
public:
    Folder() {
        std::string name = (fs::temp_directory_path() / "tenon-new-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path_ = name;
    }

    ~Folder() {
        std::error_code ec;
        fs::remove_all(path_, ec);
    }

    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    [[nodiscard]] const fs::path& path() const { return path_; }

private:
    fs::path path_;
};

std::string text_of(const fs::path& file) {
    std::ifstream in{file};
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

NewPlugin parsed(std::vector<std::string> words) {
    words.insert(words.begin(), {"plugin", "new"});
    return new_plugin_of(parse_arguments(words));
}

std::string refusal(const std::vector<std::string>& words) {
    try {
        (void)parsed(words);
    } catch (const UsageError& e) {
        return e.what();
    }
    return {};
}

// A name of the "@name@" sort that nothing filled in.
bool has_placeholder(const std::string& text) {
    for (auto at = text.find('@'); at != std::string::npos; at = text.find('@', at + 1)) {
        const auto end = text.find_first_not_of("abcdefghijklmnopqrstuvwxyz_", at + 1);
        if (end != std::string::npos && end > at + 1 && text[end] == '@') {
            return true;
        }
    }
    return false;
}

}  // namespace

TEST_CASE("plugin new takes a kind and a name, and defaults the rest", "[cli][plugin][K4]") {
    const NewPlugin plain = parsed({"cache-tier", "my-cache"});
    CHECK(plain.kind == "cache-tier");
    CHECK(plain.name == "my-cache");
    CHECK(plain.language == "c++");
    CHECK(plain.id == "org.example.my-cache");
    CHECK(plain.folder == "my-cache");
    const NewPlugin chosen =
        parsed({"feed", "f", "--language", "c", "--id", "com.acme.f", "--dir", "x/y"});
    CHECK(chosen.language == "c");
    CHECK(chosen.id == "com.acme.f");
    CHECK(chosen.folder == "x/y");
}

TEST_CASE("plugin new says what is wrong with its words", "[cli][plugin][K4]") {
    CHECK(refusal({}).find("usage: tenon plugin new KIND NAME") != std::string::npos);
    CHECK(refusal({"plain"}).find("usage:") != std::string::npos);
    for (const char* name : {"", "My", "1a", "a_b", "a b", "../a", "a-", "-a"}) {
        INFO(name);
        const std::string said = refusal({"plain", name});
        CHECK_FALSE(said.empty());
    }
    CHECK(refusal({"plain", "My"}).find("M03 not a plugin name: found \"My\"") == 0);
    CHECK(refusal({"plain", std::string(65, 'a')}).find("M03") == 0);
    CHECK(refusal({"plain", std::string(64, 'a')}).empty());
    CHECK(refusal({"plain", "a", "--id", "one"}).find("M03 not a plugin id: found \"one\"") == 0);
    CHECK(
        refusal({"plain", "a", "--language", "rust"}).find("expected c or c++") != std::string::npos
    );
    CHECK(refusal({"plain", "a", "--folder", "x"}).find("unknown option --folder") == 0);
    CHECK(refusal({"plain", "a", "--id"}).find("--id needs one value") == 0);
}

TEST_CASE("placeholders are filled, other signs stay", "[cli][plugin][K4]") {
    const Placeholders values{{"name", "x"}, {"id", "a.b"}};
    CHECK(fill("@name@ @id@@name@", values) == "x a.bx");
    CHECK(fill("me@home @name @ @other@ @name@@", values) == "me@home @name @ @other@ x@");
    CHECK(fill("", values).empty());
}

TEST_CASE("every kind gives a whole project with a good manifest", "[cli][plugin][K4]") {
    const Folder folder;
    for (const std::string& kind : plugin_kinds(templates())) {
        for (const std::string language : {"c", "c++"}) {
            INFO(kind << " in " << language);
            const fs::path target = folder.path() / (kind + language);
            const json::object made = write_plugin(
                {kind, "some-name", language, "org.example.some-name", target}, templates()
            );
            CHECK(made.at("folder").as_string() == target.string());
            const std::string source = language == "c" ? "plugin.c" : "plugin.cpp";
            for (const std::string& file :
                 {std::string{"CMakeLists.txt"},
                  std::string{"README.md"},
                  std::string{".gitignore"},
                  std::string{"plugin.json"},
                  source}) {
                INFO(file);
                CHECK(fs::is_regular_file(target / file));
            }
            for (const json::value& file : made.at("files").as_array()) {
                const fs::path name{std::string{file.as_string()}};
                INFO(name);
                CHECK_FALSE(has_placeholder(text_of(target / name)));
            }
            CHECK_FALSE(fs::exists(target / "kind.json"));
            const auto manifest = tenon::manifest::read_plugin_manifest(target / "plugin.json");
            for (const auto& problem : manifest.problems) {
                INFO(tenon::manifest::to_text(problem));
                CHECK(problem.code.empty());
            }
            CHECK(manifest.id == "org.example.some-name");
            CHECK(manifest.schema_usable);
        }
    }
}

TEST_CASE("plugin new overwrites nothing and leaves nothing half done", "[cli][plugin][K4]") {
    const Folder folder;
    const NewPlugin wanted{"plain", "p", "c++", "org.example.p", folder.path() / "p"};
    (void)write_plugin(wanted, templates());
    const std::string before = text_of(wanted.folder / "README.md");
    std::ofstream{wanted.folder / "README.md"} << "mine";
    CHECK_THROWS_AS(write_plugin(wanted, templates()), CommandFailed);
    CHECK(text_of(wanted.folder / "README.md") == "mine");

    std::ofstream{folder.path() / "file"} << "x";
    NewPlugin onto_file = wanted;
    onto_file.folder = folder.path() / "file";
    CHECK_THROWS_AS(write_plugin(onto_file, templates()), CommandFailed);

    NewPlugin into_empty = wanted;
    into_empty.folder = folder.path() / "empty";
    fs::create_directory(into_empty.folder);
    (void)write_plugin(into_empty, templates());
    CHECK(text_of(into_empty.folder / "README.md") == before);

    NewPlugin unknown = wanted;
    unknown.kind = "plian";
    unknown.folder = folder.path() / "u";
    CHECK_THROWS_WITH(write_plugin(unknown, templates()), Catch::Contains("did you mean plain?"));
    unknown.kind = "plain";
    CHECK_THROWS_AS(write_plugin(unknown, folder.path()), CommandFailed);
    CHECK_FALSE(fs::exists(unknown.folder));
    for (const auto& entry : fs::directory_iterator{folder.path()}) {
        CHECK(entry.path().extension() != ".tenon-new");
    }
}
