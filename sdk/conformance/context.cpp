// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/context.hpp"

#include "sdk/conformance/sample_config.hpp"

#include <boost/json/serialize.hpp>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <thread>

namespace tenon::conformance {
namespace {

constexpr int k_depth_max = 16;

boost::json::object
given_settings(const Options& options, const manifest::PluginManifest& manifest) {
    const boost::json::value* const given = options.settings.if_contains(manifest.id);
    return given != nullptr && given->is_object() ? given->get_object() : boost::json::object{};
}

// The name of a check as a number, so that each has a stream of chance of its own (FNV-1a).
std::uint64_t mixed(std::uint64_t seed, std::string_view name) {
    std::uint64_t hash = 14695981039346656037ULL;
    for (const char c : name) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
    }
    return seed ^ hash;
}

}  // namespace

std::string_view to_text(Outcome outcome) {
    static constexpr std::string_view k_names[] = {
        "pass", "warn", "fail", "skip", "crash", "timeout"};
    return k_names[static_cast<std::size_t>(outcome)];
}

Context::Context(
    const Options& options,
    const Subject& subject,
    const Check& check,
    std::filesystem::path folder
)
    : options_{&options},
      subject_{&subject},
      check_{&check},
      folder_{std::move(folder)},
      settings_{sample_config(subject.manifest, given_settings(options, subject.manifest))},
      random_{mixed(options.seed, check.name)} {}

Context::~Context() {
    if (keep_running_) {
        for (auto& instance : instances_) {
            (void)instance.release();
        }
        for (Companion& companion : companions_) {
            (void)companion.instance.release();
        }
        (void)reactor_.release();
        return;
    }
    while (!instances_.empty()) {
        instances_.pop_back();
    }
    while (!companions_.empty()) {
        companions_.pop_back();
    }
}

void Context::expect(bool holds, std::string_view what) {
    if (!holds) {
        fail(std::string{what});
    }
}

void Context::expect_own(bool holds, const std::string& what) {
    if (!holds && !manifest().requirements.empty()) {
        warn(what + " (it may be those that it requires)");
        return;
    }
    expect(holds, what);
}

void Context::require(bool holds, std::string_view what) {
    if (!holds) {
        throw Abandoned{std::string{what}};
    }
}

void Context::fail(std::string message) {
    const std::lock_guard lock{mutex_};
    if (result_.outcome != Outcome::fail) {
        result_.outcome = Outcome::fail;
    }
    // A check that fails in a loop says so a few times only.
    if (result_.messages.size() < 20) {
        result_.messages.push_back(std::move(message));
    }
}

void Context::warn(std::string message) {
    const std::lock_guard lock{mutex_};
    if (result_.outcome == Outcome::pass) {
        result_.outcome = Outcome::warn;
    }
    result_.messages.push_back(std::move(message));
}

void Context::note(std::string text) {
    const std::lock_guard lock{mutex_};
    result_.notes.push_back(std::move(text));
}

void Context::skip(std::string reason) {
    throw Skipped{std::move(reason)};
}

Result Context::result() const {
    const std::lock_guard lock{mutex_};
    return result_;
}

const Library& Context::library() {
    if (!opened_) {
        library_ = open_library(manifest().library);
        opened_ = true;
    }
    if (library_.handle == nullptr) {
        skip("the library does not open; see load.opens");
    }
    if (!library_.usable()) {
        skip("the library has no usable entry; see load.entry");
    }
    return library_;
}

std::string Context::config() const {
    return boost::json::serialize(settings_);
}

std::string Context::config_with(const boost::json::object& changes) {
    boost::json::object changed = settings_;
    for (const auto& [key, value] : changes) {
        changed[key] = value;
    }
    require(
        !manifest().schema_usable || accepts(manifest().config_schema, changed),
        "the check's settings do not fit the plugin's schema: " + boost::json::serialize(changes)
    );
    return boost::json::serialize(changed);
}

void Context::bind(std::string interface_id, tenon_iface iface, std::string instance) {
    std::erase_if(bound_, [&](const Bound& bound) {
        return bound.interface_id == interface_id && bound.instance == instance;
    });
    bound_.push_back({std::move(interface_id), std::move(instance), iface});
}

Reactor& Context::reactor() {
    if (!reactor_) {
        reactor_ = std::make_unique<Reactor>(mode_);
    }
    return *reactor_;
}

HostOptions Context::options_for(const manifest::PluginManifest& manifest, const std::string& name)
    const {
    HostOptions options;
    options.environment["instance"] = name;
    options.environment["data_dir"] = folder_.string();
    options.environment["deployment_dir"] = options_->deployment_dir.empty()
                                                ? manifest.file.parent_path().string()
                                                : options_->deployment_dir.string();
    for (const manifest::Requirement& requirement : manifest.requirements) {
        options.declared.insert(requirement.interface_id);
    }
    return options;
}

// The highest score first: there is no operator who would choose, and a storage that needs no
// server has more than one that does.
std::vector<const manifest::PluginManifest*> Context::providers_of(
    const manifest::Requirement& requirement,
    const manifest::PluginManifest& user
) const {
    const auto score = [&](const manifest::PluginManifest* plugin) {
        std::int64_t best = INT64_MIN;
        for (const manifest::Provision& provision : plugin->provides) {
            if (provision.interface_id == requirement.interface_id) {
                best = std::max(best, provision.score);
            }
        }
        return best;
    };
    std::vector<const manifest::PluginManifest*> found;
    for (const manifest::PluginManifest& other : subject_->others) {
        if (other.id != user.id && other.id != subject_->manifest.id &&
            other.offers(requirement.interface_id)) {
            found.push_back(&other);
        }
    }
    std::stable_sort(found.begin(), found.end(), [&](const auto* a, const auto* b) {
        return score(a) > score(b);
    });
    return found;
}

