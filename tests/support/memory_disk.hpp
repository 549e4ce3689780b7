// SPDX-License-Identifier: Apache-2.0
// A disk in memory that fails on request: short and interrupted writes, failed syncs, no space, and
// power loss, after which sectors that were not synced hold their old or their new bytes at random.
#pragma once

#include "sdk/journal/disk.hpp"

#include <tenon/plugin.hpp>

#include <algorithm>
#include <cerrno>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace tenon::test {

class MemoryDisk final : public journal::Disk {
public:
    struct Node {
        std::vector<std::byte> live;
        std::vector<std::byte> durable;
    };

    struct Faults {
        int interrupt_writes = 0;   // so many writes are interrupted first
        bool short_writes = false;  // a write moves a random part
        long writes_left = -1;      // then writes fail with write_error
        int write_error = ENOSPC;
        long syncs_left = -1;  // then syncs fail with EIO
        std::uint64_t free = std::uint64_t{1} << 40;
    };

    explicit MemoryDisk(std::uint64_t seed = 1) : random_{seed} {}

    Faults faults;
    long writes = 0, syncs = 0;

    std::unique_ptr<journal::File> open(const std::string& path, journal::OpenMode mode) override {
        auto& node = names_[path];
        if (!node) {
            if (mode != journal::OpenMode::create) {
                names_.erase(path);
                throw Error{TENON_UNAVAILABLE, "cannot open " + path};
            }
            node = std::make_shared<Node>();
        }
        if (mode == journal::OpenMode::create) {
            node = std::make_shared<Node>();
        }
        return std::make_unique<MemoryFile>(*this, node);
    }

    void rename(const std::string& from, const std::string& to) override {
        names_[to] = names_.at(from);
        names_.erase(from);
    }

    void remove(const std::string& path) override { names_.erase(path); }

    void sync_folder(const std::string&) override { durable_names_ = names_; }

    void make_folder(const std::string&) override {}

    std::vector<std::string> list(const std::string& path) override {
        std::vector<std::string> found;
        for (const auto& [name, node] : names_) {
            if (name.compare(0, path.size() + 1, path + "/") == 0) {
                found.push_back(name.substr(path.size() + 1));
            }
        }
        return found;
    }

    std::uint64_t free_bytes(const std::string&) override { return faults.free; }

    // The process died: everything that was written is there. Faults end.
    void kill() { faults = {}; }

    // The power went away: of what was not synced, each sector is old or new. Faults end.
    void lose_power() {
        names_ = durable_names_;
        for (auto& [name, node] : names_) {
            for (std::size_t at = 0; at < node->live.size(); at += 512) {
                const std::size_t n = std::min<std::size_t>(512, node->live.size() - at);
                node->durable.resize(std::max(node->durable.size(), node->live.size()));
                const auto live = node->live.begin() + static_cast<std::ptrdiff_t>(at);
                const auto old = node->durable.begin() + static_cast<std::ptrdiff_t>(at);
                if (random_() % 2 == 0) {
                    std::copy_n(old, n, live);
                }
                std::copy_n(live, n, old);
            }
        }
        faults = {};
    }

    [[nodiscard]] std::vector<std::byte>& bytes(const std::string& path) {
        return names_.at(path)->live;
    }

    [[nodiscard]] bool exists(const std::string& path) const { return names_.count(path) != 0; }

private:
    class MemoryFile final : public journal::File {
    public:
        MemoryFile(MemoryDisk& disk, std::shared_ptr<Node> node)
            : disk_{disk}, node_{std::move(node)} {}

        std::int64_t write_at(std::span<const std::byte> data, std::uint64_t offset) override {
            ++disk_.writes;
            Faults& faults = disk_.faults;
            if (faults.interrupt_writes > 0) {
                --faults.interrupt_writes;
                return -EINTR;
            }
            if (faults.writes_left == 0) {
                return -faults.write_error;
            }
            if (faults.writes_left > 0) {
                --faults.writes_left;
            }
            std::size_t n = data.size();
            if (faults.short_writes && n > 1) {
                n = 1 + disk_.random_() % n;
            }
            const auto at = static_cast<std::size_t>(offset);
            node_->live.resize(std::max(node_->live.size(), at + n));
            std::copy_n(data.begin(), n, node_->live.begin() + static_cast<std::ptrdiff_t>(at));
            return static_cast<std::int64_t>(n);
        }

        std::int64_t read_at(std::span<std::byte> data, std::uint64_t offset) override {
            const auto at = static_cast<std::size_t>(offset);
            if (at >= node_->live.size()) {
                return 0;
            }
            const std::size_t n = std::min(data.size(), node_->live.size() - at);
            std::copy_n(node_->live.begin() + static_cast<std::ptrdiff_t>(at), n, data.begin());
            return static_cast<std::int64_t>(n);
        }

        int sync() override {
            ++disk_.syncs;
            if (disk_.faults.syncs_left == 0) {
                return EIO;
            }
            if (disk_.faults.syncs_left > 0) {
                --disk_.faults.syncs_left;
            }
            node_->durable = node_->live;
            return 0;
        }

        int resize(std::uint64_t size) override {
            node_->live.resize(static_cast<std::size_t>(size));
            return 0;
        }

        std::int64_t size() override { return static_cast<std::int64_t>(node_->live.size()); }

    private:
        MemoryDisk& disk_;
        std::shared_ptr<Node> node_;
    };

    std::map<std::string, std::shared_ptr<Node>> names_, durable_names_;
    std::mt19937_64 random_;
};

}  // namespace tenon::test
