// SPDX-License-Identifier: Apache-2.0
#include "kernel/loader/lifecycle.hpp"

#include "kernel/loader/library.hpp"
#include "kernel/loader/secret_reference.hpp"
#include "kernel/runtime/clock.hpp"

#include <tenon/plugin.hpp>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <array>
#include <semaphore>

namespace tenon::loader {

namespace {

using registry::PluginState;

// Stopping has no limit of its own in a manifest; a hang must still not keep the daemon alive.
constexpr std::int64_t k_stop_limit_ms = 30'000;

void log_fields(
    runtime::LogSource& log,
    std::int32_t level,
    std::string_view event,
    std::initializer_list<Field> fields
) {
    std::vector<tenon_log_field> raw;
    for (const Field& field : fields) {
        raw.push_back(field.raw());
    }
    log.write(level, event, raw);
}

}  // namespace

Lifecycle::Lifecycle(const manifest::Plan& plan, const Services& services, runtime::LogSource& log)
    : plan_{&plan}, services_{&services}, log_{&log} {
    for (const manifest::PlannedPlugin& planned : plan.plugins) {
        Entry& entry = entries_.emplace_back();
        entry.slot = std::make_unique<PluginSlot>(services, planned);
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
            std::vector<const PluginSlot*> providers;
            for (const std::size_t index : indices) {
                providers.push_back(entries_[index].slot.get());
            }
            entry.slot->set_providers(interface_id, std::move(providers));
        }
    }
}

Lifecycle::~Lifecycle() {
    destroy();
}

bool Lifecycle::start() {
    for (Entry& entry : entries_) {
        try {
            if (!blocked(entry)) {
                load(entry);
                configure(entry);
            }
        } catch (const Error& e) {
            fail(entry, e.what());
        }
    }
    for (Entry& entry : entries_) {
        try {
            if (entry.state == PluginState::configured && !blocked(entry)) {
                start_one(entry);
            }
        } catch (const Error& e) {
            fail(entry, e.what());
        }
        if (must_stop_) {
            return false;
        }
    }
    return !must_stop_;
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
            if (provider.state == PluginState::failed || provider.state == PluginState::down) {
                set_state(
                    entry,
                    PluginState::down,
                    "needs " + requirement.interface_id + " of \"" + provider.slot->name() +
                        "\", which is not running"
                );
                must_stop_ = must_stop_ || plan.instance.stop_on_failure;
                return true;
            }
        }
    }
    return false;
}

void Lifecycle::attempt(Entry& entry, std::string_view what, std::int64_t limit_ms, Step step) {
    struct Outcome {
        Step step;
        tenon_status status = TENON_INTERNAL;
        ErrorBuffer err;
    };

    // Shared, so that a call that is left behind still has what it writes to.
    const auto outcome = std::make_shared<Outcome>();
    outcome->step = std::move(step);
    const auto body = [outcome] {
        outcome->status = guard(&outcome->err, [&] { return outcome->step(&outcome->err); });
    };
    const std::string call = "L07 " + std::string{what};
    if (!control_.run(body, std::chrono::milliseconds{limit_ms})) {
        entry.quarantined = true;
        throw Error{
            TENON_TIMEOUT, call + " did not return within " + std::to_string(limit_ms) + " ms"};
    }
    (void)check(outcome->status, outcome->err, call + " failed");
}

void Lifecycle::load(Entry& entry) {
    PluginSlot& slot = *entry.slot;
    const manifest::PluginManifest& manifest = slot.plan().manifest;
    const tenon_entry* library = open_library(manifest);
    set_state(entry, PluginState::loaded);
    auto made = std::make_shared<tenon_plugin*>(nullptr);
    attempt(
        entry,
        "create",
        manifest.start_timeout_ms,
        [library, made, host = slot.host()](tenon_err* err) {
            return library->create(host, made.get(), err);
        }
    );
    if (*made == nullptr || (*made)->vt == nullptr ||
        !TENON_HAS((*made)->vt, tenon_plugin_vt, query)) {
        throw Error{TENON_INVALID, "L07 create gave no plugin"};
    }
    slot.set_plugin(*made);
}

void Lifecycle::configure(Entry& entry) {
    PluginSlot& slot = *entry.slot;
    const manifest::PluginManifest& manifest = slot.plan().manifest;
    boost::json::value config = slot.plan().config;
    resolve_secrets(manifest.config_schema, config, plan_->deployment.folder);
    const std::string text = boost::json::serialize(config);
    tenon_plugin* plugin = slot.plugin();
    attempt(entry, "configure", manifest.start_timeout_ms, [plugin, text](tenon_err* err) {
        return plugin->vt->configure(plugin, str(text), 0, err);
    });
    entry.given = text;
    for (const manifest::Provision& provision : manifest.provides) {
        tenon_iface iface{};
        if (plugin->vt->query(plugin, str(provision.interface_id), &iface) != TENON_OK ||
            iface.vt == nullptr) {
            throw Error{
                TENON_UNSUPPORTED,
                "L06 the plugin does not give the interface " + provision.interface_id +
                    " that its manifest promises"};
        }
    }
    slot.set_offered(true);
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
    return entry.state == PluginState::started && !entry.quarantined;
}

