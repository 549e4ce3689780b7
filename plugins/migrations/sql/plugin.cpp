// SPDX-License-Identifier: Apache-2.0
#include "plugins/migrations/sql/migrator.hpp"

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

    void stop() noexcept override {
        if (admin_) {
            for (const Command& command : k_commands) {
                admin_->remove(admin_.self, str(command.name));
            }
            admin_ = {};
        }
        migrator_.reset();
    }

    std::uint32_t version() const noexcept override { return migrator_ ? migrator_->version() : 0; }

    std::string report() override { return migrator().report(); }

private:
    struct Command {
        std::string_view name, usage;
        tenon_status (*run)(void*, tenon_str, tenon_sink, tenon_err*);
    };

    static MigrationsPlugin& of(void* self) noexcept {
        return *static_cast<MigrationsPlugin*>(self);
    }

    static std::string host_name() {
        std::array<char, 256> name{};
        return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "unknown";
    }

    static boost::json::object arguments(tenon_str json) {
        boost::system::error_code failure;
        const auto value = boost::json::parse({json.p, json.n}, failure);
        if (failure || !value.is_object()) {
            throw Error{TENON_INVALID, "the arguments are not a JSON object"};
        }
        return value.as_object();
    }

    Migrator& migrator() {
        if (!migrator_) {
            throw Error{TENON_UNAVAILABLE, "migrations are not started"};
        }
        return *migrator_;
    }

    tenon_status put_report(tenon_sink out) {
        const std::string report = migrator().report();
        return out.put(out.ctx, bytes(report));
    }

    static tenon_status status(void* self, tenon_str, tenon_sink out, tenon_err* err) noexcept {
        return guard(err, [&] { return of(self).put_report(out); });
    }

    static tenon_status up(void* self, tenon_str, tenon_sink out, tenon_err* err) noexcept {
        return guard(err, [&] {
            of(self).migrator().up();
            return of(self).put_report(out);
        });
    }

    static tenon_status verify(void* self, tenon_str, tenon_sink out, tenon_err* err) noexcept {
        return guard(err, [&] {
            of(self).migrator().verify();
            return of(self).put_report(out);
        });
    }

    static tenon_status down(void* self, tenon_str args, tenon_sink out, tenon_err* err) noexcept {
        return guard(err, [&] {
            const boost::json::object o = arguments(args);
            const auto* to = o.if_contains("to");
            const auto* confirm = o.if_contains("confirm");
            if (to == nullptr || !to->is_int64() || to->as_int64() < 0) {
                throw Error{TENON_INVALID, "/to: expected the version to go back to, from 0"};
            }
            of(self).migrator().down(
                to->to_number<std::uint32_t>(),
                confirm != nullptr && confirm->is_bool() && confirm->as_bool()
            );
            return of(self).put_report(out);
        });
    }

    void add_commands() {
        admin_ = host().service<tenon_admin_1>("tenon.admin/1");
        for (const Command& command : k_commands) {
            const tenon_status added = admin_->command(
                admin_.self, str(command.name), str(command.usage), this, command.run
            );
            if (added != TENON_OK) {
                throw Error{added, "cannot add the command " + std::string{command.name}};
            }
        }
    }

    static constexpr std::array<Command, 4> k_commands{
        {{"migrate.status", "{}: versions of the schema, applied and pending", &status},
         {"migrate.up", "{}: apply what is pending", &up},
         {"migrate.down", R"({"to":N,"confirm":bool}: take back versions above N)", &down},
         {"migrate.verify", "{}: compare the history with the files", &verify}}};

    std::string folder_;
    bool up_at_start_ = true;
    std::int64_t lock_timeout_ns_ = 0;
    Service<tenon_admin_1> admin_;
    std::unique_ptr<Migrator> migrator_;
};

}  // namespace
}  // namespace tenon::migrations

TENON_EXPORT_PLUGIN(tenon::migrations::MigrationsPlugin)
