// SPDX-License-Identifier: Apache-2.0
#include "kernel/loader/lifecycle.hpp"

#include "kernel/loader/safe_mode.hpp"
#include "kernel/runtime/clock.hpp"
#include "kernel/runtime/crash.hpp"
#include "sdk/loading/library.hpp"
#include "sdk/manifest/secret_reference.hpp"

#include <tenon/plugin.hpp>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <array>
#include <future>

namespace tenon::loader {

namespace {

using registry::PluginState;

// A plugin that drains until the deadline itself is not late.
constexpr std::int64_t k_drain_grace_ms = 1'000;

// Of a plugin's table, all of 1.0 must be there; what came later is optional.
bool is_complete(const tenon_plugin* plugin) {
    if (plugin == nullptr || plugin->vt == nullptr) {
        return false;
    }
    const tenon_plugin_vt* vt = plugin->vt;
    return TENON_HAS(vt, tenon_plugin_vt, query) && vt->configure != nullptr &&
           vt->start != nullptr && vt->drain != nullptr && vt->stop != nullptr &&
           vt->destroy != nullptr;
}

}  // namespace

Lifecycle::Lifecycle(
    manifest::Plan& plan,
    const Services& services,
    runtime::LogSource& log,
    Refused refused
)
    : plan_{&plan}, services_{&services}, log_{&log}, refused_{std::move(refused)} {
    for (const manifest::PlannedPlugin& planned : plan.plugins) {
        Entry& entry = entries_.emplace_back();
        entry.slot = std::make_unique<PluginSlot>(services, planned);
        entry.binding = std::make_unique<Binding>(*entry.slot);
        entry.slot->owner().fingerprint = fingerprint(planned);
        services.health->add_plugin(
            {planned.instance.name,
             planned.manifest.id,
             planned.manifest.version,
             planned.manifest.critical,
             PluginState::planned,
             ""}
        );
    }
    for (Entry& entry : entries_) {
        for (const auto& [interface_id, indices] : entry.slot->plan().providers) {
            std::vector<const Binding*> providers;
            for (const std::size_t index : indices) {
                providers.push_back(entries_[index].binding.get());
            }
            entry.slot->set_providers(interface_id, std::move(providers));
        }
    }
}

Lifecycle::~Lifecycle() {
    destroy();
    runtime::forget_images();
}

Lifecycle::Entries Lifecycle::all() {
    Entries out;
    for (Entry& entry : entries_) {
        out.push_back(&entry);
    }
    return out;
}

bool Lifecycle::start() {
    start(all());
    return !must_stop_;
}

void Lifecycle::start(const Entries& entries) {
    for (Entry* entry : entries) {
        if (hurried_) {
            return;
        }
        try {
            prepare(*entry);
        } catch (const Error& e) {
            fail(*entry, e.what());
        }
    }
    for (Entry* entry : entries) {
        const PluginState state = entry->slot->state();
        try {
            if ((state == PluginState::configured || state == PluginState::stopped) &&
                !blocked(*entry)) {
                start_one(*entry);
            }
        } catch (const Error& e) {
            fail(*entry, e.what());
        }
        if (must_stop_ || hurried_) {
            return;
        }
    }
}

// Up to configured. One that got there before is started again as it is.
void Lifecycle::prepare(Entry& entry) {
    const PluginState state = entry.slot->state();
    if (state == PluginState::stopped || state == PluginState::quarantined ||
        state == PluginState::held) {
        return;
    }
    if (!entry.given.empty() && !entry.stale) {
        set_state(entry, PluginState::configured);
        return;
    }
    if (entry.slot->plugin() != nullptr) {
        end_commands(entry);
        destroy_one(entry);
    }
    if (!refused(entry) && !blocked(entry)) {
        load(entry);
        configure(entry);
    }
}

// Before an instance goes: a command that runs is in it. Throws Error when one does not end.
void Lifecycle::end_commands(const Entry& entry) {
    const PluginSlot& slot = *entry.slot;
    const std::chrono::milliseconds limit{slot.plan().manifest.stop_timeout_ms};
    if (!services_->admin->remove_all(slot.name(), limit, &slot)) {
        throw Error{TENON_TIMEOUT, "an admin command of it does not end"};
    }
}

// One and all that are bound to it, directly or not.
Lifecycle::Entries Lifecycle::bound_to(std::string_view name, std::vector<std::string>& names) {
    Entries affected;
    for (const std::size_t index : manifest::with_dependants(*plan_, name)) {
        affected.push_back(&entries_[index]);
        names.push_back(entries_[index].slot->name());
    }
    if (affected.empty()) {
        throw Error{TENON_NOT_FOUND, "no plugin \"" + std::string{name} + "\""};
    }
    return affected;
}

std::vector<std::string> Lifecycle::restart(std::string_view name) {
    std::vector<std::string> names;
    const Entries affected = bound_to(name, names);
    const PluginState state = find(name).slot->state();
    if (state == PluginState::quarantined || state == PluginState::held) {
        throw Error{
            TENON_CONFLICT,
            "plugin \"" + std::string{name} + "\" is " + std::string{registry::state_name(state)} +
                ": only a restart of the server starts it again"};
    }
    stop(affected);
    start(affected);
    return names;
}

bool Lifecycle::refused(Entry& entry) {
    const manifest::PlannedPlugin& plan = entry.slot->plan();
    if (const auto held = refused_.held.find(plan.instance.name); held != refused_.held.end()) {
        give_up(entry, PluginState::held, held->second);
        return true;
    }
    if (const auto bad = refused_.libraries.find(plan.manifest.library);
        bad != refused_.libraries.end()) {
        give_up(entry, PluginState::failed, bad->second);
        return true;
    }
    return false;
}

// A plugin goes down with the first of its providers that it cannot do without. One that was
// configured keeps its admin commands: they may be what repairs the matter.
bool Lifecycle::blocked(Entry& entry) {
    const manifest::PlannedPlugin& plan = entry.slot->plan();
    for (const manifest::Requirement& requirement : plan.manifest.requirements) {
        const auto providers = plan.providers.find(requirement.interface_id);
        if (requirement.optional || providers == plan.providers.end()) {
            continue;
        }
        for (const std::size_t index : providers->second) {
            const Entry& provider = entries_[index];
            if (registry::is_broken(provider.slot->state())) {
                give_up(
                    entry,
                    PluginState::down,
                    "needs " + requirement.interface_id + " of \"" + provider.slot->name() +
                        "\", which is not running"
                );
                return true;
            }
        }
    }
    return false;
}

void Lifecycle::attempt(Entry& entry, const char* what, std::int64_t limit_ms, Step step) {
    struct Outcome {
        Step step;
        tenon_status status = TENON_INTERNAL;
        ErrorBuffer err;
    };

    // Shared, so that a call that is left behind still has what it writes to.
    const auto outcome = std::make_shared<Outcome>();
    outcome->step = std::move(step);
    const auto body = [outcome, owner = &entry.slot->owner(), what] {
        const runtime::CallScope scope{owner, what};
        outcome->status = guard(&outcome->err, [&] { return outcome->step(&outcome->err); });
    };
    const std::string call = "L07 " + std::string{what};
    if (!control_.run(body, std::chrono::milliseconds{limit_ms})) {
        const std::string reason =
            call + " did not return within " + std::to_string(limit_ms) + " ms";
        give_up(entry, PluginState::quarantined, reason);
        throw Error{TENON_TIMEOUT, reason};
    }
    (void)check(outcome->status, outcome->err, call + " failed");
}

void Lifecycle::load(Entry& entry) {
    PluginSlot& slot = *entry.slot;
    const manifest::PluginManifest& manifest = slot.plan().manifest;
    if (entry.library == nullptr) {
        const runtime::CallScope scope{&slot.owner(), "load"};
        entry.library = open_library(manifest);
    }
    const tenon_entry* library = entry.library;
    runtime::know_image(slot.owner(), library);
    set_state(entry, PluginState::created);
    auto made = std::make_shared<tenon_plugin*>(nullptr);
    attempt(
        entry,
        "create",
        manifest.start_timeout_ms,
        [library, made, host = slot.host()](tenon_err* err) {
            return library->create(host, made.get(), err);
        }
    );
    if (!is_complete(*made)) {
        throw Error{TENON_INVALID, "L07 create gave no plugin, or one whose table has gaps"};
    }
    slot.set_plugin(*made);
}

void Lifecycle::configure(Entry& entry) {
    PluginSlot& slot = *entry.slot;
    const manifest::PluginManifest& manifest = slot.plan().manifest;
    boost::json::value config = slot.plan().config;
    tenon::manifest::resolve_secrets(manifest.config_schema, config, plan_->deployment.folder);
    const std::string text = boost::json::serialize(config);
    tenon_plugin* plugin = slot.plugin();
    slot.set_state(PluginState::configured);  // what it may call already
    attempt(entry, "configure", manifest.start_timeout_ms, [plugin, text](tenon_err* err) {
        return plugin->vt->configure(plugin, str(text), 0, err);
    });
    entry.given = text;
    entry.stale = false;
    slot.set_offered(true);
    entry.offers.clear();
    for (const manifest::Provision& provision : manifest.provides) {
        tenon_iface iface{};
        if (slot.query(provision.interface_id, &iface) != TENON_OK || iface.vt == nullptr) {
            throw Error{
                TENON_UNSUPPORTED,
                "L06 the plugin does not give the interface " + provision.interface_id +
                    " that its manifest promises"};
        }
        entry.offers.emplace_back(provision.interface_id, iface);
    }
    if (!entry.trial) {
        entry.binding->check(entry.offers);
        entry.binding->point(slot, entry.offers);
    }
    set_state(entry, PluginState::configured);
}

std::map<std::string, boost::json::value, std::less<>> Lifecycle::settings() const {
    std::map<std::string, boost::json::value, std::less<>> out;
    for (const Entry& entry : entries_) {
        out[entry.slot->name()] = entry.given.empty()
                                      ? boost::json::value(entry.slot->plan().config)
                                      : boost::json::parse(entry.given);
    }
    return out;
}

const Lifecycle::Entry& Lifecycle::find(std::string_view name) const {
    return *std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
        return entry.slot->name() == name;
    });
}

