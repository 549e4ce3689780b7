// SPDX-License-Identifier: Apache-2.0
// tenon.backup.sqlite: settings, the commands of `tenon backup`, and the backups made by
// themselves.
#include "plugins/backup/sqlite/figures.hpp"
#include "plugins/backup/sqlite/progress.hpp"
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
            journal_.journal = settings.get<std::string>("journal", "");
            journal_.snapshots = settings.get<std::string>("snapshots", "");
            journal_.held_bytes_max = settings.get<std::uint64_t>("journal_held_mb", 1024) << 20U;
            every_s_ = settings.get<std::int64_t>("every_s");
            read_store(settings);
        }
    }

    void start() override {
        clock_ = host().service<tenon_clock_1>("tenon.clock/1");
        health_ = host().service<tenon_health_1>("tenon.health/1");
        figures_ = Figures{host().service<tenon_metrics_1>("tenon.metrics/1")};
        JournalFolders journal = journal_;
        if (!journal.journal.empty()) {
            journal.journal = absolute(journal.journal);
            journal.snapshots = absolute(journal.snapshots);
        }
        shipper_ = std::make_unique<Shipper>(absolute(source_), make_vault(), journal);
        store_ = std::make_unique<Store>(
            absolute(source_),
            absolute(scratch_),
            make_vault(),
            [this] { shipper_->backup_changed(); },
            journal
        );
        catalogue_ = make_vault();
        started_ns_ = now_real_ns();
        schedule_ = Schedule{every_s_ * k_second, now_ns() + k_settle_ns};
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
            catalogue_->cancel();
        }
        commands_.clear();
        for (std::thread* thread : {&thread_, &ship_thread_}) {
            if (thread->joinable()) {
                thread->join();
            }
        }
        store_.reset();
        shipper_.reset();
        catalogue_.reset();
    }

