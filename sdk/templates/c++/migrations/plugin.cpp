// SPDX-License-Identifier: Apache-2.0
#include "steps.hpp"

#include <tenon/json.hpp>
#include <tenon/migrations.hpp>
#include <tenon/settings.hpp>
#include <tenon/storage.hpp>

#include <atomic>
#include <vector>

namespace {

class Migrator final : public tenon::Plugin, public tenon::Migrations {
public:
    explicit Migrator(const tenon_host* host) : Plugin{host} { provide<tenon::Migrations>(this); }

    void configure(std::string_view json, bool dry_run) override {
        const auto timeout = tenon::Settings{json}.get<std::chrono::milliseconds>("timeout_ms");
        if (!dry_run) {
            timeout_ = timeout;
        }
    }

    // What requires this plugin starts afterwards.
    void start() override {
        clock_ = host().service<tenon_clock_1>("tenon.clock/1");
        storage_ = tenon::Storage{host().require<tenon_storage_1>("tenon.storage/1")};
        storage_.write(deadline_ns(), [](tenon::Session& session) {
            session.execute(
                "CREATE TABLE IF NOT EXISTS @identifier@_schema (version INTEGER PRIMARY KEY, "
                "name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at INTEGER NOT NULL)"
            );
        });
        const std::vector<Applied> applied = applied_steps();
        compare(applied);
        version_ = static_cast<std::uint32_t>(applied.size());
        while (version_ < k_steps.size()) {
            apply(version_);
            ++version_;
        }
    }

    [[nodiscard]] std::uint32_t version() const noexcept override { return version_; }

    [[nodiscard]] std::string report() override {
        const std::vector<Applied> applied = applied_steps();
        std::string out = R"({"current":)" + std::to_string(applied.size()) + R"(,"latest":)" +
                          std::to_string(k_steps.size()) + R"(,"migrations":[)";
        for (std::size_t i = 0; i < k_steps.size(); ++i) {
            const bool done = i < applied.size();
            out += (i == 0 ? "" : ",");
            out += R"({"version":)" + std::to_string(i + 1) + R"(,"name":)";
            tenon::append_json(out, k_steps[i].name);
            out += done ? R"(,"state":"applied")" : R"(,"state":"pending")";
            out += R"(,"checksum":")" + checksum(k_steps[i].sql) + R"(","applied_at":)";
            out += done ? std::to_string(applied[i].at_ms) : "null";
            out += "}";
        }
        return out + "]}";
    }

private:
    struct Applied {
        std::string name, checksum;
        std::int64_t at_ms;
    };

    [[nodiscard]] std::int64_t deadline_ns() const {
        return clock_->now_ns(clock_.self) + std::chrono::nanoseconds{timeout_}.count();
    }

    [[nodiscard]] std::vector<Applied> applied_steps() const {
        std::vector<Applied> found;
        storage_.read(deadline_ns(), [&](tenon::Session& session) {
            found.clear();  // a transaction may run twice
            auto rows = session.prepare(
                "SELECT name, checksum, applied_at FROM @identifier@_schema ORDER BY version"
            );
            while (rows.step()) {
                found.push_back(
                    {std::string{rows.text(0)}, std::string{rows.text(1)}, rows.integer(2)}
                );
            }
        });
        return found;
    }

    static void compare(const std::vector<Applied>& applied) {
        if (applied.size() > k_steps.size()) {
            throw tenon::Error{
                TENON_CONFLICT,
                "the schema has version " + std::to_string(applied.size()) +
                    ", this plugin knows " + std::to_string(k_steps.size())};
        }
        for (std::size_t i = 0; i < applied.size(); ++i) {
            if (applied[i].checksum != checksum(k_steps[i].sql)) {
                throw tenon::Error{
                    TENON_CORRUPT,
                    "step " + std::to_string(i + 1) + " (" + applied[i].name +
                        ") was applied with another text than this plugin has"};
            }
        }
    }

    void apply(std::size_t index) {
        const Step& step = k_steps[index];
        const std::int64_t now_ms = clock_->now_real_ns(clock_.self) / 1'000'000;
        storage_.write(deadline_ns(), [&](tenon::Session& session) {
            session.execute(step.sql);
            session.prepare("INSERT INTO @identifier@_schema VALUES (?, ?, ?, ?)")
                .bind_all(
                    static_cast<std::int64_t>(index + 1), step.name, checksum(step.sql), now_ms
                )
                .run();
        });
        host().log().info("migrated", {{"version", index + 1}, {"name", step.name}});
    }

    std::chrono::milliseconds timeout_{};
    tenon::Service<tenon_clock_1> clock_;
    tenon::Storage storage_;
    std::atomic<std::uint32_t> version_{0};
};

}  // namespace

TENON_EXPORT_PLUGIN(Migrator)
