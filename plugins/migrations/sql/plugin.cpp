// SPDX-License-Identifier: Apache-2.0
#include "plugins/migrations/sql/lint.hpp"
#include "plugins/migrations/sql/migrator.hpp"
#include "plugins/migrations/sql/rehearsal.hpp"

#include <tenon/admin.hpp>
#include <tenon/migrations.hpp>

#include <boost/json.hpp>

#include <array>
#include <atomic>
#include <cstdlib>
#include <unistd.h>

namespace tenon::migrations {
namespace {

namespace json = boost::json;

json::value entry(const char* severity, const std::string& message) {
    return json::object{{"severity", severity}, {"message", message}};
}

json::object entry(const Finding& finding) {
    return {
        {"severity", finding.error ? "error" : "warning"},
        {"rule", finding.rule},
        {"file", finding.file},
        {"line", finding.line},
        {"message", finding.message}};
}

class MigrationsPlugin final : public Plugin, public Migrations {
public:
    explicit MigrationsPlugin(const tenon_host* host) : Plugin{host} { provide<Migrations>(this); }

    void configure(std::string_view text, bool dry_run) override {
        const json::object o = json::parse({text.data(), text.size()}).as_object();
        if (dry_run) {
            return;
        }
        folder_ = std::string{o.at("folder").as_string()};
        up_at_start_ = o.at("up_at_start").as_bool();
        with_commands_ = o.at("commands").as_bool();
        const auto ns = [&](std::string_view key) {
            return o.at(key).to_number<std::int64_t>() * 1'000'000;
        };
        options_.run.lock_timeout_ns = ns("lock_timeout_ms");
        options_.run.ddl_lock_timeout_ns = ns("ddl_lock_timeout_ms");
        options_.run.ddl_attempts = o.at("ddl_attempts").to_number<std::uint32_t>();
    }

    void start() override {
        try {
            begin();
        } catch (...) {
            stop();
            throw;
        }
    }

    void stop() noexcept override {
        commands_.clear();
        storage_ = {};
    }

    std::uint32_t version() const noexcept override { return version_.load(); }

    std::string report() override { return migrator().report(); }

private:
    void begin() {
        storage_ = Storage{host().require<tenon_storage_1>("tenon.storage/1")};
        path_ =
            folder_.front() == '/' ? folder_ : host().environment("deployment_dir") + "/" + folder_;
        options_.writer.app_version = host().environment("version");
        options_.writer.host = host_name();
        if (with_commands_) {
            add_commands();
        }
        // `tenon migrate` starts a server for its commands alone: they decide what is done, and
        // work where a start would be refused.
        const char* by_command = std::getenv("TENON_MIGRATE_BY_COMMAND");
        if (by_command != nullptr && std::string_view{by_command} == "1") {
            host().log().warn("schema_not_compared", {{"by", "TENON_MIGRATE_BY_COMMAND"}});
            return;
        }
        Migrator migrator = this->migrator();
        if (up_at_start_) {
            UpRequest request;
            request.stop_at_contract = true;
            migrator.up(request);
        } else {
            migrator.verify();
        }
        version_ = migrator.version();
        host().log().info(
            "schema_ready", {{"version", migrator.version()}, {"latest", migrator.latest()}}
        );
    }

    static std::string host_name() {
        std::array<char, 256> name{};
        return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "unknown";
    }

    // With the files as they are now.
    [[nodiscard]] Migrator migrator() {
        if (!storage_) {
            throw Error{TENON_UNAVAILABLE, "migrations are not started"};
        }
        return {
            storage_,
            host().service<tenon_clock_1>("tenon.clock/1"),
            host().log(),
            load_migrations(path_, storage_.dialect()),
            options_};
    }

    // What a command does to the schema; gives the report of what is there then.
    template <class Work>
    std::string changed(Work&& work) {
        Migrator migrator = this->migrator();
        work(migrator);
        std::string report = migrator.report();
        version_ = migrator.version();
        return report;
    }

    static std::uint32_t version_of(const Settings& args) {
        if (!args.has("to")) {
            throw Error{TENON_INVALID, "/to: expected a version, from 0"};
        }
        return args.get<std::uint32_t>("to");
    }

