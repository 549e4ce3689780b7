// SPDX-License-Identifier: Apache-2.0
// tenon.backup.sqlite: settings, the commands of `tenon backup`, and the backups made by
// themselves.
#include "plugins/backup/sqlite/store.hpp"

#include <tenon/admin.hpp>
#include <tenon/backup.hpp>

#include <boost/json.hpp>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace tenon::backup_sqlite {
namespace {

namespace json = boost::json;

class BackupPlugin final : public Plugin, public Backup {
public:
    explicit BackupPlugin(const tenon_host* raw) : Plugin{raw} { provide<Backup>(this); }

    void configure(std::string_view text, bool dry_run) override {
        const Settings settings{text};
        if (!dry_run) {
            source_ = settings.get<std::string>("source");
            folder_ = settings.get<std::string>("folder");
            every_s_ = settings.get<std::int64_t>("every_s");
            keep_ = settings.get<std::size_t>("keep");
        }
    }

    void start() override {
        clock_ = host().service<tenon_clock_1>("tenon.clock/1");
        health_ = host().service<tenon_health_1>("tenon.health/1");
        const auto metrics = host().service<tenon_metrics_1>("tenon.metrics/1");
        const auto counter = [&](std::string_view name, std::string_view help) {
            return metrics->counter(metrics.self, str(name), str(help), nullptr, 0);
        };
        made_ = counter("tenon_backups_total", "Backups that were made");
        failed_ = counter("tenon_backup_failures_total", "Backups that failed");
        last_ = metrics->gauge(
            metrics.self,
            str("tenon_backup_last_success_seconds"),
            str("When the newest backup was finished, in Unix time"),
            nullptr,
            0
        );
        store_ = std::make_unique<Store>(absolute(source_), absolute(folder_));
        add_commands();
        stopping_ = false;
        if (every_s_ != 0) {
            thread_ = std::thread{[this] { loop(); }};
        }
    }

    void stop() noexcept override {
        {
            const std::lock_guard lock{wake_mutex_};
            stopping_ = true;
        }
        wake_.notify_all();
        if (store_) {
            store_->cancel();
        }
        commands_.clear();
        if (thread_.joinable()) {
            thread_.join();
        }
        store_.reset();
    }

private:
    [[nodiscard]] std::string absolute(const std::string& path) const {
        return path.front() == '/' ? path : host().environment("data_dir") + "/" + path;
    }

    [[nodiscard]] std::int64_t now_real_ns() const { return clock_->now_real_ns(clock_.self); }

    // One call at a time; cancel() reaches the one that runs.
    template <class Work>
    auto alone(Work&& work) {
        const std::unique_lock lock{work_mutex_, std::try_to_lock};
        if (!lock.owns_lock()) {
            throw Error{TENON_UNAVAILABLE, "another backup, verification or restore is under way"};
        }
        if (!store_) {
            throw Error{TENON_UNAVAILABLE, "the backups are not open"};
        }
        store_->allow();
        return work(*store_);
    }

