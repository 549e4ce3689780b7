// SPDX-License-Identifier: Apache-2.0
#include "backup_store.hpp"

#include <tenon/settings.hpp>

#include <optional>

namespace {

struct BackupSettings {
    explicit BackupSettings(const tenon::Settings& s)
        : source{s.get<std::string>("source")},
          target{s.get<std::string>("target")},
          keep{s.get<std::size_t>("keep")} {}

    std::string source, target;
    std::size_t keep;
};

// Every function is on the blocking pool, one call at a time, but for cancel.
class Backup final : public tenon::Plugin, public tenon::Backup {
public:
    explicit Backup(const tenon_host* host) : Plugin{host} { provide<tenon::Backup>(this); }

    // Also called by `tenon reload`, for settings marked "x-reload": "live".
    void configure(std::string_view json, bool dry_run) override {
        settings_.configure(json, dry_run);
    }

    void start() override {
        clock_ = host().service<tenon_clock_1>("tenon.clock/1");
        const fs::path data{host().environment("data_dir")};
        const auto settings = settings_.read();
        store_.emplace(
            (data / settings->source).lexically_normal(),
            (data / settings->target).lexically_normal()
        );
        open_ = true;
    }

    void drain(std::int64_t) override {
        open_ = false;
        cancel();
    }

    [[nodiscard]] std::string create(const tenon_backup_request& request, const Progress& progress)
        override {
        begin();
        if (request.label.n > 128 ||
            tenon::view(request.label).find('\n') != std::string_view::npos) {
            throw tenon::Error{TENON_INVALID, "the label is one line of at most 128 bytes"};
        }
        BackupAbout about;
        about.started_real_ns = now_real_ns();
        about.id = id_of(about.started_real_ns);
        about.kind = "full";  // also when an incremental one was asked for: it contains that
        about.label = tenon::view(request.label);
        const std::int64_t deadline_ns = request.deadline_ns;
        store_->create(about, about.started_real_ns, watched(progress, deadline_ns));
        return json_of(about);
    }

    [[nodiscard]] std::string list() override {
        begin();
        std::string out = "[";
        for (const BackupAbout& about : store_->list()) {
            out += (out.size() == 1 ? "" : ",") + json_of(about);
        }
        return out + "]";
    }

    void verify(std::string_view id, const Progress& progress) override {
        begin();
        store_->verify(std::string{id}, watched(progress, 0));
    }

    void restore(const tenon_restore_request& request, const Progress& progress) override {
        begin();
        if (request.to_sequence != 0) {
            throw tenon::Error{TENON_UNSUPPORTED, "copies of files know no sequence of commands"};
        }
        std::string id{tenon::view(request.id)};
        if (id.empty()) {
            id = newest_until(request.to_real_ns);
        }
        const fs::path folder{tenon::view(request.folder)};
        if (!folder.is_absolute()) {
            throw tenon::Error{TENON_INVALID, "the folder is not an absolute path"};
        }
        store_->restore(id, folder, watched(progress, request.deadline_ns));
    }

    [[nodiscard]] std::string prune(bool dry_run) override {
        begin();
        const std::vector<BackupAbout> all = store_->list();
        const std::size_t keep = settings_->keep;
        std::string out = "[";
        for (std::size_t i = 0; i + keep < all.size(); ++i) {
            if (!dry_run) {
                store_->remove(all[i].id);
            }
            out += i == 0 ? "" : ",";
            tenon::append_json(out, all[i].id);
        }
        return out + "]";
    }

    void cancel() noexcept override { canceled_ = true; }

private:
    [[nodiscard]] std::int64_t now_real_ns() const { return clock_->now_real_ns(clock_.self); }

    void begin() {
        if (!open_) {
            throw tenon::Error{TENON_UNAVAILABLE, "the backup is draining"};
        }
        canceled_ = false;
    }

    // The caller's progress, which ends early when cancelled or too late.
    struct Watch {
        Backup* owner;
        const Progress* progress;
        std::int64_t deadline_ns;

        static tenon_status
        tell(void* ctx, tenon_str phase, std::uint64_t done, std::uint64_t total) noexcept {
            const Watch& mine = *static_cast<const Watch*>(ctx);
            return tenon::guard(nullptr, [&] {
                mine.owner->expect_time(mine.deadline_ns);
                (*mine.progress)(tenon::view(phase), done, total);
            });
        }
    };

    [[nodiscard]] Progress watched(const Progress& progress, std::int64_t deadline_ns) {
        watch_ = {this, &progress, deadline_ns};
        return Progress{{&watch_, &Watch::tell}};
    }

    void expect_time(std::int64_t deadline_ns) const {
        if (canceled_) {
            throw tenon::Error{TENON_UNAVAILABLE, "cancelled"};
        }
        if (deadline_ns != 0 && clock_->now_ns(clock_.self) > deadline_ns) {
            throw tenon::Error{TENON_TIMEOUT, "the deadline has passed"};
        }
    }

    [[nodiscard]] static std::string id_of(std::int64_t real_ns) {
        std::string id = iso_time(real_ns);
        std::erase_if(id, [](char c) { return c == ':' || c == '-'; });
        return id + "-" + std::to_string(real_ns % 1'000'000);
    }

    [[nodiscard]] std::string newest_until(std::int64_t to_real_ns) const {
        const std::vector<BackupAbout> all = store_->list();
        for (auto at = all.rbegin(); at != all.rend(); ++at) {
            if (to_real_ns == 0 || at->finished_real_ns <= to_real_ns) {
                return at->id;
            }
        }
        throw tenon::Error{TENON_NOT_FOUND, "there is no backup that reaches this point"};
    }

    [[nodiscard]] static std::string json_of(const BackupAbout& about) {
        std::string out = R"({"id":")" + about.id + R"(","kind":")" + about.kind + R"(","label":)";
        tenon::append_json(out, about.label);
        const std::string end = iso_time(about.finished_real_ns);
        return out + R"(,"started_at":")" + iso_time(about.started_real_ns) +
               R"(","finished_at":")" + end + R"(","bytes":)" + std::to_string(about.bytes()) +
               R"(,"pieces":)" + std::to_string(about.pieces.size()) + R"(,"from":null,"to":")" +
               end + R"(","parent":null,"verified_at":null})";
    }

    tenon::Live<BackupSettings> settings_;
    tenon::Service<tenon_clock_1> clock_;
    std::optional<BackupStore> store_;
    Watch watch_{};
    std::atomic<bool> open_{false}, canceled_{false};
};

}  // namespace

TENON_EXPORT_PLUGIN(Backup)
