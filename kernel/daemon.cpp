// SPDX-License-Identifier: Apache-2.0
#include "kernel/daemon.hpp"

#include "kernel/answers.hpp"
#include "kernel/configuration.hpp"
#include "kernel/loader/safe_mode.hpp"
#include "kernel/registry/admin_commands.hpp"
#include "kernel/registry/health.hpp"
#include "kernel/runtime/admin_server.hpp"
#include "kernel/runtime/clock.hpp"
#include "kernel/runtime/crash.hpp"
#include "kernel/runtime/data_dir.hpp"
#include "kernel/runtime/exec.hpp"
#include "kernel/runtime/log.hpp"
#include "kernel/runtime/metrics.hpp"
#include "sdk/loading/scan.hpp"
#include "sdk/manifest/json_file.hpp"
#include "sdk/manifest/overrides.hpp"
#include "sdk/manifest/plan.hpp"
#include "sdk/sealing/secret_box.hpp"

#include <tenon/plugin.hpp>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace tenon {

namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

// What runs on the blocking pool at the stop may take so long; then it is named and left behind.
constexpr std::chrono::seconds k_stop_limit{10};
constexpr const char* k_needed_failed = "a plugin with on_failure stop failed";

void print(const manifest::Problems& problems) {
    for (const manifest::Problem& problem : problems) {
        (void)std::fprintf(stderr, "%s\n", manifest::to_text(problem).c_str());
    }
}

// A descriptor that closes itself.
struct Descriptor {
    int fd;

    explicit Descriptor(int number) : fd{number} {}

    ~Descriptor() { ::close(fd); }

    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
};

std::ptrdiff_t thread_count() {
    std::error_code ec;
    return std::distance(fs::directory_iterator{"/proc/self/task", ec}, {});
}

class Daemon {
public:
    // `plan`, with the overrides in it, and `safe_mode` go with the data folder.
    Daemon(
        const DaemonOptions& options,
        manifest::Plan plan,
        manifest::OverridesFile overrides,
        runtime::DataDir& data_dir,
        loader::SafeMode& safe_mode
    )
        : options_{&options},
          plan_{std::move(plan)},
          data_dir_{&data_dir},
          safe_mode_{&safe_mode},
          stop_event_{::eventfd(0, EFD_CLOEXEC)},
          log_{plan_.deployment.log},
          log_source_{&log_.source("kernel")},
          health_{*log_source_},
          secret_{data_dir.path(), data_dir.fresh()},
          audit_{data_dir.path() / "audit.log"},
          exec_{
              plan_.deployment.runtime.reactors,
              plan_.deployment.runtime.blocking_threads,
              plan_.deployment.runtime.spin_us},
          configuration_{
              {&options,
               &plan_,
               &data_dir,
               &log_,
               log_source_,
               &health_,
               &metrics_,
               &audit_,
               &generation_,
               [this] { lose_needed(); }},
              std::move(overrides)} {}

    int run(const std::string& listen, std::int64_t began_ns, loader::Lifecycle::Refused refused);

private:
    using Fields = std::initializer_list<Field>;

    void log(std::int32_t level, std::string_view event, Fields fields = {}) {
        log_source_->write(level, event, fields);
    }

    void record(const std::string& listen);
    void add_commands();
    void add_metrics();
    void tell_last_crash();
    void tell_audit();
    void lose_needed();
    void wait_for_stop();
    int serve(loader::Lifecycle& lifecycle, const std::string& listen, std::int64_t began_ns);
    void beat();

    const std::ptrdiff_t threads_ = thread_count();  // before any is made here
    const DaemonOptions* options_;
    manifest::Plan plan_;  // settings and deployment are configuration_'s
    std::mutex planned_;   // held by who exchanges an instance's plan, or reads it unasked
    runtime::DataDir* data_dir_;
    loader::SafeMode* safe_mode_;
    Descriptor stop_event_;
    runtime::LogRouter log_;
    runtime::LogSource* log_source_;
    runtime::Metrics metrics_;
    registry::Health health_;
    registry::AdminCommands commands_;
    sealing::SecretBox secret_;
    audit::Log audit_;
    std::atomic<std::uint64_t> generation_{1};  // of the configuration
    runtime::Exec exec_;
    registry::Bus bus_{exec_};
    kernel::Configuration configuration_;
    std::atomic<std::uint32_t> not_turned_{0};  // reactors, since the last beat
    std::uint64_t missed_ = 0;                  // beats
    bool left_behind_ = false;                  // an admin command that does not end
    std::atomic<bool> failed_{false};           // a plugin that the server needs, while it ran
};