void Lifecycle::reconfigure(std::string_view name, const std::string& config, bool dry_run) {
    auto& entry = const_cast<Entry&>(find(name));
    tenon_plugin* plugin = entry.slot->plugin();
    const std::int64_t limit_ms = entry.slot->plan().manifest.start_timeout_ms;
    attempt(entry, "configure", limit_ms, [plugin, config, dry_run](tenon_err* err) {
        return plugin->vt->configure(plugin, str(config), dry_run ? 1 : 0, err);
    });
    if (!dry_run) {
        entry.given = config;
    }
}

void Lifecycle::start_one(Entry& entry) {
    const std::int64_t before = runtime::monotonic_ns();
    tenon_plugin* plugin = entry.slot->plugin();
    attempt(entry, "start", entry.slot->plan().manifest.start_timeout_ms, [plugin](tenon_err* err) {
        return plugin->vt->start(plugin, err);
    });
    set_state(entry, PluginState::started);
    log_fields(
        *log_,
        TENON_LOG_INFO,
        "plugin_started",
        {{"name", entry.slot->name()},
         {"id", entry.slot->plan().manifest.id},
         {"version", entry.slot->plan().manifest.version},
         {"elapsed_ms", (runtime::monotonic_ns() - before) / 1'000'000}}
    );
}

void Lifecycle::fail(Entry& entry, const std::string& reason) {
    entry.slot->set_offered(false);
    set_state(entry, PluginState::failed, reason);
    must_stop_ = must_stop_ || entry.slot->plan().instance.stop_on_failure;
}

void Lifecycle::set_state(Entry& entry, PluginState state, const std::string& reason) {
    entry.state = state;
    const std::string& name = entry.slot->name();
    services_->health->set_plugin(name, state, reason);
    if (state == PluginState::failed || state == PluginState::down) {
        entry.slot->set_offered(false);
        log_fields(
            *log_,
            TENON_LOG_ERROR,
            state == PluginState::failed ? "plugin_failed" : "plugin_down",
            {{"name", name}, {"id", entry.slot->plan().manifest.id}, {"reason", reason}}
        );
    }
}

void Lifecycle::drain(Entry& entry) {
    tenon_plugin* plugin = entry.slot->plugin();
    const std::int64_t limit_ms = entry.slot->plan().manifest.drain_timeout_ms;
    const std::int64_t deadline = runtime::monotonic_ns() + limit_ms * 1'000'000;
    set_state(entry, PluginState::draining);

    struct Wait {
        std::binary_semaphore done{0};
        tenon_status status = TENON_OK;
    };

    const auto wait = std::make_shared<Wait>();
    attempt(entry, "drain", limit_ms + k_stop_limit_ms, [=](tenon_err*) -> tenon_status {
        // The done callback owns a reference of its own: it may come after the deadline.
        auto* held = new std::shared_ptr<Wait>{wait};
        const auto fire = [](void* ctx, tenon_status status, const tenon_err*) {
            const std::unique_ptr<std::shared_ptr<Wait>> mine{
                static_cast<std::shared_ptr<Wait>*>(ctx)};
            (*mine)->status = status;
            (*mine)->done.release();
        };
        const tenon_status status = plugin->vt->drain(plugin, deadline, {held, fire});
        if (status != TENON_PENDING) {
            delete held;
            return status;
        }
        const auto left = std::chrono::nanoseconds{deadline - runtime::monotonic_ns()};
        return wait->done.try_acquire_for(left) ? wait->status : TENON_TIMEOUT;
    });
}

void Lifecycle::stop_one(Entry& entry) {
    tenon_plugin* plugin = entry.slot->plugin();
    attempt(entry, "stop", k_stop_limit_ms, [plugin](tenon_err*) {
        plugin->vt->stop(plugin);
        return TENON_OK;
    });
    entry.slot->set_offered(false);
    set_state(entry, PluginState::stopped);
}

void Lifecycle::stop() {
    const auto tell = [this](const Entry& entry, const Error& e) {
        log_fields(
            *log_,
            TENON_LOG_WARN,
            "plugin_stop_failed",
            {{"name", entry.slot->name()}, {"reason", e.what()}}
        );
    };
    for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry) {
        try {
            if (entry->state == PluginState::started) {
                drain(*entry);
            }
        } catch (const Error& e) {
            tell(*entry, e);
        }
    }
    for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry) {
        try {
            if (entry->state == PluginState::draining && !entry->quarantined) {
                stop_one(*entry);
            }
        } catch (const Error& e) {
            tell(*entry, e);
        }
    }
}

void Lifecycle::destroy() {
    for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry) {
        tenon_plugin* plugin = entry->slot->plugin();
        if (plugin == nullptr || entry->quarantined) {
            continue;
        }
        entry->slot->set_plugin(nullptr);
        (void)control_.run(
            [plugin] { (void)guard(nullptr, [&] { plugin->vt->destroy(plugin); }); },
            std::chrono::milliseconds{k_stop_limit_ms}
        );
    }
}

}  // namespace tenon::loader
