// SPDX-License-Identifier: Apache-2.0
#include "tools/cli/commands.hpp"

#include "sdk/audit/audit_log.hpp"
#include "sdk/manifest/plan.hpp"
#include "tools/cli/admin_client.hpp"
#include "tools/cli/archive.hpp"
#include "tools/cli/arguments.hpp"
#include "tools/cli/copy.hpp"
#include "tools/cli/flags.hpp"
#include "tools/cli/import.hpp"
#include "tools/cli/journal.hpp"
#include "tools/cli/load.hpp"
#include "tools/cli/migrate.hpp"
#include "tools/cli/output.hpp"
#include "tools/cli/pages.hpp"
#include "tools/cli/plugin_check.hpp"
#include "tools/cli/plugin_new.hpp"
#include "tools/cli/rotate_key.hpp"
#include "tools/cli/settings.hpp"
#include "tools/cli/verify.hpp"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>

namespace tenon::cli {

namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

void print(const Arguments& arguments, const json::value& value) {
    const std::string text = arguments.json ? json::serialize(value) + "\n" : readable(value);
    (void)std::fputs(text.c_str(), stdout);
}

int fail(bool as_json, int exit_code, std::string_view code, const std::string& message) {
    const std::string text =
        as_json ? json::serialize(
                      json::object{{"error", json::object{{"code", code}, {"message", message}}}}
                  ) + "\n"
                : "tenon: " + message + "\n";
    (void)std::fputs(text.c_str(), as_json ? stdout : stderr);
    return exit_code;
}

fs::path plugin_folder() {
    std::error_code ec;
    const fs::path self = fs::read_symlink("/proc/self/exe", ec);
    return (self.parent_path() / ".." / "plugins").lexically_normal();
}

manifest::Plan plan_of(const Arguments& arguments, const fs::path& file) {
    std::vector<manifest::Override> overrides;
    for (const std::string& text : arguments.overrides) {
        const auto set = manifest::parse_override(text);
        if (!set) {
            throw UsageError{"--set \"" + text + "\" is not /json/pointer=value"};
        }
        overrides.push_back(*set);
    }
    return manifest::make_plan(file, overrides, arguments.plugin_path, {plugin_folder()});
}

json::array plugins_of(const manifest::Plan& plan) {
    json::array list;
    for (const manifest::PlannedPlugin& plugin : plan.plugins) {
        json::array provides;
        for (const manifest::Provision& provision : plugin.manifest.provides) {
            provides.emplace_back(provision.interface_id);
        }
        list.push_back(json::object{
            {"name", plugin.instance.name},
            {"id", plugin.manifest.id},
            {"version", plugin.manifest.version},
            {"provides", std::move(provides)}});
    }
    return list;
}

int report_problems(const Arguments& arguments, const manifest::Plan& plan) {
    if (arguments.json) {
        print(
            arguments,
            json::object{
                {"ok", plan.good()},
                {"problems", manifest::to_json(plan.problems)},
                {"plugins", plugins_of(plan)}}
        );
    } else {
        for (const manifest::Problem& problem : plan.problems) {
            (void)std::fprintf(stderr, "%s\n", manifest::to_text(problem).c_str());
        }
        if (plan.good()) {
            print(arguments, plugins_of(plan));
        }
    }
    return plan.good() ? k_exit_ok : k_exit_deployment;
}

int check(const Arguments& arguments) {
    if (arguments.words.size() > 2 ||
        (arguments.words.size() == 1) == arguments.deployment.empty()) {
        throw UsageError{"usage: tenon check FILE"};
    }
    const fs::path file =
        arguments.deployment.empty() ? fs::path{arguments.words[1]} : arguments.deployment;
    return report_problems(arguments, plan_of(arguments, file));
}

int list(const Arguments& arguments) {
    if (arguments.deployment.empty()) {
        if (auto client = AdminClient::connect(arguments.data_dir)) {
            print(arguments, client->run("plugins.list", {}));
            return k_exit_ok;
        }
    }
    const manifest::Plan plan = plan_of(
        arguments,
        arguments.deployment.empty() ? deployment_for(arguments.data_dir) : arguments.deployment
    );
    if (!plan.good()) {
        return report_problems(arguments, plan);
    }
    print(arguments, plugins_of(plan));
    return k_exit_ok;
}

AdminClient running_server(const Arguments& arguments) {
    auto client = AdminClient::connect(arguments.data_dir);
    if (!client) {
        throw NoServer{"no server answers on " + arguments.data_dir.string()};
    }
    return std::move(*client);
}

std::string option(const Arguments& arguments, std::string_view name, std::string absent) {
    const json::value* value = arguments.options.if_contains(name);
    if (value == nullptr) {
        return absent;
    }
    if (!value->is_string()) {
        throw UsageError{"--" + std::string{name} + " needs one value"};
    }
    return std::string{value->get_string()};
}

int run_verify(const Arguments& arguments) {
    VerifySettings settings;
    settings.data_dir = arguments.data_dir;
    settings.address = option(arguments, "listen", "");
    settings.account = option(arguments, "account", "demo");
    settings.symbol = option(arguments, "symbol", "");
    AdminClient client = running_server(arguments);
    const auto tell = [&](const json::object& step) {
        if (!arguments.json) {
            (void)std::printf(
                "%-6s %-26s %s\n",
                step.at("ok").as_bool() ? "ok" : "FAILED",
                step.at("step").as_string().c_str(),
                step.at("detail").as_string().c_str()
            );
            (void)std::fflush(stdout);
        }
    };
    const json::object result = verify(client, settings, tell);
    if (arguments.json) {
        print(arguments, result);
    }
    return result.at("ok").as_bool() ? k_exit_ok : k_exit_failed;
}

int make_plugin(const Arguments& arguments) {
    std::string told;
    const json::object made = plugin_new(arguments, told);
    if (arguments.json) {
        print(arguments, made);
    } else {
        (void)std::fputs(told.c_str(), stdout);
    }
    return k_exit_ok;
}

// A check that ran and found something says "ok": false; scripts see it by the exit code.
int finish(const Arguments& arguments, const json::value& answer) {
    print(arguments, answer);
    const json::value* ok = answer.is_object() ? answer.get_object().if_contains("ok") : nullptr;
    return ok != nullptr && *ok == false ? k_exit_failed : k_exit_ok;
}

// `plugin reload NAME`: what the server calls plugins.reload.
int reload_plugin(const Arguments& arguments) {
    json::object options = arguments.options;
    options["plugin"] = arguments.words[2];
    if (const auto watch = options.find("watch-ms"); watch != options.end()) {
        options["watch_ms"] = watch->value();
        options.erase("watch-ms");
    }
    return finish(arguments, running_server(arguments).run("plugins.reload", options));
}

// One line for each change and each problem, as `tenond --check` has them.
int reload(const Arguments& arguments) {
    const json::value answer = running_server(arguments).run("reload", arguments.options);
    if (arguments.json) {
        print(arguments, answer);
        return answer.at("ok").as_bool() ? k_exit_ok : k_exit_deployment;
    }
    for (const json::value& change : answer.at("changes").as_array()) {
        (void)std::printf(
            "%s: %s -> %s\n",
            change.at("pointer").as_string().c_str(),
            json::serialize(change.at("old")).c_str(),
            json::serialize(change.at("new")).c_str()
        );
    }
    for (const json::value& item : answer.at("problems").as_array()) {
        const auto text = [&](std::string_view key) {
            return std::string{item.at(key).as_string()};
        };
        const manifest::Problem problem{
            text("code"),
            text("file"),
            text("pointer"),
            text("message"),
            text("found"),
            text("expected"),
            text("severity") == "warning"};
        (void)std::fprintf(stderr, "%s\n", manifest::to_text(problem).c_str());
    }
    const bool good = answer.at("ok").as_bool();
    const char* const done = answer.at("changes").as_array().empty() ? "nothing changed"
                             : answer.at("dry_run").as_bool()        ? "would be applied"
                                                                     : "applied";
    (void)std::printf(
        "%s; generation %s\n",
        good ? done : "refused; the old configuration goes on",
        json::serialize(answer.at("generation")).c_str()
    );
    return good ? k_exit_ok : k_exit_deployment;
}

// Without a server the file is read as it is; starting one would repair it.
int audit_command(const Arguments& arguments) {
    if (auto client = AdminClient::connect(arguments.data_dir)) {
        return finish(arguments, client->run(arguments.command(), arguments.options));
    }
    const fs::path file = arguments.data_dir / "audit.log";
    return finish(arguments, audit::run_command(arguments.command(), arguments.options, file));
}

int send(const Arguments& arguments) {
    // Commands that make no sense without the server that they are about.
    constexpr std::array<std::string_view, 4> k_online{"status", "log.level", "stop", "help"};
    const std::string command =
        arguments.words[0] == "commands" ? std::string{"help"} : arguments.command();
    if (std::find(k_online.begin(), k_online.end(), command) != k_online.end()) {
        AdminClient client = running_server(arguments);
        return finish(arguments, client.run(command, arguments.options));
    }
    if (auto client = AdminClient::connect(arguments.data_dir)) {
        return finish(arguments, client->run(command, arguments.options));
    }
    TemporaryServer server{
        {arguments.data_dir, arguments.deployment, arguments.plugin_path, arguments.overrides}};
    return finish(arguments, server.client().run(command, arguments.options));
}

// Through the running server, or one that is started for it.
int rotate_master_key(const Arguments& arguments) {
    if (auto client = AdminClient::connect(arguments.data_dir)) {
        return finish(arguments, rotate_key(*client, arguments.options));
    }
    TemporaryServer server{
        {arguments.data_dir, arguments.deployment, arguments.plugin_path, arguments.overrides}};
    return finish(arguments, rotate_key(server.client(), arguments.options));
}

// A command of several questions, to the running server or one that is started for it.
int converse(
    const Arguments& arguments,
    json::value (*run)(AdminClient& client, const Arguments& arguments)
) {
    if (auto client = AdminClient::connect(arguments.data_dir)) {
        return finish(arguments, run(*client, arguments));
    }
    TemporaryServer server{
        {arguments.data_dir, arguments.deployment, arguments.plugin_path, arguments.overrides}};
    return finish(arguments, run(server.client(), arguments));
}

// Rows that are archived are printed while they come; everything else is an answer.
int archive(const Arguments& typed) {
    const Arguments arguments = archive_arguments(typed);
    const auto tell = [&](AdminClient& client) {
        const json::value answer = run_archive(client, arguments);
        return answer.is_null() ? k_exit_ok : finish(arguments, answer);
    };
    if (auto client = AdminClient::connect(arguments.data_dir)) {
        return tell(*client);
    }
    TemporaryServer server{
        {arguments.data_dir, arguments.deployment, arguments.plugin_path, arguments.overrides}};
    return tell(server.client());
}

// CSV on the standard output, whatever --json says.
int export_csv(const Arguments& arguments) {
    if (arguments.command() != "export.trades" && arguments.command() != "export.statement") {
        throw UsageError{
            "usage: tenon export trades --account A [--symbol S] [--from T] [--to T] | export "
            "statement --account A [--asset X] [--from T] [--to T]"};
    }
    if (auto client = AdminClient::connect(arguments.data_dir)) {
        print_pages(*client, arguments.command(), arguments.options);
        return k_exit_ok;
    }
    TemporaryServer server{
        {arguments.data_dir, arguments.deployment, arguments.plugin_path, arguments.overrides}};
    print_pages(server.client(), arguments.command(), arguments.options);
    return k_exit_ok;
}

int migrate(const Arguments& typed) {
    if (typed.help || typed.words.size() == 1) {
        (void)std::fputs(migrate_help().c_str(), stdout);
        return typed.help ? k_exit_ok : k_exit_usage;
    }
    const Arguments arguments = migrate_arguments(typed);
    if (arguments.words[1] == "new") {
        std::string told;
        const json::object made = migrate_new(arguments, told);
        if (arguments.json) {
            print(arguments, made);
        } else {
            (void)std::fputs(told.c_str(), stdout);
        }
        return k_exit_ok;
    }
    if (arguments.words[1] == "copy") {
        return converse(arguments, run_copy);
    }
    if (arguments.words[1] == "import") {
        return converse(arguments, run_import);
    }
    // For the server that may be started; see migrate.hpp.
    (void)::setenv("TENON_MIGRATE_BY_COMMAND", "1", 1);
    return send(arguments);
}

int settings(const Arguments& typed) {
    const Arguments arguments = settings_arguments(typed);
    const auto tell = [&](AdminClient& client) {
        const json::value answer = client.run(arguments.command(), arguments.options);
        if (!arguments.json) {
            return tell_settings(answer);
        }
        print(arguments, answer);
        const json::value* applied = answer.as_object().if_contains("applied");
        return applied == nullptr || *applied == true ||
                       *answer.as_object().if_contains("dry_run") == true
                   ? k_exit_ok
                   : k_exit_failed;
    };
    if (auto client = AdminClient::connect(arguments.data_dir)) {
        return tell(*client);
    }
    TemporaryServer server{
        {arguments.data_dir, arguments.deployment, arguments.plugin_path, arguments.overrides}};
    return tell(server.client());
}

// The running server is not asked: the past is replayed beside it.
int look_back(const Arguments& arguments) {
    const fs::path deployment =
        arguments.deployment.empty() ? deployment_for(arguments.data_dir) : arguments.deployment;
    const manifest::Plan plan = plan_of(arguments, deployment);
    if (!plan.good()) {
        return report_problems(arguments, plan);
    }
    const json::value answer = journal_at(arguments, plan, deployment);
    if (arguments.json) {
        print(arguments, answer);
    } else {
        (void)std::fputs(readable_view(answer).c_str(), stdout);
    }
    return k_exit_ok;
}

// What was recorded, by the folder's own deployment; and the same under what is named now.
int replay(const Arguments& arguments) {
    Arguments plain = arguments;
    plain.overrides.clear();
    const fs::path then = deployment_for(arguments.data_dir);
    const fs::path now = arguments.deployment.empty() ? then : arguments.deployment;
    const manifest::Plan recorded = plan_of(plain, then);
    if (!recorded.good()) {
        return report_problems(arguments, recorded);
    }
    const manifest::Plan changed = plan_of(arguments, now);
    if (!changed.good()) {
        return report_problems(arguments, changed);
    }
    const json::value answer = journal_replay(arguments, recorded, then, changed, now);
    if (arguments.json) {
        print(arguments, answer);
    } else {
        (void)std::fputs(readable_replay(answer).c_str(), stdout);
    }
    return k_exit_ok;
}

int dispatch(const Arguments& arguments) {
    if (!arguments.words.empty() && arguments.words[0] == "migrate") {
        return migrate(arguments);
    }
    if (!arguments.words.empty() && arguments.words[0] == "load") {
        return run_load(arguments);
    }
    if (arguments.help || arguments.words.empty() || arguments.words[0] == "help") {
        (void)std::fputs(help_text().c_str(), stdout);
        return arguments.help || !arguments.words.empty() ? k_exit_ok : k_exit_usage;
    }
    const std::string& word = arguments.words[0];
    if (word == "check") {
        return check(arguments);
    }
    if (word == "list" && arguments.words.size() == 1) {
        return list(arguments);
    }
    if (word == "plugin" && arguments.words.size() == 3 && arguments.words[1] == "reload") {
        return reload_plugin(arguments);
    }
    if (word == "plugin") {  // `plugin check` never comes here
        return make_plugin(arguments);
    }
    if (word == "verify" && arguments.words.size() == 1) {
        return run_verify(arguments);
    }
    if (arguments.command() == "key.rotate") {
        return rotate_master_key(arguments);
    }
    if (arguments.command() == "audit.verify" || arguments.command() == "audit.list") {
        return audit_command(arguments);
    }
    if (word == "journal" && arguments.words.size() > 1 && arguments.words[1] == "at") {
        return look_back(arguments);
    }
    if (arguments.command() == "journal.replay") {
        return replay(arguments);
    }
    if (word == "export") {
        return export_csv(arguments);
    }
    if (word == "archive") {
        return archive(arguments);
    }
    if (word == "settings") {
        return settings(arguments);
    }
    if (word == "flags") {
        return converse(arguments, run_flags);
    }
    if (word == "reload" && arguments.words.size() == 1) {
        return reload(arguments);
    }
    return send(arguments);
}

}  // namespace

int run(const std::vector<std::string>& raw) {
    const bool as_json = std::find(raw.begin(), raw.end(), "--json") != raw.end();
    try {
        if (is_plugin_check(raw)) {
            run_plugin_check(raw);
        }
        return dispatch(parse_arguments(raw));
    } catch (const UsageError& e) {
        return fail(as_json, k_exit_usage, "USAGE", std::string{e.what()} + " (see tenon --help)");
    } catch (const CommandFailed& e) {
        return fail(as_json, k_exit_failed, e.code(), e.what());
    } catch (const NoServer& e) {
        return fail(as_json, k_exit_no_server, "NO_SERVER", e.what());
    } catch (const std::exception& e) {
        return fail(as_json, k_exit_failed, "INTERNAL", e.what());
    }
}

}  // namespace tenon::cli
