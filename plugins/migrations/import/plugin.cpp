// SPDX-License-Identifier: Apache-2.0
// tenon.migrations.import: settings and the command behind `tenon migrate import`.
#include "plugins/migrations/import/job.hpp"

#include <tenon/admin.hpp>
#include <tenon/bound_storages.hpp>

namespace tenon::importer {
namespace {

class ImportPlugin final : public Plugin {
public:
    explicit ImportPlugin(const tenon_host* raw) : Plugin{raw} {}

    void configure(std::string_view json, bool dry_run) override {
        const std::lock_guard lock{mutex_};
        const Settings settings{json};
        ImportOptions options;
        options.batch_rows = settings.get<std::size_t>("batch_rows");
        options.bad_rows_kept = settings.get<std::size_t>("bad_rows_max");
        options.timeout_ns = settings.get<std::int64_t>("timeout_ms") * 1'000'000;
        if (!dry_run) {
            options_ = std::move(options);
            target_name_ = settings.get<std::string>("target");
            source_password_ = settings.get<std::string>("source_password");
        }
    }

    void start() override {
        clock_ = host().service<tenon_clock_1>("tenon.clock/1");
        storages_ = bound_storages(host());
        commands_.open(host());
        commands_.add(
            "migrate.import",
            R"({"mapping":TEXT,"mapping_file":NAME?,"source":sqlite:FILE|postgresql:…,"dry_run"|"verify":true?}, )"
            R"({"status":true} or {"bad_rows":true,"from":N}: take rows of another system over)",
            [this](const Settings& args) { return command(args); }
        );
    }

    void stop() noexcept override {
        commands_.clear();
        job_.reset();  // what runs ends with its batch, and goes on with the same command
        storages_.clear();
    }

private:
    std::string command(const Settings& args) {
        const std::lock_guard lock{mutex_};
        if (args.has("status") || args.has("bad_rows")) {
            if (!job_) {
                return R"({"running":false,"task":"none","phase":"none"})";
            }
            return args.has("status") ? job_->status()
                                      : job_->bad_rows(args.get<std::size_t>("from", 0));
        }
        if (job_ && job_->running()) {
            throw Error{TENON_CONFLICT, "an import is under way"};
        }
        JobRequest request;
        request.mapping = args.get<std::string>("mapping");
        request.mapping_file = args.get<std::string>("mapping_file", "mapping");
        request.source = args.get<std::string>("source");
        request.task = args.get("verify", false)    ? Task::verify
                       : args.get("dry_run", false) ? Task::dry_run
                                                    : Task::import;
        job_.reset();
        const Storage target = storage_named(storages_, target_name_).storage;
        auto open = opener(request.source);
        job_ = std::make_unique<ImportJob>(
            target, clock_, host().log(), std::move(request), std::move(open), options_
        );
        return job_->status();
    }

    [[nodiscard]] ImportJob::OpenSource opener(const std::string& source) const {
        return [source, password = source_password_](Stops stops) {
            return open_source(source, password, std::move(stops));
        };
    }

    std::string target_name_, source_password_;
    ImportOptions options_;
    Service<tenon_clock_1> clock_;
    std::vector<NamedStorage> storages_;
    std::mutex mutex_;
    std::unique_ptr<ImportJob> job_;
    AdminCommands commands_;
};

}  // namespace
}  // namespace tenon::importer

TENON_EXPORT_PLUGIN(tenon::importer::ImportPlugin)