bool Lifecycle::started(std::string_view name) const {
    const Entry& entry = find(name);
    return entry.slot->state() == PluginState::started;
}

// A plugin that runs and does not come back is given up like one that does not start.
void Lifecycle::attempt_live(Entry& entry, const char* what, Step step) {
    try {
        attempt(entry, what, entry.slot->plan().manifest.start_timeout_ms, std::move(step));
    } catch (const Error& e) {
        if (entry.slot->state() == PluginState::quarantined) {
            fail(entry, e.what());
        }
        throw;
    }
}

void Lifecycle::reconfigure(std::string_view name, const std::string& config, bool dry_run) {
    auto& entry = const_cast<Entry&>(find(name));
    tenon_plugin* plugin = entry.slot->plugin();
    attempt_live(entry, "configure", [plugin, config, dry_run](tenon_err* err) {
        return plugin->vt->configure(plugin, str(config), dry_run ? 1 : 0, err);
    });
    if (!dry_run) {
        entry.given = config;
    }
}

bool Lifecycle::keep(std::string_view name, const std::string& config) {
    auto& entry = const_cast<Entry&>(find(name));
    entry.given = config;
    entry.stale = true;
    return true;
}

void Lifecycle::show(std::string_view name, const boost::json::object& config) {
    find(name).slot->config().set(config);
}