// Optional requirements stay unbound unless the check binds them: a plugin has to do without.
void Context::bind_providers(const manifest::PluginManifest& manifest, Host& host, int depth) {
    for (const manifest::Requirement& requirement : manifest.requirements) {
        bool found = manifest::is_host_interface(requirement.interface_id);
        for (const Bound& bound : bound_) {
            if (bound.interface_id == requirement.interface_id) {
                host.bind(bound.interface_id, bound.iface, bound.instance);
                found = true;
            }
        }
        for (const manifest::PluginManifest* other : providers_of(requirement, manifest)) {
            if ((found && !requirement.many) || requirement.optional) {
                break;
            }
            Companion& provider = companion(*other, depth + 1);
            host.bind(
                requirement.interface_id,
                provider.instance->iface(requirement.interface_id),
                other->library.stem().string()
            );
            found = true;
        }
        if (!found && !requirement.optional) {
            skip(
                "needs " + requirement.interface_id +
                ", which no plugin at hand provides; see --plugin-path"
            );
        }
    }
}

Context::Companion& Context::companion(const manifest::PluginManifest& manifest, int depth) {
    for (Companion& companion : companions_) {
        if (companion.manifest == &manifest) {
            return companion;
        }
    }
    if (depth > k_depth_max) {
        skip("the providers need each other in a circle");
    }
    const Library library = open_library(manifest.library);
    if (!library.usable()) {
        skip("the provider " + manifest.id + " does not open: " + library.error);
    }
    auto instance = std::make_unique<Instance>(
        reactor(), library.entry, options_for(manifest, manifest.library.stem().string())
    );
    bind_providers(manifest, instance->host(), depth);
    Answer answer = instance->create();
    if (answer.ok()) {
        const auto settings = sample_config(manifest, given_settings(*options_, manifest));
        answer = instance->configure(boost::json::serialize(settings));
    }
    if (answer.ok()) {
        answer = instance->start();
    }
    if (!answer.ok()) {
        skip("the provider " + manifest.id + " does not start: " + answer.text());
    }
    return companions_.emplace_back(Companion{&manifest, std::move(instance)});
}

Instance& Context::fresh() {
    const tenon_entry* const entry = library().entry;
    HostOptions options = host_options_;
    for (auto& [key, value] : options_for(manifest(), "checked").environment) {
        options.environment.try_emplace(key, value);
    }
    options.declared = options_for(manifest(), "checked").declared;
    auto instance = std::make_unique<Instance>(reactor(), entry, std::move(options));
    bind_providers(manifest(), instance->host(), 0);
    return *instances_.emplace_back(std::move(instance));
}

Instance& Context::created() {
    Instance& instance = fresh();
    const Answer answer = instance.create();
    if (!answer.ok()) {
        skip("create failed; see lifecycle.create: " + answer.text());
    }
    return instance;
}

Instance& Context::configured() {
    return configured_with(config());
}

Instance& Context::started() {
    return started_with(config());
}

Instance& Context::configured_with(std::string_view json) {
    Instance& instance = created();
    const Answer answer = instance.configure(json);
    if (!answer.ok()) {
        skip("configure failed; see lifecycle.configure: " + answer.text());
    }
    return instance;
}

Instance& Context::started_with(std::string_view json) {
    Instance& instance = configured_with(json);
    const Answer answer = instance.start();
    if (!answer.ok()) {
        skip("start failed; see lifecycle.start: " + answer.text());
    }
    return instance;
}

void Context::on_reactor(const std::function<void()>& body) {
    struct Call {
        const std::function<void()>* body;
        std::exception_ptr failure;
    } call{&body, nullptr};

    static Account none;
    const auto run = [](void* ctx) {
        const PluginScope scope{false};
        auto& mine = *static_cast<Call*>(ctx);
        try {
            (*mine.body)();
        } catch (...) {
            mine.failure = std::current_exception();
        }
    };
    reactor().call({&none, run, &call});
    if (call.failure) {
        std::rethrow_exception(call.failure);
    }
}

bool Context::eventually(const std::function<bool()>& holds, std::chrono::milliseconds within) {
    constexpr std::chrono::milliseconds k_step{1};
    const auto end = std::chrono::steady_clock::now() + within;
    std::mutex mutex;
    std::condition_variable never;
    std::unique_lock lock{mutex};
    while (!holds()) {
        if (std::chrono::steady_clock::now() >= end) {
            return false;
        }
        if (mode_ == Reactor::Mode::manual) {
            reactor().turn(static_cast<int>(k_step.count()));
        } else {
            never.wait_for(lock, k_step);
        }
    }
    return true;
}

void Context::in_parallel(std::size_t threads, const std::function<void(std::size_t)>& body) {
    std::vector<std::thread> running;
    std::atomic<std::size_t> ready{0};
    for (std::size_t i = 0; i < threads; ++i) {
        running.emplace_back([&, i] {
            // All of them first: one that starts late would find the others done.
            for (++ready; ready < threads;) {
                std::this_thread::yield();
            }
            body(i);
        });
    }
    for (std::thread& thread : running) {
        thread.join();
    }
}

}  // namespace tenon::conformance
