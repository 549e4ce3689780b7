// SPDX-License-Identifier: Apache-2.0
// Fails in the call that its setting names. Its table is written by hand, without the wrapper's
// guard, so that an exception really crosses.
#include <tenon/plugin.hpp>

#include <boost/json/parse.hpp>

#include <chrono>
#include <cstdlib>
#include <future>
#include <stdexcept>
#include <thread>

namespace {

struct BaseTable {
    std::uint32_t size, flags;
};

struct Fault : tenon_plugin {
    explicit Fault(const tenon_host* given);

    tenon::Host host;
    std::string at;
    std::string command;
};

[[gnu::noinline]] void crash() {
    volatile int* volatile nowhere = nullptr;
    *nowhere = 1;
}

// Without an end but that of the stack.
// NOLINTNEXTLINE(misc-no-recursion)
[[gnu::noinline]] int overflow(volatile int* depth) {
    volatile char frame[256]{};
    *depth = *depth + 1;
    return *depth < 0 ? 0 : overflow(depth) + frame[*depth % 256];
}

void overflow() {
    volatile int depth = 0;
    (void)overflow(&depth);
}

void hang() {
    std::promise<void>{}.get_future().wait_for(std::chrono::hours{1});
}

// What a careless plugin may give the log: no UTF-8, control characters, far too much, no pointers.
void log_rubbish(const tenon::Host& host) {
    const auto log = host.service<tenon_log_1>("tenon.log/1");
    const std::string huge(10U << 20U, 'x');
    const tenon_str rubbish = tenon::str("\xff\xc0\xaf\xed\xa0\x80\x1b[2J\r\nforged=1");
    const tenon_log_field fields[]{
        {rubbish, rubbish, TENON_FIELD_TEXT, 0},
        {tenon::str("number"), rubbish, TENON_FIELD_NUMBER, 0},
        {tenon::str("kind"), tenon::str("odd"), 77, 0},
        {tenon::str("huge"), tenon::str(huge), TENON_FIELD_TEXT, 0},
        {{nullptr, 9}, {nullptr, 9}, TENON_FIELD_TEXT, 0}};
    log->write(log.self, TENON_LOG_INFO, rubbish, fields, 5);
    log->write(log.self, TENON_LOG_INFO, tenon::str(huge), nullptr, 3);
    log->write(log.self, 4711, tenon::str("no such level"), nullptr, 0);
    log->write(log.self, -1, tenon::str("no such level"), nullptr, 0);
    log->write(log.self, TENON_LOG_INFO, tenon::str("rubbish_written"), nullptr, 0);
}

Fault& of(tenon_plugin* plugin) {
    return *static_cast<Fault*>(plugin);
}

tenon::Service<tenon_exec_1> exec_of(const Fault& mine) {
    return mine.host.service<tenon_exec_1>("tenon.exec/1");
}

tenon_status answer(void* self, tenon_str, tenon_sink out, tenon_err*) {
    const Fault& mine = *static_cast<const Fault*>(self);
    if (mine.at == "command") {
        crash();
    }
    if (mine.at == "hang-reactor") {
        (void)exec_of(mine)->post(
            exec_of(mine).self, 1, [](void*) { hang(); }, nullptr
        );
    }
    if (mine.at == "hang-command") {
        mine.host.log().info("hanging");
        hang();
    }
    return out.put(out.ctx, tenon::bytes("\"alive\""));
}

tenon_status configure(tenon_plugin* plugin, tenon_str json, std::uint32_t, tenon_err* err) {
    Fault& mine = of(plugin);
    mine.at = boost::json::parse(tenon::view(json)).at("at").as_string().c_str();
    if (mine.at == "configure") {
        return tenon::fail(err, TENON_INVALID, "asked to fail in configure");
    }
    mine.command = mine.host.environment("instance") + ".alive";
    const auto admin = mine.host.service<tenon_admin_1>("tenon.admin/1");
    return admin->command(
        admin.self, tenon::str(mine.command), tenon::str("alive"), plugin, &answer
    );
}

tenon_status start(tenon_plugin* plugin, tenon_err* err) {
    Fault& mine = of(plugin);
    if (mine.at == "start") {
        return tenon::fail(err, TENON_CORRUPT, "asked to fail in start");
    }
    if (mine.at == "throw") {
        throw std::runtime_error{"asked to throw in start"};
    }
    if (mine.at == "hang") {
        // The timer is the reactor's; it must not come any more once this call is given up.
        const auto exec = exec_of(mine);
        tenon::call_on_reactor(exec, 0, [&] {
            const std::int64_t later = exec->turn_now_ns(exec.self) + 2'600'000'000;
            (void)exec->timer(
                exec.self, later, [](void*) { crash(); }, nullptr
            );
        });
        hang();
    }
    if (mine.at == "crash") {
        crash();
    }
    if (mine.at == "exit") {
        std::exit(0);
    }
    if (mine.at == "abort") {
        tenon::call_on_reactor(exec_of(mine), 0, [] { std::abort(); });
    }
    if (mine.at == "overflow") {
        overflow();
    }
    if (mine.at == "overflow-reactor") {
        tenon::call_on_reactor(exec_of(mine), 0, [] { overflow(); });
    }
    if (mine.at == "hang-task") {
        tenon::run_blocking(exec_of(mine), &hang);
    }
    if (mine.at == "overflow-pool") {
        tenon::run_blocking(exec_of(mine), [] { overflow(); });
        hang();
    }
    if (mine.at == "rubbish") {
        log_rubbish(mine.host);
    }
    if (mine.at == "thread") {
        std::thread{&hang}.detach();
    }
    return TENON_OK;
}

tenon_status drain(tenon_plugin* plugin, std::int64_t, tenon_done) {
    if (of(plugin).at == "hang-drain") {
        hang();
    }
    return of(plugin).at == "never-drained" ? TENON_PENDING : TENON_OK;
}

void stop(tenon_plugin* plugin) {
    if (of(plugin).at == "hang-stop") {
        hang();
    }
    if (of(plugin).at == "needs-pool") {
        std::promise<void> ran;
        tenon::run_blocking(exec_of(of(plugin)), [&] { ran.set_value(); });
        ran.get_future().wait();
    }
}

void destroy(tenon_plugin* plugin) {
    delete &of(plugin);
}

tenon_status query(tenon_plugin* plugin, tenon_str id, tenon_iface* out) {
    static constexpr BaseTable k_table{sizeof(BaseTable), 0};
    if (tenon::view(id) != "test.base/1" || of(plugin).at == "interface") {
        return TENON_UNSUPPORTED;
    }
    *out = {plugin, &k_table};
    return TENON_OK;
}

constexpr tenon_plugin_vt
    k_table{sizeof(tenon_plugin_vt), 0, &configure, &start, &drain, &stop, &destroy, &query};

Fault::Fault(const tenon_host* given) : tenon_plugin{&k_table}, host{given} {}

tenon_status create(const tenon_host* host, tenon_plugin** out, tenon_err*) {
    *out = new Fault{host};
    return TENON_OK;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) const tenon_entry* tenon_plugin_entry_v1() {
    static const tenon_entry entry{
        TENON_MAGIC,
        sizeof(tenon_entry),
        TENON_ABI_MAJOR,
        TENON_ABI_MINOR,
        0,
        tenon::str(TENON_PLUGIN_ID),
        tenon::str(TENON_PLUGIN_VERSION),
        tenon::str(__VERSION__),
        &create};
    return &entry;
}
