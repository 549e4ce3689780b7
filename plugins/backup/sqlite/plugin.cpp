// SPDX-License-Identifier: Apache-2.0
// tenon.backup.sqlite: settings, the commands of `tenon backup`, and the backups made by
// themselves.
#include "plugins/backup/sqlite/schedule.hpp"
#include "plugins/backup/sqlite/store.hpp"
#include "sdk/vault/folder_place.hpp"
#include "sdk/vault/s3_place.hpp"

#include <tenon/admin.hpp>
#include <tenon/backup.hpp>
#include <tenon/command_options.hpp>

#include <boost/json.hpp>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
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
            read_store(settings);
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
        proven_ = metrics->gauge(
            metrics.self,
            str("tenon_backup_last_proven_seconds"),
            str("When a restore of a backup was last tried and whole, in Unix time; 0: never"),
            nullptr,
            0
        );
        proven_age_ = metrics->gauge(
            metrics.self,
            str("tenon_backup_proven_age_seconds"),
            str("Time since a restore was last tried and whole, or since the start"),
            nullptr,
            0
        );
        lag_ = metrics->gauge(
            metrics.self,
            str("tenon_backup_ship_lag_seconds"),
            str("What would be lost with this machine: time since all that was captured was stored"
            ),
            nullptr,
            0
        );
        drills_failed_ =
            counter("tenon_backup_drill_failures_total", "Restores that were tried and not whole");
        shipper_ = std::make_unique<Shipper>(absolute(source_), make_vault());
        store_ =
            std::make_unique<Store>(absolute(source_), absolute(scratch_), make_vault(), [this] {
                shipper_->backup_changed();
            });
        started_ns_ = now_real_ns();
        schedule_ = Schedule{every_s_ * k_second};
        add_commands();
        stopping_ = false;
        if (every_s_ != 0) {
            thread_ = std::thread{[this] { loop(); }};
        }
        ship_thread_ = std::thread{[this] { ship_loop(); }};
    }

    void stop() noexcept override {
        {
            const std::lock_guard lock{wake_mutex_};
            stopping_ = true;
        }
        wake_.notify_all();
        if (store_) {
            store_->cancel();
            shipper_->vault().cancel();
        }
        commands_.clear();
        for (std::thread* thread : {&thread_, &ship_thread_}) {
            if (thread->joinable()) {
                thread->join();
            }
        }
        store_.reset();
        shipper_.reset();
    }

