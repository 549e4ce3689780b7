// SPDX-License-Identifier: Apache-2.0
// New code for a plugin that runs: beside the old one where both say that this is well, else in its
// place. The old one is kept until the new one has proved itself.
#include "kernel/loader/lifecycle.hpp"
#include "kernel/loader/safe_mode.hpp"
#include "kernel/runtime/clock.hpp"
#include "kernel/runtime/crash.hpp"
#include "sdk/forward/passage.hpp"
#include "sdk/loading/library.hpp"

#include <tenon/plugin.hpp>

#include <algorithm>
#include <poll.h>

namespace tenon::loader {

namespace {

using registry::PluginState;

// What the new one says of itself, from this state on, that the old one did not; "" for nothing.
std::string
worse(const PluginSlot::Reports& before, const PluginSlot::Reports& now, std::int32_t from) {
    for (const auto& [component, report] : now) {
        const auto known = before.find(component);
        const std::int32_t then = known == before.end() ? TENON_HEALTHY : known->second.first;
        if (report.first >= from && report.first > then) {
            return "unhealthy after its start: " + component + ": " + report.second;
        }
    }
    return {};
}

// Looks until the time is over or something is critical; degraded may pass.
std::string
watch(const PluginSlot& slot, const PluginSlot::Reports& before, std::chrono::milliseconds period) {
    const std::int64_t until = runtime::monotonic_ns() + period.count() * 1'000'000;
    for (;;) {
        const bool over = runtime::monotonic_ns() >= until;
        const std::string why =
            worse(before, slot.reported(), over ? TENON_DEGRADED : TENON_CRITICAL);
        if (over || !why.empty()) {
            return why;
        }
        (void)::poll(nullptr, 0, 10);
    }
}

// Nobody is left who began a call before.
bool quiet(std::int64_t limit_ms) {
    const std::int64_t until = runtime::monotonic_ns() + limit_ms * 1'000'000;
    return forward::quiesce([until] { return runtime::monotonic_ns() >= until; });
}

}  // namespace

Lifecycle::Replaced Lifecycle::replace(
    std::string_view name,
    manifest::PlannedPlugin fresh,
    std::chrono::milliseconds period
) {
    auto& entry = const_cast<Entry&>(find(name));
    const PluginState state = entry.slot->state();
    if (state == PluginState::quarantined || state == PluginState::held) {
        throw Error{
            TENON_CONFLICT,
            "plugin \"" + std::string{name} + "\" is " + std::string{registry::state_name(state)} +
                ": only a restart of the server starts it again"};
    }
    const tenon_entry* library = nullptr;
    {
        const runtime::CallScope scope{&entry.slot->owner(), "load"};
        library = open_library(fresh.manifest);
    }
    Replaced out;
    out.swapped =
        state == PluginState::started && entry.binding->replaceable() && fresh.manifest.replaceable;
    if (out.swapped) {
        out.names = {std::string{name}};
        out.error = swap(entry, library, fresh, period);
        out.restored = !out.error.empty();
    } else {
        exchange(entry, library, fresh, period, out);
    }
    services_->health->set_version(name, entry.slot->plan().manifest.version);
    return out;
}

// The new instance starts while the old one serves; then calls go to the new one, and the old one
// ends when nobody is in it. Gives what was wrong with the new one; then the old one goes on.
std::string Lifecycle::swap(
    Entry& entry,
    const tenon_entry* library,
    const manifest::PlannedPlugin& fresh,
    std::chrono::milliseconds period
) {
    // Of the new one until it has proved itself, of the old one from then on.
    auto plan = std::make_unique<manifest::PlannedPlugin>(fresh);
    Entry other;
    other.trial = true;
    other.library = library;
    other.slot = std::make_unique<PluginSlot>(*services_, *plan, true);
    other.slot->owner().fingerprint = fingerprint(*plan);
    other.slot->set_providers(*entry.slot);
    std::string why;
    try {
        load(other);
        configure(other);
        entry.binding->check(other.offers);
        start_one(other);
    } catch (const Error& e) {
        fail(other, e.what());
        why = e.what();
    }
    if (why.empty()) {
        entry.binding->point(*other.slot, other.offers);
        why = watch(*other.slot, entry.slot->reported(), period);
        if (!why.empty()) {
            entry.binding->rejoin(entry.offers);
            entry.binding->point(*entry.slot, entry.offers);
        }
    }
    if (why.empty()) {
        manifest::PlannedPlugin& planned = planned_of(entry);
        {
            const std::lock_guard lock{*services_->planned};
            std::swap(planned, *plan);
        }
        entry.slot->set_plan(*plan);
        other.slot->set_plan(planned);
        std::swap(entry.slot, other.slot);
        std::swap(entry.library, other.library);
        std::swap(entry.offers, other.offers);
        entry.given = std::move(other.given);
        entry.stale = false;
        entry.slot->end_trial();
    }
    retire(*entry.binding, std::move(other), std::move(plan));
    return why;
}

// An instance that nobody is to call any more.
void Lifecycle::retire(
    Binding& binding,
    Entry entry,
    std::unique_ptr<manifest::PlannedPlugin> plan
) {
    const manifest::PluginManifest& manifest = plan->manifest;
    bool gone = quiet(manifest.drain_timeout_ms);
    if (gone) {
        binding.settle();
        stop(Entries{&entry});
        gone = entry.slot->state() != PluginState::quarantined &&
               services_->exec->fence(
                   entry.slot->owner(), std::chrono::milliseconds{manifest.stop_timeout_ms}
               );
    }
    try {
        if (gone) {
            end_commands(entry);
            destroy_one(entry);
            runtime::forget_image(entry.slot->owner());
            return;
        }
    } catch (const Error& e) {  // it did not come back from its destroy
        give_up(entry, PluginState::quarantined, e.what());
    }
    // Somebody is in it: it is left until the server stops.
    log_->write(
        TENON_LOG_WARN,
        "plugin_left_behind",
        {{"name", entry.slot->name()}, {"version", manifest.version}}
    );
    retired_.push_back({std::move(entry), std::move(plan)});
}

// Stops the plugin and those that need it, makes them anew with the new code, and starts them; when
// one of those that ran does not run again, all of it once more with the old code.
void Lifecycle::exchange(
    Entry& entry,
    const tenon_entry* library,
    const manifest::PlannedPlugin& fresh,
    std::chrono::milliseconds period,
    Replaced& out
) {
    const Entries affected = bound_to(entry.slot->name(), out.names);
    manifest::PlannedPlugin& planned = planned_of(entry);
    const manifest::PlannedPlugin before = planned;
    const tenon_entry* const old = entry.library;
    const PluginSlot::Reports reports = entry.slot->reported();
    std::vector<Entry*> running;
    std::copy_if(
        affected.begin(),
        affected.end(),
        std::back_inserter(running),
        [&](const Entry* one) {
            return one == &entry || one->slot->state() == PluginState::started;
        }
    );
    const auto run = [&](const manifest::PlannedPlugin& plan, const tenon_entry* code) {
        stop(affected);
        for (auto one = affected.rbegin(); one != affected.rend(); ++one) {
            unmake(**one);
        }
        {
            const std::lock_guard lock{*services_->planned};
            planned = plan;
        }
        entry.library = code;
        entry.slot->owner().fingerprint = fingerprint(planned);
        start(affected);
        const auto down = std::find_if(running.begin(), running.end(), [](const Entry* one) {
            return one->slot->state() != PluginState::started;
        });
        return down == running.end() ? watch(*entry.slot, reports, period)
                                     : "\"" + (*down)->slot->name() + "\": " + (*down)->error;
    };
    trying_ = true;
    out.error = run(fresh, library);
    trying_ = false;
    if (!out.error.empty() && old != nullptr) {
        out.restored = run(before, old).empty();
    }
    if (out.error.empty()) {
        return;
    }
    if (old == nullptr) {
        const std::lock_guard lock{*services_->planned};
        planned = before;
    }
    must_stop_ = must_stop_ || (!out.restored &&
                                std::any_of(running.begin(), running.end(), [](const Entry* one) {
                                    return one->slot->state() != PluginState::started &&
                                           one->slot->plan().instance.stop_on_failure;
                                }));
}

// Back to before its create, after its stop.
void Lifecycle::unmake(Entry& entry) {
    PluginSlot& slot = *entry.slot;
    if (slot.state() == PluginState::quarantined || slot.state() == PluginState::held) {
        return;
    }
    try {
        if (slot.plugin() != nullptr) {
            const std::chrono::milliseconds limit{slot.plan().manifest.stop_timeout_ms};
            if (!quiet(limit.count()) || !services_->exec->fence(slot.owner(), limit)) {
                throw Error{TENON_TIMEOUT, "others are still in it after its stop"};
            }
            entry.binding->settle();
            end_commands(entry);
            destroy_one(entry);
        }
        slot.forget_reports();
        entry.given.clear();
        set_state(entry, PluginState::planned);
    } catch (const Error& e) {
        give_up(entry, PluginState::quarantined, e.what());
    }
}

manifest::PlannedPlugin& Lifecycle::planned_of(const Entry& entry) {
    return plan_->plugins[static_cast<std::size_t>(&entry - entries_.data())];
}

}  // namespace tenon::loader
