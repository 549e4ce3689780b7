// SPDX-License-Identifier: Apache-2.0
#include "plugins/archive/keeper.hpp"

#include "plugins/archive/partitions.hpp"

#include <boost/json.hpp>

#include <algorithm>

namespace tenon::archive {
namespace {

namespace json = boost::json;

// After a run that failed the next one comes sooner.
constexpr std::int64_t k_again_ns = 900'000'000'000;
constexpr std::size_t k_reason_max = 512;

void require_span(std::int64_t from_real_ns, std::int64_t to_real_ns) {
    if (from_real_ns > to_real_ns) {
        throw Error{TENON_INVALID, "from is after to"};
    }
}

json::object describe(const Manifest& manifest) {
    return {
        {"id", manifest.id},
        {"table", manifest.table},
        {"state", name_of(manifest.state)},
        {"rows", manifest.rows},
        {"bytes", manifest.bytes},
        {"from_real_ns", manifest.min_time},
        {"to_real_ns", manifest.max_time},
        {"changed", manifest.changed},
        {"copied", manifest.copied}};
}

}  // namespace

Keeper::Keeper(RetentionContext context, KeeperOptions options, Failed failed, Failed not_kept)
    : context_{std::move(context)},
      options_{std::move(options)},
      failed_{std::move(failed)},
      not_kept_{std::move(not_kept)},
      retention_{context_, options_.retention} {
    open_schedule();
}

bool Keeper::has_schedule() const noexcept {
    return options_.every_ns != 0 && !options_.retention.policies.empty();
}

void Keeper::open_schedule() {
    std::string text;
    try {
        text = has_schedule() ? context_.folder.schedule() : "";
        schedule_.begin(text, context_.now_ns(), context_.now_real_ns(), options_.every_ns);
    } catch (const Error& e) {
        schedule_.begin("", context_.now_ns(), context_.now_real_ns(), options_.every_ns);
        not_kept_(context_.folder.path() + "/schedule: " + e.what());
    }
    save_schedule(context_.now_ns());
}

void Keeper::save_schedule(std::int64_t now_ns) {
    if (!schedule_.take_unsaved(now_ns) || !has_schedule()) {
        return;
    }
    try {
        context_.folder.save_schedule(schedule_.text());
    } catch (const Error& e) {
        not_kept_(e.what());
    }
}

std::optional<Outcome> Keeper::tick(std::int64_t work_ns) {
    const std::unique_lock run_lock{run_mutex_, std::try_to_lock};
    if (!run_lock.owns_lock()) {
        return {};  // a command is at work
    }
    const std::lock_guard lock{mutex_};
    const std::int64_t now_ns = context_.now_ns();
    const std::uint64_t all = context_.storage.stats().transactions;
    const std::uint64_t mine = retention_.counts().transactions;
    schedule_.observe(now_ns, context_.now_real_ns(), all - std::min(all, mine));
    save_schedule(now_ns);
    if (options_.every_ns == 0 || !schedule_.may_begin(now_ns, options_.latest_ns)) {
        return {};
    }
    if (!is_running_) {
        is_running_ = true;
        retention_.begin_run();
        before_ = retention_.counts();
        outcome_ = {};
    }
    while (step(outcome_)) {
        if (context_.stopping() || context_.now_ns() - now_ns >= work_ns) {
            return {};
        }
    }
    is_running_ = false;
    schedule_.done(
        now_ns,
        context_.now_real_ns(),
        outcome_.failure.empty() ? options_.every_ns : std::min(options_.every_ns, k_again_ns)
    );
    save_schedule(now_ns);
    return std::exchange(outcome_, {});
}

bool Keeper::step(Outcome& outcome) {
    const auto note = [&](const Error& e) {
        const std::string reason = std::string{e.what()}.substr(0, k_reason_max);
        if (outcome.failure.empty()) {
            outcome.failure = reason;
        }
        failed_(reason);
    };
    bool more = true;
    try {
        more = retention_.step();
    } catch (const Error& e) {
        note(e);
    }
    const RetentionCounts& now = retention_.counts();
    outcome.counts.rows_archived = now.rows_archived - before_.rows_archived;
    outcome.counts.rows_deleted = now.rows_deleted - before_.rows_deleted;
    outcome.counts.rows_changed = now.rows_changed - before_.rows_changed;
    outcome.counts.bytes = now.bytes - before_.bytes;
    outcome.counts.ranges = now.ranges - before_.ranges;
    if (!more) {
        try {
            clean_up();
        } catch (const Error& e) {
            note(e);
        }
    }
    return more;
}

// Partitions that the run has emptied.
void Keeper::clean_up() {
    for (const Policy& policy : options_.retention.policies) {
        (void)drop_empty_partitions(
            context_.storage,
            context_.now_ns() + options_.retention.step_timeout_ns,
            policy.table->table,
            Retention::cutoff(policy, context_.now_real_ns())
        );
    }
}

Outcome Keeper::run() {
    const std::lock_guard run_lock{run_mutex_};
    const auto locked = [this](auto body) {
        const std::lock_guard lock{mutex_};
        return body();
    };
    locked([this] {
        is_running_ = false;
        retention_.begin_run();
        before_ = retention_.counts();
    });
    Outcome outcome;
    while (locked([&] { return step(outcome); })) {
        if (context_.stopping()) {
            throw Error{TENON_UNAVAILABLE, "the server is stopping; the next run goes on"};
        }
    }
    return outcome;
}

std::string Keeper::list(const std::string& policy) {
    if (!policy.empty()) {
        (void)history_table(policy);
    }
    const Listing listing = context_.folder.list(policy);
    json::array archives, holds, damaged(listing.damaged.begin(), listing.damaged.end());
    for (const Manifest& manifest : listing.archives) {
        archives.push_back(describe(manifest));
    }
    for (const Hold& hold : context_.folder.holds()) {
        holds.push_back(
            {{"id", hold.id},
             {"table", hold.policy},
             {"reason", hold.reason},
             {"from_real_ns", hold.from_real_ns},
             {"to_real_ns", hold.to_real_ns},
             {"since_real_ns", hold.since_real_ns}}
        );
    }
    return json::serialize(json::object{
        {"archives", std::move(archives)},
        {"holds", std::move(holds)},
        {"damaged", std::move(damaged)}});
}

std::string Keeper::verify(const std::string& id, std::uint64_t& damaged) {
    json::array problems;
    std::uint64_t whole = 0;
    Listing listing;
    if (id.empty()) {
        listing = context_.folder.list();
    } else {
        listing.archives.push_back(context_.folder.get(id));
    }
    for (const std::string& problem : listing.damaged) {
        problems.emplace_back(problem);
    }
    const auto look = [&](const Folder& folder, const Manifest& manifest) {
        try {
            verify_file(folder.file_of(manifest), manifest, context_.stopping);
            ++whole;
        } catch (const Error& e) {
            if (e.code() == TENON_UNAVAILABLE) {
                throw;
            }
            problems.emplace_back(e.what());
        }
    };
    for (const Manifest& manifest : listing.archives) {
        if (manifest.state == State::planned) {
            continue;
        }
        look(context_.folder, manifest);
        if (manifest.copied && options_.retention.second) {
            look(*options_.retention.second, manifest);
        }
    }
    damaged = problems.size();
    return json::serialize(json::object{
        {"ok", problems.empty()}, {"verified", whole}, {"damaged", std::move(problems)}});
}

std::vector<Manifest> Keeper::chosen(const std::string& what, std::int64_t from, std::int64_t to)
    const {
    if (what.find('-') != std::string::npos) {
        return {context_.folder.get(what)};
    }
    (void)history_table(what);
    Listing listing = context_.folder.list(what);
    if (!listing.damaged.empty()) {
        throw Error{TENON_CORRUPT, listing.damaged.front()};
    }
    std::erase_if(listing.archives, [&](const Manifest& manifest) {
        return manifest.state < State::verified || manifest.max_time < from ||
               manifest.min_time > to;
    });
    if (listing.archives.empty()) {
        throw Error{TENON_NOT_FOUND, "no archive of " + what + " lies in that time"};
    }
    return std::move(listing.archives);
}

std::string Keeper::restore(
    const std::string& what,
    std::int64_t from_real_ns,
    std::int64_t to_real_ns,
    std::uint64_t& inserted
) {
    require_span(from_real_ns, to_real_ns);
    const std::lock_guard run_lock{run_mutex_};
    {
        const std::lock_guard lock{mutex_};
        retention_.begin_run();  // it must not go on with a range that is put back
        is_running_ = false;
    }
    const auto deadline_ns = [this] {
        return context_.now_ns() + options_.retention.step_timeout_ns;
    };
    json::array archives;
    bool ok = true;
    for (const Manifest& manifest : chosen(what, from_real_ns, to_real_ns)) {
        if (manifest.state < State::verified) {
            throw Error{
                TENON_CONFLICT,
                manifest.id + " is " + std::string{name_of(manifest.state)} +
                    ": all its rows are in the database"};
        }
        const Restored told = restore_rows(
            context_.storage, context_.folder, manifest, deadline_ns, context_.stopping
        );
        inserted += told.inserted;
        ok = ok && told.hash_equal;
        archives.push_back(
            {{"id", manifest.id},
             {"inserted", told.inserted},
             {"present", told.present},
             {"different", told.different},
             {"differing", json::array(told.differing.begin(), told.differing.end())},
             {"hash_equal", told.hash_equal}}
        );
    }
    return json::serialize(json::object{{"ok", ok}, {"restored", std::move(archives)}});
}

std::string Keeper::query(const Query& query) const {
    require_span(query.from_real_ns, query.to_real_ns);
    const Page page = read_page(context_.folder, query);
    return json::serialize(json::object{
        {"text", page.text},
        {"rows", page.rows},
        {"cursor", page.cursor.empty() ? json::value{} : json::value(page.cursor)}});
}

std::string Keeper::hold(Hold hold) {
    require_span(hold.from_real_ns, hold.to_real_ns);
    const std::lock_guard lock{mutex_};
    std::vector<Hold> holds = context_.folder.holds();
    std::uint64_t number = 1;
    const auto is_taken = [&] {
        return std::any_of(holds.begin(), holds.end(), [&](const Hold& one) {
            return one.id == std::to_string(number);
        });
    };
    while (is_taken()) {
        ++number;
    }
    hold.id = std::to_string(number);
    hold.since_real_ns = context_.now_real_ns();
    holds.push_back(hold);
    context_.folder.open();
    context_.folder.save(holds);
    return json::serialize(json::object{{"held", hold.id}});
}

std::string Keeper::release(const std::string& id) {
    if (id.find('-') != std::string::npos) {
        const std::lock_guard run_lock{run_mutex_};
        Manifest manifest = context_.folder.get(id);
        if (manifest.state != State::restored) {
            throw Error{
                TENON_CONFLICT,
                id + " is " + std::string{name_of(manifest.state)} + ", not restored"};
        }
        manifest.state = State::verified;  // and read again before a row goes
        manifest.updated_real_ns = context_.now_real_ns();
        context_.folder.save(manifest);
        return json::serialize(json::object{{"released", id}});
    }
    const std::lock_guard lock{mutex_};
    std::vector<Hold> holds = context_.folder.holds();
    if (std::erase_if(holds, [&](const Hold& hold) { return hold.id == id; }) == 0) {
        throw Error{TENON_NOT_FOUND, "there is no hold " + id};
    }
    context_.folder.save(holds);
    return json::serialize(json::object{{"released", id}});
}

}  // namespace tenon::archive
