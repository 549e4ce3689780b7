// SPDX-License-Identifier: Apache-2.0
// What comes out of a backup: restores, checks and trials.
#include "plugins/backup/sqlite/store.hpp"
#include "plugins/backup/sqlite/trial.hpp"

#include <algorithm>
#include <fcntl.h>
#include <filesystem>
#include <sys/statvfs.h>
#include <unistd.h>

namespace tenon::backup_sqlite {
namespace {

namespace fs = std::filesystem;

void make_folder(const std::string& folder) {
    std::error_code error;
    fs::create_directories(folder, error);
    if (error) {
        throw Error{TENON_UNAVAILABLE, "cannot make " + folder + ": " + error.message()};
    }
    fs::permissions(folder, fs::perms::owner_all, error);
}

// A folder that goes with everything in it.
class Scratch {
public:
    explicit Scratch(std::string folder) : folder_{std::move(folder)} {
        std::error_code ignored;
        fs::remove_all(folder_, ignored);  // of a run that was killed
        make_folder(folder_);
    }

    ~Scratch() {
        std::error_code ignored;
        fs::remove_all(folder_, ignored);
    }

    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

private:
    std::string folder_;
};

std::uint64_t sequence(const Manifest& manifest, const char* name) {
    return manifest.about.at(name).to_number<std::uint64_t>();
}

// Whether nothing is missing between two backups.
bool joins(const Manifest& before, const Manifest& next) {
    const std::string one = capture_of(before);
    const std::string other = capture_of(next);
    return (one == other || one.empty() || other.empty()) &&
           sequence(next, "from_sequence") <= sequence(before, "to_sequence");
}

capture::Descriptor open_to_append(const std::string& file) {
    capture::Descriptor fd{::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)};
    if (!fd.is_open()) {
        throw capture::file_error("create", file);
    }
    return fd;
}

}  // namespace

Manifest Store::select(std::string_view id, const capture::Target& target) {
    if (!id.empty()) {
        return vault_->manifest(id);
    }
    std::vector<std::string> damaged;
    const std::vector<Manifest> all = vault_->list(&damaged);
    const auto found = std::find_if(all.rbegin(), all.rend(), [&](const Manifest& one) {
        return target.txid != 0      ? sequence(one, "from_sequence") <= target.txid
               : target.real_ns != 0 ? one.from_ns <= target.real_ns
                                     : true;
    });
    if (found == all.rend()) {
        throw Error{
            damaged.empty() ? TENON_NOT_FOUND : TENON_CORRUPT,
            damaged.empty() ? "no backup reaches the wanted state" : damaged.front()};
    }
    // What lay between two generations may have been pruned: an older state is not what is asked
    // for.
    if (found != all.rbegin() && target.real_ns > found->to_ns) {
        const Manifest& next = *std::prev(found);
        if (!joins(*found, next)) {
            throw Error{
                TENON_NOT_FOUND,
                "no backup reaches that moment: " + found->id + " ends at " +
                    vault::iso_time(found->to_ns) + ", " + next.id + " begins at " +
                    vault::iso_time(next.from_ns) +
                    "; what was shipped in between, if anything, is " +
                    "restored when that id is named"};
        }
    }
    return *found;
}

// The base to begin with is the newest that is not behind the target; of the rest only segments
// after it are needed.
void Store::unpack(
    const Manifest& manifest,
    const capture::Target& target,
    bool with_tails,
    const std::string& folder,
    const Say& say
) {
    const auto put = [&](const vault::File& file) {
        const std::string to = folder + "/" + file.name;
        const capture::Descriptor fd = open_to_append(to);
        vault_->fetch_file(file, [&](vault::View content) {
            capture::write_all(fd.get(), content, to);
        });
    };
    std::string first_segment;
    std::uint64_t done = 0;
    for (auto file = manifest.files.rbegin(); file != manifest.files.rend(); ++file) {
        if (!is_base(file->name)) {
            continue;
        }
        put(*file);
        const capture::BaseHeader header = capture::read_base_header(folder + "/" + file->name);
        const bool is_behind = target.txid != 0      ? header.txid > target.txid
                               : target.real_ns != 0 ? header.real_ns > target.real_ns
                                                     : false;
        if (is_behind) {
            (void)::unlink((folder + "/" + file->name).c_str());
            continue;
        }
        done = file->bytes;
        first_segment = name_of(capture::segment_name("", header.epoch, header.txid + 1));
        break;
    }
    for (const vault::File& file : manifest.files) {
        if (is_segment(file.name) && file.name >= first_segment) {
            say("fetch", done, manifest.bytes());
            put(file);
            done += file.bytes;
        }
    }
    if (with_tails) {
        unpack_tails(capture_of(manifest), folder, first_segment);
    }
}