// What the tools need to know of this run.
void Daemon::record(const std::string& listen) {
    configuration_.record();
    const json::object run{
        {"pid", static_cast<std::int64_t>(::getpid())},
        {"version", TENON_VERSION},
        {"listen", listen},
        {"deployment_file", plan_.deployment.file.string()},
        {"started_at_ms", runtime::realtime_ns() / 1'000'000}};
    data_dir_->write("runtime.json", json::serialize(run) + "\n");
}

// Not when the tools run it: it may be what they are to repair.
void Daemon::lose_needed() {
    if (!options_->no_listen) {
        failed_ = true;
        (void)::eventfd_write(stop_event_.fd, 1);
    }
}

void Daemon::tell_audit() {
    const audit::Check& found = audit_.found();
    if (found.torn_bytes != 0) {
        log(TENON_LOG_WARN, "audit_tail_removed", {{"bytes", found.torn_bytes}});
    }
    if (!found.good()) {
        log(TENON_LOG_ERROR, "audit_chain_broken", {{"first", found.first_broken}});
        health_.set("kernel", "audit", TENON_DEGRADED, "audit.log: " + found.first_broken);
    }
}

// The crash of the process before, which nobody may have seen.
void Daemon::tell_last_crash() {
    if (const auto& crash = safe_mode_->last(); crash) {
        const std::string plugin = crash->plugin.empty() ? "kernel" : crash->plugin;
        log(TENON_LOG_ERROR, "crashed_before", {{"name", plugin}, {"reason", crash->text}});
        health_.set(plugin, "last_run", TENON_DEGRADED, "crashed tenond: " + crash->text);
    }
}

void Daemon::add_commands() {
    const auto add = [this](std::string_view name, std::string_view usage, auto run) {
        (void)commands_.add("kernel", name, usage, std::move(run));
    };
    add("status", "status: health of the server and its plugins", [this](std::string_view) {
        return json::serialize(health_.report());
    });
    add("plugins.list", "plugins list: plugins in the order of their start", [this](auto) {
        const std::lock_guard lock{planned_};
        return kernel::list_plugins(plan_, health_);
    });
    add("plugins.release",
        "plugins release --plugin NAME: let a plugin that is held back in safe mode start again",
        [this](std::string_view args) { return kernel::release(*safe_mode_, *log_source_, args); });
    add("log.level",
        "log level [--plugin NAME] [--level LEVEL]: show or set log levels",
        [this](std::string_view args) { return kernel::set_log_level(log_, *log_source_, args); });
    add("help", "help: every command", [this](std::string_view) {
        json::array list;
        for (const auto& usage : commands_.list()) {
            list.push_back(json::object{{"command", usage.name}, {"usage", usage.text}});
        }
        return json::serialize(list);
    });
    for (const auto& [name, usage] :
         {std::pair{"audit.verify", "audit verify: check the chain of audit.log"},
          std::pair{"audit.list", "audit list [--count N]: its newest entries"}}) {
        add(name, usage, [this, command = std::string{name}](std::string_view args) {
            return json::serialize(
                audit::run_command(command, json::parse(args).get_object(), audit_.file())
            );
        });
    }
    add("key.status", "key status: names of the master keys in force", [this](std::string_view) {
        return secret_.status();
    });
    add("key.rotate",
        "key rotate [--finish]: a new master key; every secret is sealed under it in batches",
        [this](std::string_view) { return secret_.rotate(); });
    add("key.finish", "key finish: the old master key is refused from now on", [this](auto) {
        const std::lock_guard lock{planned_};
        return kernel::finish_rotation(plan_, commands_, secret_);
    });
    add("stop", "stop: drain and stop the server", [this](std::string_view) {
        (void)::eventfd_write(stop_event_.fd, 1);
        return std::string{R"({"stopping":true})"};
    });
}

void Daemon::add_metrics() {
    const auto collect = [](void* self) {
        auto& mine = *static_cast<Daemon*>(self);
        (void)guard(nullptr, [&] {
            kernel::publish(
                mine.metrics_, mine.health_, mine.log_, mine.exec_, mine.bus_, mine.generation_
            );
        });
    };
    (void)metrics_.on_collect(collect, this);
}

