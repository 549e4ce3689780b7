// SPDX-License-Identifier: Apache-2.0
#include "tools/cli/journal.hpp"

#include <boost/json/object.hpp>
#include <catch2/catch.hpp>

using namespace tenon;

namespace {

manifest::PlannedPlugin plugin(const std::string& name, const std::string& id) {
    manifest::PlannedPlugin made;
    made.instance.name = name;
    made.manifest.id = id;
    return made;
}

}  // namespace

TEST_CASE("a look at the journal keeps the engine and what it cannot do without", "[cli][T10]") {
    manifest::Plan plan;
    plan.plugins = {
        plugin("instruments", "a"),
        plugin("storage", "b"),
        plugin("internal", "c"),
        plugin("engine", "tenon.trading.engine"),
        plugin("gateway", "d")};
    manifest::PlannedPlugin& venue = plan.plugins[2];
    venue.manifest.requirements = {{"tenon.instruments/1", "", false, false}};
    venue.providers = {{"tenon.instruments/1", {0}}};
    manifest::PlannedPlugin& engine = plan.plugins[3];
    engine.manifest.requirements = {
        {"tenon.venue/1", "", false, true}, {"tenon.storage/1", "", true, false}};
    engine.providers = {{"tenon.venue/1", {2}}, {"tenon.storage/1", {1}}};
    engine.instance.bind = {{"tenon.storage/1", {"storage"}}, {"tenon.venue/1", {"internal"}}};

    CHECK(
        cli::view_overrides(plan, "view", {{"data_dir", "/d"}}) ==
        std::vector<std::string>{
            "/plugins/storage/enabled=false",
            R"(/plugins/engine/bind={"tenon.venue/1":["internal"]})",
            "/plugins/gateway/enabled=false",
            R"(/plugins/engine/config/view={"data_dir":"/d"})"}
    );
    engine.manifest.id = "other";
    CHECK_THROWS_WITH(
        cli::view_overrides(plan, "view", {}), "the deployment has no trading engine"
    );
}