void Store::unpack_tails(
    const std::string& capture,
    const std::string& folder,
    const std::string& first
) {
    for (const Tail& tail : tails(*vault_)) {
        if (tail.capture != capture) {
            continue;
        }
        const std::string file = folder + "/" + tail.segment;
        std::error_code missing;
        const std::uintmax_t size = fs::file_size(file, missing);
        const std::uint64_t bytes = missing ? 0 : size;
        if (tail.segment < first || tail.offset > bytes) {
            continue;  // behind a gap: the walk over the commits names it
        }
        const vault::Bytes content = vault_->fetch_named(tail.object);
        const std::uint64_t known = bytes - tail.offset;
        if (known < content.size()) {
            const capture::Descriptor fd = open_to_append(file);
            capture::write_all(
                fd.get(), vault::View{content}.subspan(static_cast<std::size_t>(known)), file
            );
        }
    }
}

capture::Progress Store::while_wanted() const {
    return [this](auto, auto) { return !vault_->place().is_cancelled(); };
}

capture::Position Store::restore_from(
    const Manifest& manifest,
    const capture::Target& target,
    bool with_tails,
    const std::string& to,
    const Say& say
) {
    const Scratch parts{to + "/.parts"};
    unpack(manifest, target, with_tails, to + "/.parts", say);
    return capture::restore(
        to + "/.parts",
        target,
        to + "/tenon.db",
        [&](std::uint64_t done, std::uint64_t total) {
            say("restore", done, total);
            return !vault_->place().is_cancelled();
        }
    );
}

// A backup that is whole and reaches what the damaged one did, in words; empty when there is none.
std::string Store::other_generation(const Manifest& damaged) {
    const std::vector<Manifest> all = vault_->list();
    for (auto one = all.rbegin(); one != all.rend(); ++one) {
        if (one->id == damaged.id || one->from_ns > damaged.to_ns) {
            continue;
        }
        try {
            vault_->check(*one, [](auto, auto, auto) {});
        } catch (const Error& e) {
            if (e.code() != TENON_CORRUPT) {
                throw;
            }
            continue;
        }
        return "; the backup " + one->id + " is whole and goes from " +
               vault::iso_time(one->from_ns) + " to " + vault::iso_time(one->to_ns);
    }
    return "; no other backup reaches it";
}

// What another process has pruned meanwhile is not damaged.
void Store::require_there(const Manifest& manifest) {
    try {
        (void)vault_->manifest(manifest.id);
        return;
    } catch (const Error& e) {
        if (e.code() != TENON_NOT_FOUND) {
            return;
        }
    }
    std::string left;
    for (const Manifest& one : vault_->list()) {
        left += (left.empty() ? "" : ", ") + one.id + " (" + vault::iso_time(one.from_ns) + " to " +
                vault::iso_time(one.to_ns) + ")";
    }
    throw Error{
        TENON_NOT_FOUND,
        "the backup " + manifest.id + " was pruned while it was read; " +
            (left.empty() ? "there is no other: make one" : "there are also " + left)};
}

void Store::verify(std::string_view id, const Say& say) {
    const Manifest manifest = vault_->manifest(id);
    try {
        vault_->check(manifest, say);
        const Scratch folder{scratch_};
        unpack(manifest, {}, false, scratch_, say);
        const capture::Listing all = capture::list(scratch_);
        const capture::BaseHeader header =
            capture::unpack_base(all.bases.back().file, "", while_wanted());
        capture::Walker walker{scratch_, header};
        while (walker.next({})) {
            vault_->place().require_going_on();
        }
        if (walker.txid() < sequence(manifest, "to_sequence")) {
            throw Error{
                TENON_CORRUPT,
                "the backup " + manifest.id + " reaches commit " + std::to_string(walker.txid()) +
                    ", its manifest says " + std::to_string(sequence(manifest, "to_sequence"))};
        }
        (void)restore_journal(*vault_, manifest, {}, scratch_, say);
    } catch (const Error& e) {
        if (e.code() != TENON_CORRUPT) {
            throw;
        }
        require_there(manifest);
        throw Error{TENON_CORRUPT, e.what() + other_generation(manifest)};
    }
}

Restored Store::restore(
    std::string_view id,
    const capture::Target& target,
    const std::string& to,
    const Say& say
) {
    if (to.empty() || to.front() != '/') {
        throw Error{TENON_INVALID, "the folder to restore to has to be an absolute path"};
    }
    std::error_code error;
    const bool was_there = fs::exists(to, error);
    if (was_there && (!fs::is_directory(to, error) || !fs::is_empty(to, error))) {
        throw Error{TENON_CONFLICT, to + " is not an empty folder"};
    }
    const Manifest chosen = select(id, target);
    const std::uint64_t end = sequence(chosen, "to_sequence");
    const bool is_open = target.txid == 0 && target.real_ns == 0;
    const bool with_tails =
        target.txid > end || target.real_ns > chosen.to_ns || (is_open && id.empty());
    const capture::Target wanted = is_open && !with_tails ? capture::Target{end, 0} : target;
    try {
        make_folder(to);
        Restored made{restore_from(chosen, wanted, with_tails, to, say), {}};
        JournalWish wish{with_tails, {}};
        if (!is_open) {
            wish.until_ns = target.real_ns != 0 ? target.real_ns : made.real_ns;
        }
        made.journal = restore_journal(*vault_, chosen, wish, to, say);
        return made;
    } catch (const Error& e) {
        for (const char* part : {"tenon.db", "journal", "snapshots"}) {
            fs::remove_all(to + "/" + part, error);
        }
        if (!was_there) {
            fs::remove(to, error);
        }
        if (e.code() == TENON_CORRUPT || e.code() == TENON_NOT_FOUND) {
            require_there(chosen);
        }
        if (e.code() == TENON_CORRUPT) {
            throw Error{TENON_CORRUPT, e.what() + other_generation(chosen)};
        }
        if (e.code() == TENON_NOT_FOUND && target.txid > end) {
            throw Error{
                TENON_NOT_FOUND,
                "no backup reaches commit " + std::to_string(target.txid) + ", nor does what was " +
                    "shipped after " + chosen.id + ", which reaches " + std::to_string(end)};
        }
        throw;
    }
}