    static UpRequest up_of(const Settings& args) {
        UpRequest request;
        if (args.has("to")) {
            request.to = version_of(args);
        }
        request.allow_contract = args.get("allow_contract", false);
        return request;
    }

    std::string go_to(const Settings& args) {
        return changed([&](Migrator& m) {
            const std::uint32_t to = version_of(args);
            const HistoryState now = m.state();
            if (to < now.applied.size()) {
                m.down(to, args.get("confirm", false));
            } else {
                m.up(up_of(args));
            }
        });
    }

    // Everything that is wrong, and not only the first of it.
    std::string verify() {
        json::array problems;
        json::array findings;
        bool ok = true;
        try {
            Migrator migrator = this->migrator();
            std::vector<std::string> warnings;
            for (const std::string& fault : migrator.faults(warnings)) {
                problems.push_back(entry("error", fault));
            }
            ok = problems.empty();
            for (const std::string& warning : warnings) {
                problems.push_back(entry("warning", warning));
            }
            for (const Finding& finding : lint(migrator.migrations())) {
                ok = ok && !finding.error;
                findings.push_back(entry(finding));
            }
        } catch (const Error& e) {
            ok = false;
            problems.push_back(entry("error", e.what()));
        }
        return json::serialize(json::object{
            {"ok", ok}, {"problems", std::move(problems)}, {"lint", std::move(findings)}});
    }

    std::string baseline(const Settings& args) {
        return changed([&](Migrator& m) {
            const std::uint32_t to = version_of(args);
            m.baseline(to, expected_schema(m, to), args.get<std::string>("reason", ""));
        });
    }

    void add_commands() {
        commands_.open(host());
        commands_.add(
            "migrate.status",
            "{}: versions of the schema, applied and pending, half-done work, repairs",
            [this](const Settings&) { return report(); }
        );
        commands_.add(
            "migrate.up",
            R"({"to":N?,"allow_contract":bool}: apply what is pending)",
            [this](const Settings& args) {
                return changed([&](Migrator& m) { m.up(up_of(args)); });
            }
        );
        commands_.add(
            "migrate.down",
            R"({"to":N,"confirm":bool}: take back versions above N)",
            [this](const Settings& args) {
                return changed([&](Migrator& m) {
                    m.down(version_of(args), args.get("confirm", false));
                });
            }
        );
        commands_.add(
            "migrate.to",
            R"({"to":N,"confirm":bool,"allow_contract":bool}: up or down to version N)",
            [this](const Settings& args) { return go_to(args); }
        );
        commands_.add(
            "migrate.verify",
            "{}: history against files, the files' chain, dangerous statements",
            [this](const Settings&) { return verify(); }
        );
        add_rare_commands();
    }

    void add_rare_commands() {
        commands_.add(
            "migrate.dry-run",
            R"({"to":N?,"allow_contract":bool}: up and down on a clone: time, locks, rewrites)",
            [this](const Settings& args) {
                Migrator m = migrator();
                return dry_run(m, up_of(args));
            }
        );
        commands_.add(
            "migrate.drift",
            "{}: the database's objects against what the files give",
            [this](const Settings&) {
                Migrator m = migrator();
                return drift(m);
            }
        );
        commands_.add(
            "migrate.repair",
            R"({"action":"accept|forget","version":N,"reason":"…"}: mend the history)",
            [this](const Settings& args) {
                return changed([&](Migrator& m) {
                    m.repair(
                        args.get<std::string>("action", ""),
                        args.get<std::uint32_t>("version"),
                        args.get<std::string>("reason", "")
                    );
                });
            }
        );
        commands_.add(
            "migrate.baseline",
            R"({"to":N,"reason":"…"}: record versions up to N as applied, where the schema is theirs)",
            [this](const Settings& args) { return baseline(args); }
        );
    }

    std::string folder_;
    std::string path_;
    bool up_at_start_ = true;
    bool with_commands_ = true;
    MigratorOptions options_;
    Storage storage_;
    std::atomic<std::uint32_t> version_{0};
    AdminCommands commands_;
};

}  // namespace
}  // namespace tenon::migrations

TENON_EXPORT_PLUGIN(tenon::migrations::MigrationsPlugin)
