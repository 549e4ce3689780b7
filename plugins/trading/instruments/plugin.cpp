// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/instruments/catalogue.hpp"

#include <tenon/plugin.hpp>

#include <boost/json.hpp>

#include <filesystem>

namespace tenon::instruments {

// Reads the file in configure, so that a check of the deployment finds its mistakes.
class InstrumentsPlugin : public Plugin {
public:
    explicit InstrumentsPlugin(const tenon_host* host) : Plugin{host} {
        provide("tenon.instruments/1", &catalogue_, &Catalogue::k_table);
    }

    void configure(std::string_view json, bool dry_run) override {
        const boost::json::value settings = boost::json::parse({json.data(), json.size()});
        const std::filesystem::path file{std::string{settings.at("file").as_string()}};
        const std::filesystem::path folder{host().environment("deployment_dir")};
        Catalogue read = Catalogue::load((folder / file).lexically_normal().string());
        if (!dry_run) {
            catalogue_ = std::move(read);
            host().log().info(
                "instruments_read",
                {{"assets", catalogue_.asset_count()},
                 {"instruments", catalogue_.instrument_count()}}
            );
        }
    }

private:
    Catalogue catalogue_;
};

}  // namespace tenon::instruments

TENON_EXPORT_PLUGIN(tenon::instruments::InstrumentsPlugin)
