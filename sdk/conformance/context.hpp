// SPDX-License-Identifier: Apache-2.0
// What a running check has: the plugin, instances of it, their hosts, and a place to say what is
// wrong.
#pragma once

#include "sdk/conformance/check.hpp"
#include "sdk/conformance/instance.hpp"
#include "sdk/conformance/library.hpp"
#include "sdk/conformance/options.hpp"
#include "sdk/conformance/random.hpp"
#include "sdk/manifest/plugin_manifest.hpp"

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::conformance {

// One plugin under check and the others that may provide what it requires.
struct Subject {
    manifest::PluginManifest manifest;
    std::vector<manifest::PluginManifest> others;
};

struct Result {
    Outcome outcome = Outcome::pass;
    std::vector<std::string> messages;  // what is wrong, or why it was skipped
    std::vector<std::string> notes;     // reports and figures
};

class Context {
public:
    Context(
        const Options& options,
        const Subject& subject,
        const Check& check,
        std::filesystem::path folder
    );
    ~Context();
    Context(const Context&) = delete;
    Context& operator=(const Context&) = delete;

    // ---- Judging. Thread-safe but for what throws. ----
    // Records a failure unless `holds`; the check goes on.
    void expect(bool holds, std::string_view what);
    // Of files, threads and descriptors: for a plugin that requires others a warning only, since
    // those run in the same process and open files in their own time.
    void expect_own(bool holds, const std::string& what);
    // Records a failure and ends the check unless `holds`.
    void require(bool holds, std::string_view what);
    void fail(std::string message);
    void warn(std::string message);
    void note(std::string text);
    [[noreturn]] static void skip(std::string reason);

    // ---- The plugin. ----
    [[nodiscard]] const manifest::PluginManifest& manifest() const { return subject_->manifest; }

    // Opened, with a usable entry; otherwise the check is skipped.
    [[nodiscard]] const Library& library();

    // The settings of the check: --settings or the schema's defaults, as the kernel would give
    // them.
    [[nodiscard]] const boost::json::object& settings() const { return settings_; }

    [[nodiscard]] std::string config() const;
    // The same with some settings changed; what the schema forbids is a failure.
    [[nodiscard]] std::string config_with(const boost::json::object& changes);

    // ---- Instances. Each has a host of its own; all share reactor, pool and clock. ----
    // Changes the host of instances made afterwards: cut tables, faults, environment.
    [[nodiscard]] HostOptions& host_options() { return host_options_; }

    // Before the first instance: how the reactor turns. Threaded is the default.
    void set_reactor_mode(Reactor::Mode mode) { mode_ = mode; }

    // Binds a fake of the check's own to a requirement; then no other plugin is looked for. The
    // same name again replaces it for later instances.
    void bind(std::string interface_id, tenon_iface iface, std::string instance = "fake");

    // Neither created nor anything else. Providers of required interfaces are started first; the
    // check is skipped when there is none.
    [[nodiscard]] Instance& fresh();
    // Fresh ones taken further with config(); the check is skipped when a step on the way fails.
    [[nodiscard]] Instance& created();
    [[nodiscard]] Instance& configured();
    [[nodiscard]] Instance& started();
    // The same with other settings.
    [[nodiscard]] Instance& configured_with(std::string_view json);
    [[nodiscard]] Instance& started_with(std::string_view json);

    // Leaves instances and reactor as they are at the end: for checks of the process's exit.
    void keep_running() { keep_running_ = true; }

    // ---- Time and threads. ----
    [[nodiscard]] Reactor& reactor();
    // Runs on reactor 0 and waits for it; exceptions come back.
    void on_reactor(const std::function<void()>& body);
    // Waits, turning a manual reactor, until it holds; false when it did not within the time.
    [[nodiscard]] bool eventually(
        const std::function<bool()>& holds,
        std::chrono::milliseconds within = std::chrono::seconds{5}
    );
    // Runs body(i) on `threads` threads at once and joins them.
    static void in_parallel(std::size_t threads, const std::function<void(std::size_t)>& body);

    // ---- Chance and place. ----
    [[nodiscard]] Random& random() { return random_; }

    [[nodiscard]] std::uint64_t seed() const { return options_->seed; }

    // An empty folder of this check's own; it is the data_dir of every instance, too.
    [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }

    [[nodiscard]] const Options& options() const { return *options_; }

    [[nodiscard]] const Check& check() const { return *check_; }

    [[nodiscard]] Result result() const;

private:
    struct Companion {
        const manifest::PluginManifest* manifest;
        std::unique_ptr<Instance> instance;
    };

    struct Bound {
        std::string interface_id, instance;
        tenon_iface iface;
    };

    HostOptions options_for(const manifest::PluginManifest& manifest, const std::string& name)
        const;
    [[nodiscard]] std::vector<const manifest::PluginManifest*> providers_of(
        const manifest::Requirement& requirement,
        const manifest::PluginManifest& user
    ) const;
    void bind_providers(const manifest::PluginManifest& manifest, Host& host, int depth);
    Companion& companion(const manifest::PluginManifest& manifest, int depth);

    const Options* options_;
    const Subject* subject_;
    const Check* check_;
    std::filesystem::path folder_;
    boost::json::object settings_;
    HostOptions host_options_;
    Reactor::Mode mode_ = Reactor::Mode::threaded;
    Random random_;
    Library library_;
    bool opened_ = false;
    bool keep_running_ = false;
    mutable std::mutex mutex_;
    Result result_;
    std::vector<Bound> bound_;
    // Destroyed last to first: instances, then who provides for them, then the reactor.
    std::unique_ptr<Reactor> reactor_;
    std::deque<Companion> companions_;
    std::deque<std::unique_ptr<Instance>> instances_;
};

}  // namespace tenon::conformance