private:
    static constexpr std::int64_t k_second = 1'000'000'000;
    // A server that is started for one command makes none.
    static constexpr std::int64_t k_settle_ns = 2 * k_second;
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

    // One call at a time; cancel() reaches the one that runs. What a user asked for does not wait
    // for another, what comes by itself does.
    template <class Work>
    auto alone(std::string_view name, bool waits, Work&& work) {
        std::unique_lock lock{work_mutex_, std::defer_lock};
        if (waits) {
            lock.lock();
        } else if (!lock.try_lock()) {
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
        const WorkState::Doing doing{state_, name};
        return work(*store_);
    }

    [[nodiscard]] bool is_stopping() {
        const std::lock_guard lock{wake_mutex_};
        return stopping_;
    }

    Manifest make(std::string_view label, bool waits, const Say& say) {
        try {
            Manifest made = alone("create", waits, [&](Store& store) {
                return store.create(label, now_real_ns(), say);
            });
            Figures::count(figures_.made);
            Figures::set(figures_.last, now_real_ns() / k_second);
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
            Figures::count(figures_.failed);
            health_->set(health_.self, str("backup"), TENON_DEGRADED, str(e.what()));
            host().log().warn("backup_failed", {{"reason", e.what()}});
            throw;
        }
    }

    std::string drill(const std::string& id, bool waits, const Say& say) {
        try {
            std::string tried = alone("drill", waits, [&](Store& store) {
                return store.drill(id, now_real_ns(), say);
            });
            last_proven_ns_.store(now_real_ns(), std::memory_order_relaxed);
            host().log().info("backup_proven", {{"id", tried}});
            return tried;
        } catch (const Error& e) {
            if (is_stopping()) {
                throw;
            }
            Figures::count(figures_.drills_failed);
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
                needs_backup = shipped == Shipped::needs_backup || shipped == Shipped::all_but_due;
                if (shipped == Shipped::all || shipped == Shipped::all_but_due) {
                    shipped_ns = now;
                } else {
                    reason = shipped == Shipped::needs_backup
                                 ? "what is captured now counts only with the next backup"
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
        Figures::set(figures_.proven, at / k_second);
        Figures::set(figures_.proven_age, (now - (at != 0 ? at : started_ns_)) / k_second);
        Figures::set(figures_.lag, (now - shipped_ns) / k_second);
        Figures::set(
            figures_.journal_lag, static_cast<std::int64_t>(shipper_->journal_behind_bytes())
        );
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
        return alone("look", true, [&](Store& store) -> std::optional<std::int64_t> {
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
        (void)make("", true, watched_);
        (void)guard(nullptr, [&] {
            if (drills_) {
                (void)drill("", true, watched_);
            }
            (void)alone("prune", true, [&](Store& store) { return store.prune(policy_, false); });
        });
    }

    void add_commands() {
        commands_.open(host());
        commands_.add(
            "backup.create",
            R"({"label":TEXT?}: make a backup)",
            [this](const Settings& args) {
                require_known(args, {"label"});
                return told(make(args.get<std::string>("label", ""), false, watched_), {});
            }
        );
        commands_.add("backup.list", "{}: the backups, oldest first", [this](const Settings&) {
            return list();
        });
        commands_.add(
            "backup.verify",
            R"({"id":ID?}: read every piece of a backup; without an id, of all)",
            [this](const Settings& args) { return verify_command(args, watched_); }
        );
        commands_.add(
            "backup.restore",
            R"({"folder":PATH,"id":ID?,"to_time":ISO?,"to_sequence":N?,"to_order":ID?}: make PATH/tenon.db, and the engine's journal beside it)",
            [this](const Settings& args) { return restore_command(args, watched_); }
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
            [this](const Settings& args) {
                require_known(args, {"id"});
                const std::string tried = drill(args.get<std::string>("id", ""), false, watched_);
                return json::serialize(json::object{{"ok", true}, {"proven", tried}});
            }
        );
        commands_.add(
            "backup.progress",
            "{}: what is done now, and how far it is",
            [this](const Settings& args) {
                require_known(args, {});
                return json::serialize(state_.told());
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
        alone("verify", false, [&](Store& store) {
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
        const Restored at = alone("restore", false, [&](Store& store) {
            return is_of_order
                       ? store.restore_order(number_of(args, "to_order"), folder, say)
                       : store.restore(args.get<std::string>("id", ""), target, folder, say);
        });
        json::object made{
            {"ok", true},
            {"file", folder + "/tenon.db"},
            {"sequence", at.txid},
            {"time", vault::iso_time(at.real_ns)},
            {"journal", nullptr}};
        if (at.journal) {
            made["journal"] = {
                {"sequence", at.journal->sequence}, {"time", vault::iso_time(at.journal->real_ns)}};
        }
        return json::serialize(made);
    }

    // tenon.backup/1

    static std::string told(const Manifest& manifest, const vault::Proof& proof) {
        return json::serialize(vault::describe(manifest, proof));
    }

    Say say_to(const Progress& progress) {
        return [this, &progress](std::string_view phase, std::uint64_t done, std::uint64_t total) {
            state_.say(phase, done, total);
            progress(phase, done, total);
        };
    }

    std::string create(const tenon_backup_request& request, const Progress& progress) override {
        if (request.kind != TENON_BACKUP_FULL && request.kind != TENON_BACKUP_INCREMENTAL) {
            throw Error{
                TENON_UNSUPPORTED, "unknown kind of backup " + std::to_string(request.kind)};
        }
        return told(make(view(request.label), false, say_to(progress)), {});
    }

    std::string list() override {
        const std::lock_guard lock{catalogue_mutex_};
        if (!catalogue_) {
            throw Error{TENON_UNAVAILABLE, "the backups are not open"};
        }
        std::string text = "[";
        for (const Manifest& one : catalogue_->list()) {
            text += (text.size() > 1 ? "," : "") + told(one, catalogue_->proof(one.id));
        }
        return text + "]";
    }

    void verify(std::string_view id, const Progress& progress) override {
        alone("verify", false, [&](Store& store) { store.verify(id, say_to(progress)); });
    }

    void restore(const tenon_restore_request& request, const Progress& progress) override {
        (void)alone("restore", false, [&](Store& store) {
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
             alone("prune", false, [&](Store& store) { return store.prune(policy_, dry_run); })) {
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
    JournalFolders journal_;  // as set
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
    Figures figures_;
    std::atomic<std::int64_t> last_proven_ns_{-1};  // -1: not known yet
    std::int64_t started_ns_ = 0;
    std::unique_ptr<Shipper> shipper_;
    std::unique_ptr<Store> store_;
    std::mutex catalogue_mutex_;
    std::unique_ptr<vault::Vault> catalogue_;  // for the list, which waits for no other work
    WorkState state_;
    const Say watched_ = [this](std::string_view phase, std::uint64_t done, std::uint64_t total) {
        state_.say(phase, done, total);
    };
    AdminCommands commands_;
    std::mutex work_mutex_;
    std::mutex wake_mutex_;
    std::condition_variable wake_;
    bool stopping_ = false;
    Schedule schedule_{0, 0};
    std::thread thread_;
    std::thread ship_thread_;
};

}  // namespace
}  // namespace tenon::backup_sqlite

TENON_EXPORT_PLUGIN(tenon::backup_sqlite::BackupPlugin)