    Manifest make(std::string_view label, const Say& say) {
        try {
            Manifest made =
                alone([&](Store& store) { return store.create(label, now_real_ns(), say); });
            __atomic_fetch_add(made_, 1, __ATOMIC_RELAXED);
            __atomic_store_n(last_, now_real_ns() / 1'000'000'000, __ATOMIC_RELAXED);
            health_->set(health_.self, str("backup"), TENON_HEALTHY, str(""));
            host().log().info(
                "backup_made", {{"id", made.id}, {"bytes", made.bytes()}, {"to", made.to_txid}}
            );
            return made;
        } catch (const Error& e) {
            __atomic_fetch_add(failed_, 1, __ATOMIC_RELAXED);
            health_->set(health_.self, str("backup"), TENON_DEGRADED, str(e.what()));
            host().log().warn("backup_failed", {{"reason", e.what()}});
            throw;
        }
    }

    void loop() noexcept {
        std::unique_lock lock{wake_mutex_};
        const auto due = [&] {
            return wake_.wait_for(lock, std::chrono::seconds{every_s_}, [&] { return stopping_; });
        };
        while (!due()) {
            lock.unlock();
            (void)guard(nullptr, [&] {
                (void)make("", [](auto, auto, auto) {});
                (void)alone([&](Store& store) { return store.prune(keep_, false); });
            });
            lock.lock();
        }
    }

    void add_commands() {
        const Say quiet = [](auto, auto, auto) {};
        commands_.open(host());
        commands_.add(
            "backup.create",
            R"({"label":TEXT?}: make a backup)",
            [=, this](const Settings& args) {
                return describe(make(args.get<std::string>("label", ""), quiet));
            }
        );
        commands_.add("backup.list", "{}: the backups, oldest first", [this](const Settings&) {
            return list();
        });
        commands_.add(
            "backup.verify",
            R"({"id":ID?}: read every piece of a backup; without an id, of all)",
            [=, this](const Settings& args) { return verify_command(args, quiet); }
        );
        commands_.add(
            "backup.restore",
            R"({"folder":PATH,"id":ID?,"to-time":ISO?,"to-sequence":N?}: make PATH/tenon.db)",
            [=, this](const Settings& args) { return restore_command(args, quiet); }
        );
        commands_.add(
            "backup.prune",
            R"({"dry-run":true?}: delete what the retention gives up)",
            [this](const Settings& args) { return prune(args.get("dry-run", false)); }
        );
        commands_.add("backup.cancel", "{}: end the work in progress", [this](const Settings&) {
            cancel();
            return std::string{R"({"ok":true})"};
        });
    }

    std::string verify_command(const Settings& args, const Say& say) {
        const std::string id = args.get<std::string>("id", "");
        json::array verified;
        alone([&](Store& store) {
            std::vector<std::string> damaged;
            for (const Manifest& one : store.list(&damaged)) {
                if (id.empty()) {
                    store.verify(one.id, say);
                    verified.emplace_back(one.id);
                }
            }
            if (!id.empty()) {
                store.verify(id, say);
                verified.emplace_back(id);
            } else if (!damaged.empty()) {
                throw Error{TENON_CORRUPT, damaged.front()};
            }
        });
        return json::serialize(json::object{{"ok", true}, {"verified", std::move(verified)}});
    }

    std::string restore_command(const Settings& args, const Say& say) {
        capture::Target target;
        if (args.has("to-time")) {
            target.real_ns = time_of_iso(args.get<std::string>("to-time"));
        }
        if (args.has("to-sequence")) {
            target.txid = args.get<std::uint64_t>("to-sequence");
        }
        const std::string folder = args.get<std::string>("folder");
        const capture::Position at = alone([&](Store& store) {
            return store.restore(args.get<std::string>("id", ""), target, folder, say);
        });
        return json::serialize(json::object{
            {"ok", true},
            {"file", folder + "/tenon.db"},
            {"sequence", at.txid},
            {"time", iso_time(at.real_ns)}});
    }

    // tenon.backup/1

    static Say say_to(const Progress& progress) {
        return [&progress](std::string_view phase, std::uint64_t done, std::uint64_t total) {
            progress(phase, done, total);
        };
    }

    std::string create(const tenon_backup_request& request, const Progress& progress) override {
        if (request.kind != TENON_BACKUP_FULL && request.kind != TENON_BACKUP_INCREMENTAL) {
            throw Error{
                TENON_UNSUPPORTED, "unknown kind of backup " + std::to_string(request.kind)};
        }
        return describe(make(view(request.label), say_to(progress)));
    }

    std::string list() override {
        return alone([&](Store& store) {
            std::string text = "[";
            for (const Manifest& one : store.list()) {
                text += (text.size() > 1 ? "," : "") + describe(one);
            }
            return text + "]";
        });
    }

    void verify(std::string_view id, const Progress& progress) override {
        alone([&](Store& store) { store.verify(id, say_to(progress)); });
    }

    void restore(const tenon_restore_request& request, const Progress& progress) override {
        (void)alone([&](Store& store) {
            return store.restore(
                view(request.id),
                {request.to_sequence, request.to_real_ns},
                std::string{view(request.folder)},
                say_to(progress)
            );
        });
    }

    std::string prune(bool dry_run) override {
        json::array ids;
        for (const std::string& id :
             alone([&](Store& store) { return store.prune(keep_, dry_run); })) {
            ids.emplace_back(id);
        }
        return json::serialize(ids);
    }

    void cancel() noexcept override {
        if (store_) {
            store_->cancel();
        }
    }

    std::string source_;
    std::string folder_;
    std::int64_t every_s_ = 0;
    std::size_t keep_ = 1;
    Service<tenon_clock_1> clock_;
    Service<tenon_health_1> health_;
    std::uint64_t* made_ = nullptr;
    std::uint64_t* failed_ = nullptr;
    std::int64_t* last_ = nullptr;
    std::unique_ptr<Store> store_;
    AdminCommands commands_;
    std::mutex work_mutex_;
    std::mutex wake_mutex_;
    std::condition_variable wake_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace
}  // namespace tenon::backup_sqlite

TENON_EXPORT_PLUGIN(tenon::backup_sqlite::BackupPlugin)
