// SPDX-License-Identifier: Apache-2.0
#include "plugins/migrations/sql/migrator.hpp"

#include <tenon/admin.hpp>
#include <tenon/migrations.hpp>

#include <boost/json.hpp>

#include <array>
#include <unistd.h>

namespace tenon::migrations {
namespace {

class MigrationsPlugin final : public Plugin, public Migrations {
public:
    explicit MigrationsPlugin(const tenon_host* host) : Plugin{host} { provide<Migrations>(this); }

    void configure(std::string_view json, bool dry_run) override {
        const boost::json::object o = boost::json::parse({json.data(), json.size()}).as_object();
        if (!dry_run) {
            folder_ = std::string{o.at("folder").as_string()};
            up_at_start_ = o.at("up_at_start").as_bool();
            lock_timeout_ns_ = o.at("lock_timeout_ms").to_number<std::int64_t>() * 1'000'000;
        }
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
        migrator_.reset();
    }

    std::uint32_t version() const noexcept override { return migrator_ ? migrator_->version() : 0; }

    std::string report() override { return migrator().report(); }

private:
    void begin() {
        const Storage storage{host().require<tenon_storage_1>("tenon.storage/1")};
        std::string folder = folder_;
        if (folder.front() != '/') {
            folder = host().environment("deployment_dir") + "/" + folder;
        }
        MigratorOptions options;
        options.lock_timeout_ns = lock_timeout_ns_;
        options.app_version = host().environment("version");
        options.host = host_name();
        migrator_ = std::make_unique<Migrator>(
            storage,
            host().service<tenon_clock_1>("tenon.clock/1"),
            host().log(),
            load_migrations(folder, storage.dialect()),
            std::move(options)
        );
        if (up_at_start_) {
            migrator_->up();
        } else {
            migrator_->verify();
        }
        host().log().info(
            "schema_ready", {{"version", migrator_->version()}, {"latest", migrator_->latest()}}
        );
        add_commands();
    }

    static std::string host_name() {
        std::array<char, 256> name{};
        return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "unknown";
    }

    Migrator& migrator() {
        if (!migrator_) {
            throw Error{TENON_UNAVAILABLE, "migrations are not started"};
        }
        return *migrator_;
    }

    void add_commands() {
        commands_.open(host());
        commands_.add(
            "migrate.status",
            "{}: versions of the schema, applied and pending",
            [this](const Settings&) { return report(); }
        );
        commands_.add("migrate.up", "{}: apply what is pending", [this](const Settings&) {
            migrator().up();
            return report();
        });
        commands_.add(
            "migrate.down",
            R"({"to":N,"confirm":bool}: take back versions above N)",
            [this](const Settings& args) {
                if (!args.has("to")) {
                    throw Error{TENON_INVALID, "/to: expected the version to go back to, from 0"};
                }
                migrator().down(args.get<std::uint32_t>("to"), args.get("confirm", false));
                return report();
            }
        );
        commands_.add(
            "migrate.verify",
            "{}: compare the history with the files",
            [this](const Settings&) {
                migrator().verify();
                return report();
            }
        );
    }

    std::string folder_;
    bool up_at_start_ = true;
    std::int64_t lock_timeout_ns_ = 0;
    std::unique_ptr<Migrator> migrator_;
    AdminCommands commands_;
};

}  // namespace
}  // namespace tenon::migrations

TENON_EXPORT_PLUGIN(tenon::migrations::MigrationsPlugin)