// A sign of life, when every reactor has turned since the one before; the thread that waits here
// did, too. Control calls have time limits of their own.
void Daemon::beat() {
    if (not_turned_ != 0) {
        log(TENON_LOG_WARN,
            "watchdog_not_fed",
            {{"reactors", not_turned_.load()}, {"missed", ++missed_}});
        return;
    }
    missed_ = 0;
    not_turned_ = exec_.reactor_count();
    for (std::uint32_t i = 0; i < exec_.reactor_count(); ++i) {
        const auto turned = [](void* self) {
            if (--static_cast<Daemon*>(self)->not_turned_ == 0) {
                runtime::notify_systemd("WATCHDOG=1");
            }
        };
        (void)exec_.reactor(i).post(turned, this);
    }
}

void Daemon::wait_for_stop() {
    sigset_t set;
    ::sigemptyset(&set);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
        ::sigaddset(&set, signal);
    }
    const Descriptor signals{::signalfd(-1, &set, SFD_CLOEXEC)};
    const char* watchdog = std::getenv("WATCHDOG_USEC");
    const long period_us = watchdog == nullptr ? 0 : std::strtol(watchdog, nullptr, 10);
    const int timeout_ms = period_us > 0 ? static_cast<int>(period_us / 2000) : -1;
    for (;;) {
        std::array<pollfd, 2> wanted{
            pollfd{signals.fd, POLLIN, 0}, pollfd{stop_event_.fd, POLLIN, 0}};
        const int ready = ::poll(wanted.data(), wanted.size(), timeout_ms);
        if (ready == 0) {
            beat();
            continue;
        }
        if ((wanted[1].revents & POLLIN) != 0) {
            const char* reason = failed_ ? k_needed_failed : "admin command";
            log(TENON_LOG_INFO, "stopping", {{"reason", reason}});
            return;
        }
        signalfd_siginfo info{};
        if ((wanted[0].revents & POLLIN) == 0 ||
            ::read(signals.fd, &info, sizeof info) != ssize_t{sizeof info}) {
            continue;
        }
        if (info.ssi_signo == SIGHUP) {
            const auto see_to_it = [](void* self) {
                (void)guard(nullptr, [&] { static_cast<Daemon*>(self)->configuration_.hang_up(); });
            };
            (void)exec_.pool().run(see_to_it, this);
            continue;
        }
        log(TENON_LOG_INFO,
            "stopping",
            {{"reason", info.ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT"}});
        return;
    }
}

// From ready to the wish to stop.
int Daemon::serve(
    loader::Lifecycle& lifecycle,
    const std::string& listen,
    std::int64_t began_ns
) try {
    configuration_.open(lifecycle);
    auto admin = std::make_unique<runtime::AdminServer>(exec_, commands_, data_dir_->path());
    log(TENON_LOG_INFO,
        "ready",
        {{"version", TENON_VERSION},
         {"deployment", plan_.deployment.name},
         {"listen", listen},
         {"all_started", health_.ready()},
         {"elapsed_ms", (runtime::monotonic_ns() - began_ns) / 1'000'000}});
    runtime::notify_systemd("READY=1");
    wait_for_stop();
    lifecycle.hurry();
    if (!admin->stop(k_stop_limit)) {
        for (const std::string& name : commands_.running()) {
            log(TENON_LOG_ERROR, "command_left", {{"name", name}});
        }
        (void)admin.release();  // what goes on holds it
        left_behind_ = true;
    }
    return failed_ ? k_exit_plugin : k_exit_ok;

} catch (const runtime::InUse& e) {  // no admin socket: what runs is stopped in order

    log(TENON_LOG_ERROR, "start_failed", {{"reason", e.what()}});
    return k_exit_in_use;
}

int Daemon::run(
    const std::string& listen,
    std::int64_t began_ns,
    loader::Lifecycle::Refused refused
) {
    loader::Services services{
        &log_,
        &exec_,
        &metrics_,
        &secret_,
        &health_,
        &commands_,
        &bus_,
        &audit_,
        &generation_,
        &planned_,
        {{"data_dir", data_dir_->path().string()},
         {"deployment_dir", plan_.deployment.folder.string()},
         {"listen", listen},
         {"version", TENON_VERSION}}};
    const std::ptrdiff_t threads = threads_ + 2;  // the log's and the control thread
    record(listen);
    exec_.start();
    add_commands();
    configuration_.add_commands(commands_);
    add_metrics();
    tell_last_crash();
    tell_audit();
    configuration_.tell_settings();
    loader::Lifecycle lifecycle{plan_, services, *log_source_, std::move(refused)};
    const bool started = lifecycle.start();
    runtime::note_ready();
    for (const registry::Health::Plugin& plugin : health_.plugins()) {
        if (plugin.state == registry::PluginState::started) {
            safe_mode_->started(plugin.name);
        }
    }
    int exit_code = k_exit_ok;
    if (started || options_->no_listen) {
        exit_code = serve(lifecycle, listen, began_ns);
    } else {
        log(TENON_LOG_ERROR, "start_failed", {{"reason", k_needed_failed}});
        exit_code = k_exit_plugin;
    }
    runtime::notify_systemd("STOPPING=1");
    const auto turn = configuration_.close();
    lifecycle.stop();
    data_dir_->remove("runtime.json");
    bool clean = !lifecycle.lost() && !left_behind_;
    if (clean) {
        for (const std::string& name : exec_.stop(k_stop_limit)) {
            log(TENON_LOG_ERROR, "blocking_task_left", {{"name", name}});
            clean = false;
        }
    }
    if (clean) {
        lifecycle.destroy();
        clean = !lifecycle.lost();
    }
    // A thread that was joined is seen a moment longer.
    for (int tries = 0; thread_count() > threads && tries < 50; ++tries) {
        (void)::poll(nullptr, 0, 1);
    }
    const std::ptrdiff_t left = clean ? std::max<std::ptrdiff_t>(thread_count() - threads, 0) : 0;
    if (left > 0) {
        log(TENON_LOG_ERROR, "threads_left", {{"count", left}});
    }
    log(clean ? TENON_LOG_INFO : TENON_LOG_ERROR, "stopped", {{"clean", clean && left == 0}});
    log_.close();
    if (!clean || left > 0) {
        // A thread of a plugin goes on or hangs; nothing that it may touch can be freed.
        std::_Exit(clean || exit_code != k_exit_ok ? exit_code : k_exit_failure);
    }
    return exit_code;
}

void block_signals() {
    sigset_t set;
    ::sigemptyset(&set);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
        ::sigaddset(&set, signal);
    }
    (void)::pthread_sigmask(SIG_BLOCK, &set, nullptr);
    (void)std::signal(SIGPIPE, SIG_IGN);
}

int check_only(const manifest::Plan& plan) {
    print(plan.problems);
    if (!plan.good()) {
        return k_exit_manifest;
    }
    for (const manifest::PlannedPlugin& plugin : plan.plugins) {
        (void)std::printf(
            "%s %s %s\n",
            plugin.instance.name.c_str(),
            plugin.manifest.id.c_str(),
            plugin.manifest.version.c_str()
        );
    }
    return k_exit_ok;
}

}  // namespace