void Lifecycle::announce(std::string_view name) {
    auto& entry = const_cast<Entry&>(find(name));
    registry::Config& shown = entry.slot->config();
    attempt_live(entry, "on_change", [&shown](tenon_err*) {
        shown.tell();
        return TENON_OK;
    });
}

void Lifecycle::start_one(Entry& entry) {
    const std::int64_t before = runtime::monotonic_ns();
    tenon_plugin* plugin = entry.slot->plugin();
    entry.slot->set_state(PluginState::started);  // what it may call already
    entry.slot->set_offered(true);
    attempt(entry, "start", entry.slot->plan().manifest.start_timeout_ms, [plugin](tenon_err* err) {
        return plugin->vt->start(plugin, err);
    });
    set_state(entry, PluginState::started);
    log_->write(
        TENON_LOG_INFO,
        "plugin_started",
        {{"name", entry.slot->name()},
         {"id", entry.slot->plan().manifest.id},
         {"version", entry.slot->plan().manifest.version},
         {"elapsed_ms", (runtime::monotonic_ns() - before) / 1'000'000}}
    );
}

void Lifecycle::fail(Entry& entry, const std::string& reason) {
    if (entry.slot->state() != PluginState::quarantined) {
        give_up(entry, PluginState::failed, reason);
    }
}

