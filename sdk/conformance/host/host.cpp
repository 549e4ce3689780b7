// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/host/host.hpp"

#include "sdk/conformance/host/tables.hpp"

#include <algorithm>
#include <memory>

namespace tenon::conformance {
namespace {

constexpr std::byte k_poison{0xA5};
constexpr std::size_t k_tail = 64;

// In place of what is not known: a plugin that calls beyond a table's size gets away with it in
// most checks, and fails in the one that fills the tail with poison.
std::uint64_t harmless() {
    return 0;
}

// Every table and the host start with these.
struct Head {
    std::uint32_t size, flags;
};

}  // namespace

std::string_view to_text(State state) {
    static constexpr std::string_view k_names[] = {
        "creating",
        "created",
        "configured",
        "started",
        "draining",
        "stopped",
        "destroying",
        "destroyed"};
    return k_names[static_cast<std::size_t>(state)];
}

std::vector<Host::Known> Host::known_services() {
    const auto known = [](std::string_view id, std::size_t size) {
        const auto bytes = static_cast<std::uint32_t>(size);
        return Known{id, bytes, bytes, static_cast<std::uint32_t>(sizeof(void*))};
    };
    return {
        known("tenon.log/1", sizeof(tenon_log_1)),
        known("tenon.clock/1", sizeof(tenon_clock_1)),
        known("tenon.environment/1", sizeof(tenon_environment_1)),
        known("tenon.exec/1", sizeof(tenon_exec_1)),
        known("tenon.metrics/1", sizeof(tenon_metrics_1)),
        known("tenon.health/1", sizeof(tenon_health_1)),
        known("tenon.services/1", sizeof(tenon_services_1)),
        known("tenon.secret/1", sizeof(tenon_secret_1)),
        known("tenon.admin/1", sizeof(tenon_admin_1)),
        known("tenon.config/1", sizeof(tenon_config_1)),
        known("tenon.bus/1", sizeof(tenon_bus_1)),
        known("tenon.audit/1", sizeof(tenon_audit_1)),
    };
}

Host::Host(Reactor& reactor, HostOptions options)
    : reactor_{reactor},
      options_{std::move(options)},
      host_(sizeof(tenon_host) + k_tail, k_poison) {
    options_.environment.try_emplace("version", "0.0.0-check");
    options_.environment.try_emplace("instance", "checked");
    options_.environment.try_emplace("listen", "");
    const tenon_host host{sizeof(tenon_host), options_.flags, this, &Host::query};
    std::memcpy(host_.data(), &host, sizeof host);
    if (options_.longer_tables) {
        reinterpret_cast<Head*>(host_.data())->size += k_tail;
    }
    add_table("tenon.log/1", &HostTables::k_log, sizeof(tenon_log_1));
    add_table("tenon.clock/1", &HostTables::k_clock, sizeof(tenon_clock_1));
    add_table("tenon.environment/1", &HostTables::k_environment, sizeof(tenon_environment_1));
    add_table("tenon.metrics/1", &HostTables::k_metrics, sizeof(tenon_metrics_1));
    add_table("tenon.health/1", &HostTables::k_health, sizeof(tenon_health_1));
    add_table("tenon.exec/1", &HostExec::k_exec, sizeof(tenon_exec_1));
    add_table("tenon.services/1", &HostServices::k_services, sizeof(tenon_services_1));
    add_table("tenon.secret/1", &HostServices::k_secret, sizeof(tenon_secret_1));
    add_table("tenon.admin/1", &HostServices::k_admin, sizeof(tenon_admin_1));
    add_table("tenon.config/1", &HostEvents::k_config, sizeof(tenon_config_1));
    add_table("tenon.bus/1", &HostEvents::k_bus, sizeof(tenon_bus_1));
    add_table("tenon.audit/1", &HostEvents::k_audit, sizeof(tenon_audit_1));
    control_thread_ = std::this_thread::get_id();
}

Host::~Host() = default;

// Poison behind the size makes a reader that does not look at the size jump to 0xA5A5A5A5A5A5A5A5.
void Host::add_table(std::string_view id, const void* known, std::uint32_t size) {
    if (options_.without.contains(id)) {
        return;
    }
    const auto cut = options_.table_sizes.find(id);
    const std::uint32_t kept =
        cut == options_.table_sizes.end() ? size : std::min(cut->second, size);
    Table table{std::string{id}, std::vector<std::byte>(size + k_tail, k_poison)};
    std::memcpy(table.bytes.data(), known, kept);
    if (!options_.poisoned_tail && !options_.longer_tables) {
        std::uint64_t (*const slot)() = &harmless;
        for (std::size_t at = size; at < size + k_tail; at += sizeof slot) {
            std::memcpy(table.bytes.data() + at, &slot, sizeof slot);
        }
    }
    auto* head = reinterpret_cast<Head*>(table.bytes.data());
    head->size = kept + (options_.longer_tables ? static_cast<std::uint32_t>(k_tail) : 0U);
    head->flags = options_.flags;
    tables_.push_back(std::move(table));
}

tenon_status Host::query(void* self, tenon_str id, tenon_iface* out) noexcept {
    Host& host = of(self);
    (void)host.enter({"tenon.host", "query"});
    for (Table& table : host.tables_) {
        if (table.id == view(id)) {
            *out = {self, table.bytes.data()};
            return TENON_OK;
        }
    }
    return TENON_UNSUPPORTED;
}

void Host::bind(std::string interface_id, tenon_iface iface, std::string instance) {
    providers_.push_back({std::move(interface_id), std::move(instance), iface});
}

void Host::set_state(State state) {
    control_thread_ = std::this_thread::get_id();
    state_ = state;
}

bool Host::enter(const Site& site) {
    const State state = state_;
    const bool working = state == State::started || state == State::draining;
    const bool in_time = state != State::destroyed &&
                         (site.when == When::always || working ||
                          (site.when == When::from_configure && state == State::configured) ||
                          (site.when == When::removal && state != State::creating));
    if (!in_time) {
        blame(
            Fault::state, site, "is not allowed in state \"" + std::string{to_text(state)} + "\""
        );
    }
    const bool on_reactor = reactor_.on_reactor();
    if (site.tag == Tag::control && std::this_thread::get_id() != control_thread_.load()) {
        blame(Fault::thread, site, "may come from the control thread only");
    } else if (site.tag == Tag::reactor && !on_reactor) {
        blame(Fault::thread, site, "may come from the reactor's thread only");
    } else if (site.tag == Tag::off_reactor && on_reactor && reactor_.mode() == Reactor::Mode::threaded) {
        blame(Fault::thread, site, "may not come from a reactor's thread");
    }
    return site.failable && ++failable_calls_ == options_.fail_call;
}

void Host::blame(Fault fault, const Site& site, std::string_view what) {
    std::string text{site.service};
    text.append(" ").append(site.call).append(": ").append(what);
    const std::lock_guard lock{mutex_};
    const bool known = std::any_of(violations_.begin(), violations_.end(), [&](const Violation& v) {
        return v.text == text;
    });
    if (!known) {
        violations_.push_back({fault, std::move(text)});
    }
}

bool Host::check_text(const Site& site, tenon_str text, std::string_view what) {
    const std::string name{what};
    if (text.p == nullptr && text.n != 0) {
        blame(Fault::argument, site, name + " is NULL with a length");
        return false;
    }
    if (!is_utf8(view(text))) {
        blame(Fault::argument, site, name + " is not UTF-8");
        return false;
    }
    return true;
}

std::vector<std::string> Host::log_lines() const {
    const std::lock_guard lock{mutex_};
    return log_;
}

std::int32_t Host::health_of(const std::string& component) const {
    const std::lock_guard lock{mutex_};
    const auto found = health_.find(component);
    return found == health_.end() ? TENON_HEALTHY : found->second;
}

std::map<std::string, std::int32_t> Host::health() const {
    const std::lock_guard lock{mutex_};
    return health_;
}

std::int64_t Host::metric(const std::string& name, const std::string& labels) const {
    const std::lock_guard lock{mutex_};
    const auto found = series_.find(labels.empty() ? name : name + "{" + labels + "}");
    if (found == series_.end()) {
        return 0;
    }
    auto& cell = const_cast<Series&>(found->second);
    return cell.is_gauge ? std::atomic_ref{cell.gauge}.load()
                         : static_cast<std::int64_t>(std::atomic_ref{cell.counter}.load());
}

std::set<std::string> Host::metric_names() const {
    const std::lock_guard lock{mutex_};
    return metric_names_;
}

std::vector<Violation> Host::violations() const {
    const std::lock_guard lock{mutex_};
    return violations_;
}

std::vector<std::string> Host::commands() const {
    const std::lock_guard lock{mutex_};
    std::vector<std::string> names;
    for (const auto& [name, command] : commands_) {
        names.push_back(name);
    }
    return names;
}

std::vector<std::string> Host::audited() const {
    const std::lock_guard lock{mutex_};
    return audited_;
}

void Host::set_config(std::string json, bool applied) {
    std::map<std::uint64_t, Watcher> watchers;
    std::uint64_t generation = 0;
    {
        const std::lock_guard lock{mutex_};
        config_ = std::move(json);
        generation_ += applied ? 1 : 0;
        generation = generation_;
        watchers = watchers_;
    }
    for (const auto& [handle, watcher] : watchers) {
        if (applied) {
            const PluginScope scope;
            watcher.fn(watcher.ctx, generation);
        }
    }
}

void Host::deliver(std::string topic, std::string type, std::string data) {
    struct Message {
        Host* host;
        std::string topic, type, data;
    };

    auto message = std::make_unique<Message>(Message{
        this, std::move(topic), std::move(type), std::move(data)});
    const auto run = [](void* ctx) {
        const std::unique_ptr<Message> mine{static_cast<Message*>(ctx)};
        std::map<std::uint64_t, Subscription> subscriptions;
        {
            const std::lock_guard lock{mine->host->mutex_};
            subscriptions = mine->host->subscriptions_;
        }
        auto raw = sized<tenon_bus_message>();
        raw.topic = str(mine->topic);
        raw.type = str(mine->type);
        raw.data = bytes(mine->data);
        raw.source = str("other");
        for (const auto& [handle, subscription] : subscriptions) {
            std::string_view pattern{subscription.topic};
            const bool under = pattern.ends_with('*');
            pattern.remove_suffix(under ? 1 : 0);
            if (under ? mine->topic.starts_with(pattern) : mine->topic == pattern) {
                subscription.fn(subscription.ctx, &raw);
            }
        }
    };
    reactor_.post({&bus_account_, run, message.release()});
}

void Host::collect() {
    std::map<std::uint64_t, std::pair<tenon_fn, void*>> collectors;
    {
        const std::lock_guard lock{mutex_};
        collectors = collectors_;
    }
    for (const auto& [handle, collector] : collectors) {
        const PluginScope scope;
        collector.first(collector.second);
    }
}

tenon_status Host::run_command(
    const std::string& name,
    std::string_view args_json,
    tenon_sink out,
    tenon_err* err
) {
    Command command{};
    {
        const std::lock_guard lock{mutex_};
        const auto found = commands_.find(name);
        if (found == commands_.end()) {
            return fail(err, TENON_NOT_FOUND, "no admin command " + name);
        }
        command = found->second;
    }
    const PluginScope scope;
    return command.run(command.ctx, str(args_json), out, err);
}

std::string Host::admin(const std::string& name, std::string_view args_json) {
    StringSink sink;
    ErrorBuffer err;
    check(run_command(name, args_json, sink.sink(), &err), err, name);
    return sink.text();
}

Host::Series& Host::series(tenon_str name, const tenon_label* labels, std::uint32_t count) {
    std::string key{view(name)};
    for (std::uint32_t i = 0; i < count; ++i) {
        key.append(i == 0 ? "{" : ",").append(view(labels[i].name)).append("=\"");
        key.append(view(labels[i].value)).append("\"");
    }
    if (count != 0) {
        key.append("}");
    }
    const std::lock_guard lock{mutex_};
    metric_names_.emplace(view(name));
    return series_[key];
}

bool is_utf8(std::string_view text) noexcept {
    for (std::size_t i = 0; i < text.size();) {
        const auto lead = static_cast<unsigned char>(text[i]);
        const std::size_t length = lead < 0x80   ? 1
                                   : lead < 0xC2 ? 0
                                   : lead < 0xE0 ? 2
                                   : lead < 0xF0 ? 3
                                   : lead < 0xF5 ? 4
                                                 : 0;
        if (length == 0 || text.size() - i < length) {
            return false;
        }
        for (std::size_t k = 1; k < length; ++k) {
            if ((static_cast<unsigned char>(text[i + k]) & 0xC0U) != 0x80U) {
                return false;
            }
        }
        const auto second = length > 1 ? static_cast<unsigned char>(text[i + 1]) : 0U;
        if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) ||
            (lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F)) {
            return false;
        }
        i += length;
    }
    return true;
}

}  // namespace tenon::conformance