private:
    static constexpr std::int64_t k_second = 1'000'000'000;
    static constexpr std::int64_t k_patience_ns = 30 * k_second;
    static constexpr std::int64_t k_look_again_ns = k_second / 4;

    void read_store(const Settings& settings) {
        const auto text = [&](const char* name) { return settings.get<std::string>(name); };
        policy_.last = settings.get<std::size_t>("keep");
        policy_.hourly = settings.get<std::size_t>("keep_hourly");
        policy_.daily = settings.get<std::size_t>("keep_daily");
        policy_.weekly = settings.get<std::size_t>("keep_weekly");
        policy_.monthly = settings.get<std::size_t>("keep_monthly");
        drills_ = settings.get<bool>("drill");
        scratch_ = text("scratch");
        ship_ms_ = settings.get<std::int64_t>("ship_ms");
        key_ = text("key").empty() ? nullptr : vault::Key::parse(text("key"));
        is_s3_ = !text("s3_url").empty();
        if (!is_s3_) {
            return;
        }
        s3_.url = net::parse_url(text("s3_url"));
        s3_.bucket = text("s3_bucket");
        s3_.prefix = text("s3_prefix");
        s3_.ca_file = text("s3_ca_file");
        s3_.credentials = {
            text("s3_region"), text("s3_access_key_id"), text("s3_secret_access_key")};
        s3_.now_real_ns = [this] { return now_real_ns(); };
        if (!s3_.prefix.empty() && s3_.prefix.back() != '/') {
            throw Error{TENON_INVALID, "s3_prefix has to end with a slash"};
        }
    }

    [[nodiscard]] std::unique_ptr<vault::Vault> make_vault() const {
        std::shared_ptr<vault::Place> place;
        if (is_s3_) {
            vault::S3Options options = s3_;
            options.seed = static_cast<std::uint64_t>(now_real_ns());
            place = std::make_shared<vault::S3Place>(std::move(options));
        } else {
            place = std::make_shared<vault::FolderPlace>(absolute(folder_));
        }
        return std::make_unique<vault::Vault>(std::move(place), vault::Options{3, key_});
    }

    [[nodiscard]] std::string absolute(const std::string& path) const {
        return path.front() == '/' ? path : host().environment("data_dir") + "/" + path;
    }

    [[nodiscard]] std::int64_t now_ns() const { return clock_->now_ns(clock_.self); }

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
        {
            const std::lock_guard wake_lock{wake_mutex_};
            if (stopping_) {
                throw Error{TENON_UNAVAILABLE, "the backups are being stopped"};
            }
            store_->allow();
        }
        return work(*store_);
    }

    [[nodiscard]] bool is_stopping() {
        const std::lock_guard lock{wake_mutex_};
        return stopping_;
    }

    Manifest make(std::string_view label, const Say& say) {
        try {
            Manifest made =
                alone([&](Store& store) { return store.create(label, now_real_ns(), say); });
            __atomic_fetch_add(made_, 1, __ATOMIC_RELAXED);
            __atomic_store_n(last_, now_real_ns() / 1'000'000'000, __ATOMIC_RELAXED);
            health_->set(health_.self, str("backup"), TENON_HEALTHY, str(""));
            host().log().info(
                "backup_made",
                {{"id", made.id},
                 {"bytes", made.bytes()},
                 {"to", made.about.at("to_sequence").to_number<std::uint64_t>()}}
            );
            return made;
        } catch (const Error& e) {
            if (is_stopping()) {
                throw;
            }
            __atomic_fetch_add(failed_, 1, __ATOMIC_RELAXED);
            health_->set(health_.self, str("backup"), TENON_DEGRADED, str(e.what()));
            host().log().warn("backup_failed", {{"reason", e.what()}});
            throw;
        }
    }

    std::string drill(const std::string& id, const Say& say) {
        try {
            std::string tried =
                alone([&](Store& store) { return store.drill(id, now_real_ns(), say); });
            last_proven_ns_.store(now_real_ns(), std::memory_order_relaxed);
            host().log().info("backup_proven", {{"id", tried}});
            return tried;
        } catch (const Error& e) {
            if (is_stopping()) {
                throw;
            }
            __atomic_fetch_add(drills_failed_, 1, __ATOMIC_RELAXED);
            health_->set(health_.self, str("backup"), TENON_DEGRADED, str(e.what()));
            host().log().error("backup_not_proven", {{"reason", e.what()}});
            throw;
        }
    }

    // Its own thread and store, so that no backup holds it up; it also keeps the ages.
    void ship_loop() noexcept {
        std::unique_lock lock{wake_mutex_};
        const auto pause = std::chrono::milliseconds{ship_ms_ != 0 ? ship_ms_ : 1000};
        std::int64_t shipped_ns = started_ns_;
        std::string told;
        while (!wake_.wait_for(lock, pause, [&] { return stopping_; })) {
            lock.unlock();
            const std::int64_t now = now_real_ns();
            std::string reason;
            bool needs_backup = false;
            try {
                if (last_proven_ns_.load(std::memory_order_relaxed) < 0) {
                    last_proven_ns_ = newest_proof_ns(shipper_->vault());
                }
                const Shipped shipped = ship_ms_ != 0 ? shipper_->ship() : Shipped::all;
                needs_backup = shipped == Shipped::needs_backup;
                if (shipped == Shipped::all) {
                    shipped_ns = now;
                } else {
                    reason = needs_backup ? "what is captured now counts only with the next backup"
                                          : "the capture has no base to begin a backup with yet";
                }
            } catch (const std::exception& e) {
                (void)guard(nullptr, [&] { reason = e.what(); });
            }
            if (reason != told) {
                told = reason;
                health_->set(
                    health_.self,
                    str("shipping"),
                    reason.empty() ? TENON_HEALTHY : TENON_DEGRADED,
                    str(reason)
                );
            }
            show_ages(shipped_ns);
            lock.lock();
            if (needs_backup) {
                schedule_.want(now_ns());
                wake_.notify_all();
            }
        }
    }

    void show_ages(std::int64_t shipped_ns) noexcept {
        const std::int64_t now = now_real_ns();
        const std::int64_t at =
            std::max<std::int64_t>(last_proven_ns_.load(std::memory_order_relaxed), 0);
        __atomic_store_n(proven_, at / k_second, __ATOMIC_RELAXED);
        __atomic_store_n(
            proven_age_, (now - (at != 0 ? at : started_ns_)) / k_second, __ATOMIC_RELAXED
        );
        __atomic_store_n(lag_, (now - shipped_ns) / k_second, __ATOMIC_RELAXED);
    }

    // Waits until a backup is due; false: stopping.
    bool wait_until_due(std::unique_lock<std::mutex>& lock) {
        while (!stopping_) {
            const std::int64_t left = schedule_.due_ns() - now_ns();
            if (left <= 0) {
                return true;
            }
            wake_.wait_for(lock, std::chrono::nanoseconds{left});
        }
        return false;
    }

    void loop() noexcept {
        bool knows_age = false;
        std::unique_lock lock{wake_mutex_};
        while (wait_until_due(lock)) {
            lock.unlock();
            std::optional<std::int64_t> age;
            const tenon_status done = guard(nullptr, [&] {
                if (knows_age) {
                    make_due();
                } else {
                    age = age_of_newest();
                }
            });
            lock.lock();
            if (done != TENON_OK) {
                schedule_.failed(now_ns());
            } else if (knows_age) {
                schedule_.made(now_ns());
            } else {
                knows_age = age.has_value();
                schedule_.begin(now_ns(), age.value_or(every_s_ * k_second - k_look_again_ns));
            }
        }
    }

    // A store without backups is as one whose newest is too old. Nothing: asked again soon, since a
    // database that was made just now has no base for a backup yet.
    std::optional<std::int64_t> age_of_newest() {
        return alone([&](Store& store) -> std::optional<std::int64_t> {
            const std::vector<Manifest> known = store.vault().list();
            if (!known.empty()) {
                return now_real_ns() - known.back().started_ns;
            }
            if (now_real_ns() - started_ns_ < k_patience_ns &&
                capture::list(absolute(source_)).bases.empty()) {
                return std::nullopt;
            }
            return every_s_ * k_second;
        });
    }

    void make_due() {
        const Say quiet = [](auto, auto, auto) {};
        (void)make("", quiet);
        (void)guard(nullptr, [&] {
            if (drills_) {
                (void)drill("", quiet);
            }
            (void)alone([&](Store& store) { return store.prune(policy_, false); });
        });
    }

    void add_commands() {
        const Say quiet = [](auto, auto, auto) {};
        commands_.open(host());
        commands_.add(
            "backup.create",
            R"({"label":TEXT?}: make a backup)",
            [=, this](const Settings& args) {
                require_known(args, {"label"});
                return told(make(args.get<std::string>("label", ""), quiet), {});
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
            R"({"folder":PATH,"id":ID?,"to_time":ISO?,"to_sequence":N?,"to_order":ID?}: make PATH/tenon.db)",
            [=, this](const Settings& args) { return restore_command(args, quiet); }
        );
        commands_.add(
            "backup.prune",
            R"({"dry_run":true?}: delete what the retention gives up)",
            [this](const Settings& args) {
                require_known(args, {"dry_run"});
                return prune(args.get("dry_run", false));
            }
        );
        commands_.add(
            "backup.drill",
            R"({"id":ID?}: restore a backup in the scratch folder and see whether it is whole)",
            [=, this](const Settings& args) {
                require_known(args, {"id"});
                const std::string tried = drill(args.get<std::string>("id", ""), quiet);
                return json::serialize(json::object{{"ok", true}, {"proven", tried}});
            }
        );
        commands_.add("backup.cancel", "{}: end the work in progress", [this](const Settings&) {
            cancel();
            return std::string{R"({"ok":true})"};
        });
    }

    std::string verify_command(const Settings& args, const Say& say) {
        require_known(args, {"id"});
        const std::string id = args.get<std::string>("id", "");
        json::array verified;
        alone([&](Store& store) {
            std::vector<std::string> damaged;
            for (const Manifest& one : store.vault().list(&damaged)) {
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
        require_known(args, {"folder", "id", "to_time", "to_sequence", "to_order"});
        capture::Target target;
        if (args.has("to_time")) {
            target.real_ns = vault::time_of_iso(args.get<std::string>("to_time"));
        }
        if (args.has("to_sequence")) {
            target.txid = number_of(args, "to_sequence");
        }
        const std::string folder = args.get<std::string>("folder");
        const bool is_of_order = args.has("to_order");
        if (is_of_order && (args.has("to_time") || args.has("to_sequence") || args.has("id"))) {
            throw Error{TENON_INVALID, "to-order goes with no id and no other point"};
        }
        const capture::Position at = alone([&](Store& store) {
            return is_of_order
                       ? store.restore_order(number_of(args, "to_order"), folder, say)
                       : store.restore(args.get<std::string>("id", ""), target, folder, say);
        });
        return json::serialize(json::object{
            {"ok", true},
            {"file", folder + "/tenon.db"},
            {"sequence", at.txid},
            {"time", vault::iso_time(at.real_ns)}});
    }

    // tenon.backup/1

    static std::string told(const Manifest& manifest, const vault::Proof& proof) {
        return json::serialize(vault::describe(manifest, proof));
    }

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
        return told(make(view(request.label), say_to(progress)), {});
    }

    std::string list() override {
        return alone([&](Store& store) {
            std::string text = "[";
            for (const Manifest& one : store.vault().list()) {
                text += (text.size() > 1 ? "," : "") + told(one, store.vault().proof(one.id));
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
             alone([&](Store& store) { return store.prune(policy_, dry_run); })) {
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
    vault::Retention policy_;
    bool drills_ = false;
    std::string scratch_;
    std::int64_t ship_ms_ = 0;
    std::shared_ptr<const vault::Key> key_;
    bool is_s3_ = false;
    vault::S3Options s3_;
    Service<tenon_clock_1> clock_;
    Service<tenon_health_1> health_;
    std::uint64_t* made_ = nullptr;
    std::uint64_t* failed_ = nullptr;
    std::int64_t* last_ = nullptr;
    std::int64_t* proven_ = nullptr;
    std::int64_t* proven_age_ = nullptr;
    std::int64_t* lag_ = nullptr;
    std::uint64_t* drills_failed_ = nullptr;
    std::atomic<std::int64_t> last_proven_ns_{-1};  // -1: not known yet
    std::int64_t started_ns_ = 0;
    std::unique_ptr<Shipper> shipper_;
    std::unique_ptr<Store> store_;
    AdminCommands commands_;
    std::mutex work_mutex_;
    std::mutex wake_mutex_;
    std::condition_variable wake_;
    bool stopping_ = false;
    Schedule schedule_{0};
    std::thread thread_;
    std::thread ship_thread_;
};

}  // namespace
}  // namespace tenon::backup_sqlite

TENON_EXPORT_PLUGIN(tenon::backup_sqlite::BackupPlugin)