void Lifecycle::give_up(Entry& entry, PluginState state, const std::string& reason) {
    entry.slot->set_offered(false);
    set_state(entry, state, reason);
    must_stop_ =
        must_stop_ || (!entry.trial && !trying_ && entry.slot->plan().instance.stop_on_failure);
    log_->write(
        TENON_LOG_ERROR,
        "plugin_" + std::string{registry::state_name(state)},
        {{"name", entry.slot->name()}, {"id", entry.slot->plan().manifest.id}, {"reason", reason}}
    );
}

void Lifecycle::set_state(Entry& entry, PluginState state, const std::string& reason) {
    entry.slot->set_state(state);
    entry.error = reason;
    if (!entry.trial) {
        services_->health->set_plugin(entry.slot->name(), state, reason);
    }
}

void Lifecycle::drain(Entry& entry) {
    tenon_plugin* plugin = entry.slot->plugin();
    const std::int64_t limit_ms = entry.slot->plan().manifest.drain_timeout_ms;
    const std::int64_t deadline = runtime::monotonic_ns() + limit_ms * 1'000'000;
    set_state(entry, PluginState::draining);

    struct Wait {
        std::promise<tenon_status> done;
    };

    const auto wait = std::make_shared<Wait>();
    attempt(entry, "drain", limit_ms + k_drain_grace_ms, [=](tenon_err*) -> tenon_status {
        // The done callback owns a reference of its own: it may come after the deadline.
        auto* held = new std::shared_ptr<Wait>{wait};
        const auto fire = [](void* ctx, tenon_status status, const tenon_err*) {
            const std::unique_ptr<std::shared_ptr<Wait>> mine{
                static_cast<std::shared_ptr<Wait>*>(ctx)};
            (*mine)->done.set_value(status);
        };
        const tenon_status status = plugin->vt->drain(plugin, deadline, {held, fire});
        if (status != TENON_PENDING) {
            delete held;
            return status;
        }
        const auto left = std::chrono::nanoseconds{deadline - runtime::monotonic_ns()};
        auto done = wait->done.get_future();
        return done.wait_for(left) == std::future_status::ready ? done.get() : TENON_TIMEOUT;
    });
}

void Lifecycle::stop_one(Entry& entry) {
    tenon_plugin* plugin = entry.slot->plugin();
    attempt(entry, "stop", entry.slot->plan().manifest.stop_timeout_ms, [plugin](tenon_err*) {
        plugin->vt->stop(plugin);
        return TENON_OK;
    });
    entry.slot->set_offered(false);
    set_state(entry, PluginState::stopped);
}

void Lifecycle::stop() {
    for (Retired& one : retired_) {
        stop(Entries{&one.entry});
    }
    stop(all());
}

// Drains all, then stops all. What cannot be drained is stopped all the same, and told.
void Lifecycle::stop(const Entries& entries) {
    const auto each = [&](PluginState state, void (Lifecycle::*step)(Entry&)) {
        for (auto at = entries.rbegin(); at != entries.rend(); ++at) {
            Entry& entry = **at;
            try {
                if (entry.slot->state() == state) {
                    (this->*step)(entry);
                }
            } catch (const Error& e) {
                if (entry.slot->state() != PluginState::quarantined) {
                    log_->write(
                        TENON_LOG_WARN,
                        "plugin_stop_failed",
                        {{"name", entry.slot->name()}, {"reason", e.what()}}
                    );
                }
            }
        }
    };
    each(PluginState::started, &Lifecycle::drain);
    each(PluginState::draining, &Lifecycle::stop_one);
}

void Lifecycle::destroy() {
    Entries every;
    for (Retired& one : retired_) {
        every.push_back(&one.entry);
    }
    for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry) {
        every.push_back(&*entry);
    }
    for (Entry* entry : every) {
        try {
            destroy_one(*entry);
        } catch (const Error& e) {
            fail(*entry, e.what());
        }
    }
}

void Lifecycle::destroy_one(Entry& entry) {
    PluginSlot& slot = *entry.slot;
    tenon_plugin* plugin = slot.plugin();
    if (plugin == nullptr || slot.state() == PluginState::quarantined) {
        return;
    }
    slot.set_plugin(nullptr);
    slot.set_offered(false);
    slot.set_state(PluginState::stopped);
    attempt(entry, "destroy", slot.plan().manifest.stop_timeout_ms, [plugin](tenon_err*) {
        plugin->vt->destroy(plugin);
        return TENON_OK;
    });
}

}  // namespace tenon::loader