// The end of what there is tells when the order was placed; its commit is soon after that time.
std::uint64_t Store::commit_of_order(std::uint64_t order, const Say& say) {
    std::optional<std::int64_t> placed;
    {
        const Scratch folder{scratch_};
        (void)restore_from(select("", {}), {}, true, scratch_, say);
        placed = order_placed_ns(scratch_ + "/tenon.db", order);
    }
    if (!placed) {
        throw Error{TENON_NOT_FOUND, "no backup has the order " + std::to_string(order)};
    }
    const Scratch folder{scratch_};
    const capture::Target then{0, *placed};
    const Manifest chosen = select("", then);
    unpack(chosen, then, chosen.id == select("", {}).id, scratch_, say);
    capture::Position at;
    const auto has_order = [&](const capture::Target& target) {
        vault_->place().require_going_on();
        const Scratch probe{scratch_ + "/probe"};
        at = capture::restore(scratch_, target, scratch_ + "/probe/tenon.db", while_wanted());
        try {
            return order_placed_ns(scratch_ + "/probe/tenon.db", order).has_value();
        } catch (const Error& e) {
            if (e.code() != TENON_UNSUPPORTED) {
                throw;
            }
            return false;  // before its tables were made
        }
    };
    // Commits are stamped after the orders in them are, unless the clock was set back between.
    const bool is_there = has_order(then);
    std::uint64_t without = is_there ? capture::list(scratch_).bases.back().txid : at.txid;
    std::uint64_t with = at.txid;
    if (is_there && has_order({without, 0})) {
        throw Error{
            TENON_UNSUPPORTED,
            "the clock was set back after the order " + std::to_string(order) +
                " was placed: restore to a time or a sequence"};
    }
    for (std::uint64_t step = 1; !is_there; step *= 2) {
        with = without + step;
        try {
            if (has_order({with, 0})) {
                break;
            }
            without = with;
        } catch (const Error& e) {
            if (e.code() != TENON_NOT_FOUND) {
                throw;
            }
            (void)has_order({});  // the end
            with = at.txid;
            break;
        }
    }
    while (without + 1 < with) {
        const std::uint64_t middle = without + (with - without) / 2;
        (has_order({middle, 0}) ? with : without) = middle;
    }
    return with;
}

Restored Store::restore_order(std::uint64_t order, const std::string& to, const Say& say) {
    std::error_code error;
    if (fs::exists(to, error) && !fs::is_empty(to, error)) {
        throw Error{TENON_CONFLICT, to + " is not an empty folder"};
    }
    return restore("", {commit_of_order(order, say), 0}, to, say);
}

void Store::require_room_to_try(const Manifest& manifest) const {
    struct statvfs room {};

    const std::uint64_t needed = sequence(manifest, "database_bytes") + manifest.bytes();
    if (::statvfs(scratch_.c_str(), &room) == 0 &&
        std::uint64_t{room.f_bavail} * room.f_frsize < needed + needed / 8) {
        throw Error{
            TENON_UNAVAILABLE,
            "no room to try a restore in " + scratch_ + ": " + std::to_string(needed) +
                " bytes are needed"};
    }
}

std::string Store::drill(std::string_view id, std::int64_t now_real_ns, const Say& say) {
    const Manifest chosen = select(id, {});
    vault::Proof proof = vault_->proof(chosen.id);
    try {
        const Scratch folder{scratch_};
        require_room_to_try(chosen);
        const capture::Target end{sequence(chosen, "to_sequence"), 0};
        (void)restore_from(chosen, end, false, scratch_, say);
        say("check", 0, 0);
        require_whole(scratch_ + "/tenon.db", [&] { return !vault_->place().is_cancelled(); });
        (void)restore_journal(*vault_, chosen, {}, scratch_, say);
    } catch (const Error& e) {
        if (e.code() == TENON_CORRUPT || e.code() == TENON_NOT_FOUND) {
            require_there(chosen);
            proof.failed_ns = now_real_ns;
            proof.reason = e.what();
            vault_->set_proof(chosen.id, proof);
        }
        throw Error{e.code(), "the trial of " + chosen.id + ": " + e.what()};
    }
    vault_->set_proof(chosen.id, {now_real_ns, 0, "", {}});
    return chosen.id;
}

}  // namespace tenon::backup_sqlite
