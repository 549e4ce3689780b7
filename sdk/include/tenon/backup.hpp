// SPDX-License-Identifier: Apache-2.0
// tenon.backup/1 in C++: derive from Backup and call provide<tenon::Backup>(this) in the
// constructor. What a backup must keep is in abi/backup.h. Everything is [io], one call at a time,
// but for cancel.
#pragma once

#include <tenon/abi/backup.h>
#include <tenon/plugin.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace tenon {

class Backup {
public:
    static constexpr std::string_view k_id = "tenon.backup/1";

    // Says how far the work is; throws when the caller wants it to stop. Let that pass.
    class Progress {
    public:
        explicit Progress(tenon_backup_progress raw) noexcept : raw_{raw} {}

        void operator()(std::string_view phase, std::uint64_t done, std::uint64_t total) const {
            if (raw_.fn == nullptr) {
                return;
            }
            if (const tenon_status status = raw_.fn(raw_.ctx, str(phase), done, total);
                status != TENON_OK) {
                throw Error{status, "stopped by the caller"};
            }
        }

    private:
        tenon_backup_progress raw_;
    };

    // The new backup as JSON. Throws Error.
    [[nodiscard]] virtual std::string
    create(const tenon_backup_request& request, const Progress& progress) = 0;
    // JSON, as abi/backup.h has it.
    [[nodiscard]] virtual std::string list() = 0;
    // Throws Error TENON_CORRUPT with the piece's name.
    virtual void verify(std::string_view id, const Progress& progress) = 0;
    virtual void restore(const tenon_restore_request& request, const Progress& progress) = 0;
    // JSON list of the ids that are, or with dry_run would be, deleted.
    [[nodiscard]] virtual std::string prune(bool dry_run) = 0;
    // [any] The work in progress throws Error TENON_UNAVAILABLE soon after.
    virtual void cancel() noexcept = 0;

    [[nodiscard]] static const void* table(const Backup&) noexcept {
        static constexpr tenon_backup_1 k_table{
            sizeof(tenon_backup_1),
            0,
            &create_backup,
            &list_backups,
            &verify_backup,
            &restore_backup,
            &prune_backups,
            [](void* self) noexcept { of(self).cancel(); }};
        return &k_table;
    }

protected:
    ~Backup() = default;

private:
    static Backup& of(void* self) noexcept { return *static_cast<Backup*>(self); }

    static tenon_status create_backup(
        void* self,
        const tenon_backup_request* request,
        tenon_backup_progress progress,
        tenon_sink out,
        tenon_err* err
    ) noexcept {
        return guard(err, [&] {
            const std::string made = of(self).create(*request, Progress{progress});
            return out.put(out.ctx, bytes(made));
        });
    }

    static tenon_status list_backups(void* self, tenon_sink out, tenon_err* err) noexcept {
        return guard(err, [&] {
            const std::string all = of(self).list();
            return out.put(out.ctx, bytes(all));
        });
    }

    static tenon_status verify_backup(
        void* self,
        tenon_str id,
        tenon_backup_progress progress,
        tenon_err* err
    ) noexcept {
        return guard(err, [&] { of(self).verify(view(id), Progress{progress}); });
    }

    static tenon_status restore_backup(
        void* self,
        const tenon_restore_request* request,
        tenon_backup_progress progress,
        tenon_err* err
    ) noexcept {
        return guard(err, [&] { of(self).restore(*request, Progress{progress}); });
    }

    static tenon_status
    prune_backups(void* self, std::uint32_t dry_run, tenon_sink out, tenon_err* err) noexcept {
        return guard(err, [&] {
            const std::string ids = of(self).prune(dry_run != 0);
            return out.put(out.ctx, bytes(ids));
        });
    }
};

}  // namespace tenon
