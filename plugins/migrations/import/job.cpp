// SPDX-License-Identifier: Apache-2.0
#include "plugins/migrations/import/job.hpp"

#include <boost/json.hpp>

#include <algorithm>

namespace tenon::importer {
namespace {

namespace json = boost::json;

// Of bad rows and differences, in a status; the rest by page.
constexpr std::size_t k_shown = 20;
constexpr std::size_t k_page = 500;

std::string_view name_of(Task task) {
    return task == Task::import ? "import" : task == Task::dry_run ? "dry run" : "verify";
}

json::object to_json(const BadRowFound& row) {
    return {{"table", row.table}, {"key", row.key}, {"reason", row.reason}};
}

json::object to_json(const TableProgress& table) {
    return {
        {"name", table.name},
        {"target", table.target},
        {"rows_total", table.total},
        {"rows_read", table.read},
        {"rows_imported", table.imported},
        {"rows_present", table.present},
        {"rows_changed", table.changed},
        {"rows_bad", table.bad}};
}

}  // namespace

ImportJob::ImportJob(
    Storage target,
    Service<tenon_clock_1> clock,
    Log log,
    JobRequest request,
    OpenSource open_source,
    ImportOptions options
)
    : target_{target},
      clock_{clock},
      log_{log},
      request_{std::move(request)},
      options_{std::move(options)} {
    thread_ = std::thread{[this, open = std::move(open_source)] { run(open); }};
}

ImportJob::~ImportJob() {
    stopping_ = true;
    thread_.join();
}

void ImportJob::run(const OpenSource& open_source) {
    std::string error;
    try {
        work(open_source);
    } catch (const std::exception& e) {
        error = e.what();
    }
    if (stopping_) {
        error = "interrupted: the same command goes on where it was";
    }
    const ImportProgress end = progress();
    if (error.empty()) {
        log_.info(
            "import_ended",
            {{"task", std::string{name_of(request_.task)}},
             {"rows_bad", end.bad()},
             {"rows_different", end.different}}
        );
    } else {
        log_.warn(
            "import_failed", {{"task", std::string{name_of(request_.task)}}, {"reason", error}}
        );
    }
    {
        const std::lock_guard lock{mutex_};
        error_ = std::move(error);
        if (importer_) {
            importer_->close();  // whoever writes to the source need not wait for the next command
        }
    }
    running_ = false;
}

void ImportJob::work(const OpenSource& open_source) {
    manifest::Problems problems;
    Mapping mapping = parse_mapping(request_.mapping, request_.mapping_file, problems);
    const auto refuse = [&] {
        const std::lock_guard lock{mutex_};
        problems_ = std::move(problems);
    };
    if (manifest::has_errors(problems)) {
        refuse();
        return;
    }
    ImportOptions options = options_;
    options.at = [this, inner = options_.at](std::string_view point) {
        if (stopping_) {
            throw Error{TENON_UNAVAILABLE, "the import is being interrupted"};
        }
        if (inner) {
            inner(point);
        }
    };
    auto importer = std::make_unique<Importer>(
        target_,
        clock_,
        open_source([this] { return stopping_.load(); }),
        std::move(mapping),
        std::move(options)
    );
    problems = importer->check();
    if (manifest::has_errors(problems)) {
        for (manifest::Problem& problem : problems) {
            problem.file = request_.mapping_file;
        }
        refuse();
        return;
    }
    Importer* const at = importer.get();
    {
        const std::lock_guard lock{mutex_};
        importer_ = std::move(importer);
    }
    if (request_.task == Task::dry_run) {
        at->dry_run();
    } else if (request_.task == Task::verify) {
        at->verify();
    } else {
        at->run();
    }
}

ImportProgress ImportJob::progress() const {
    const std::lock_guard lock{mutex_};
    return importer_ ? importer_->progress() : ImportProgress{};
}

std::string ImportJob::status() const {
    // Before the rest: what is told of an ended job is its end.
    const bool running = running_;
    const ImportProgress now = progress();
    TableProgress sum;
    json::array tables;
    for (const TableProgress& table : now.tables) {
        sum.total += table.total;
        sum.read += table.read;
        sum.imported += table.imported;
        sum.present += table.present;
        sum.changed += table.changed;
        tables.push_back(to_json(table));
    }
    json::array bad;
    for (std::size_t i = 0; i < std::min(now.bad_rows.size(), k_shown); ++i) {
        bad.push_back(to_json(now.bad_rows[i]));
    }
    json::array differences;
    for (std::size_t i = 0; i < std::min(now.differences.size(), k_shown); ++i) {
        differences.emplace_back(now.differences[i]);
    }
    const std::lock_guard lock{mutex_};
    json::object out{
        {"running", running},
        {"task", name_of(request_.task)},
        {"phase", importer::name_of(now.phase)},
        {"refused", now.is_refused || !problems_.empty()},
        {"percent", sum.total == 0 ? 0 : std::min<std::int64_t>(sum.read * 100 / sum.total, 100)},
        {"rows_total", sum.total},
        {"rows_read", sum.read},
        {"rows_imported", sum.imported},
        {"rows_present", sum.present},
        {"rows_changed", sum.changed},
        {"rows_bad", now.bad()},
        {"rows_different", now.different},
        {"error", error_},
        {"problems", manifest::to_json(problems_)},
        {"tables", std::move(tables)},
        {"bad_rows", std::move(bad)},
        {"differences", std::move(differences)}};
    if (!running) {
        const bool bad_is_fine = request_.task == Task::import && !now.is_refused;
        out["ok"] = error_.empty() && problems_.empty() && now.different == 0 &&
                    (bad_is_fine || now.bad() == 0);
    }
    return json::serialize(out);
}

std::string ImportJob::bad_rows(std::size_t from) const {
    const ImportProgress now = progress();
    json::array rows;
    std::size_t at = from;
    for (; at < std::min(now.bad_rows.size(), from + k_page); ++at) {
        rows.push_back(to_json(now.bad_rows[at]));
    }
    return json::serialize(json::object{{"bad_rows", std::move(rows)}, {"next", at}});
}

}  // namespace tenon::importer
