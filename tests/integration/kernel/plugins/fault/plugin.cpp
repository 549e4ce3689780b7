// SPDX-License-Identifier: Apache-2.0
// Fails in the call that its setting names. Its table is written by hand, without the wrapper's
// guard, so that an exception really crosses.
#include <tenon/plugin.hpp>

#include <boost/json/parse.hpp>

#include <future>
#include <stdexcept>

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

Fault& of(tenon_plugin* plugin) {
    return *static_cast<Fault*>(plugin);
}

tenon_status answer(void*, tenon_str, tenon_sink out, tenon_err*) {
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
        admin.self, tenon::str(mine.command), tenon::str("alive"), nullptr, &answer
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
        std::promise<void>{}.get_future().wait_for(std::chrono::hours{1});
    }
    return TENON_OK;
}

tenon_status drain(tenon_plugin*, std::int64_t, tenon_done) {
    return TENON_OK;
}

void stop(tenon_plugin*) {}

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