fs::path default_plugin_path() {
    std::error_code ec;
    const fs::path above = fs::read_symlink("/proc/self/exe", ec).parent_path() / "..";
    const fs::path installed = (above / "lib/tenon/plugins").lexically_normal();
    return fs::is_directory(installed, ec) ? installed : (above / "plugins").lexically_normal();
}

int run_daemon(const DaemonOptions& options) {
    const std::int64_t began_ns = runtime::monotonic_ns();
    manifest::Plan plan = kernel::read_plan(options);
    if (options.check) {
        return check_only(plan);
    }
    if (!plan.good()) {
        print(plan.problems);
        return k_exit_manifest;
    }
    block_signals();
    try {
        runtime::DataDir data_dir{options.data_dir};
        const std::string listen = options.no_listen ? std::string{} : options.listen;
        if (!options.no_listen) {
            runtime::probe_listen(listen);
        }
        manifest::OverridesFile overrides{data_dir.path() / "overrides.json"};
        overrides.apply(plan);
        print(plan.problems);
        loader::SafeMode safe_mode{data_dir, plan, !options.safe_mode};
        loader::Lifecycle::Refused refused{
            loader::scan_libraries(
                plan, data_dir.path(), [&](auto name, auto text) { data_dir.write(name, text); }
            ),
            safe_mode.held()};
        runtime::arm_crash_sentinel(data_dir.path());
        Daemon daemon{options, std::move(plan), std::move(overrides), data_dir, safe_mode};
        return daemon.run(listen, began_ns, std::move(refused));
    } catch (const runtime::InUse& e) {
        (void)std::fprintf(stderr, "tenond: %s\n", e.what());
        return k_exit_in_use;
    } catch (const std::invalid_argument& e) {
        (void)std::fprintf(stderr, "tenond: --listen %s\n", e.what());
        return k_exit_usage;
    }
}

}  // namespace tenon
