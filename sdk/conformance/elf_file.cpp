// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/elf_file.hpp"

#include <cerrno>
#include <cstring>
#include <deque>
#include <fcntl.h>
#include <gelf.h>
#include <memory>
#include <unistd.h>

namespace tenon::conformance {
namespace {

struct Closer {
    void operator()(Elf* elf) const { (void)elf_end(elf); }
};

using ElfHandle = std::unique_ptr<Elf, Closer>;

class Reader {
public:
    Reader(Elf* elf, ElfFile& out) : elf_{elf}, out_{&out} {}

    void read() {
        header();
        segments();
        for (Elf_Scn* section = elf_nextscn(elf_, nullptr); section != nullptr;
             section = elf_nextscn(elf_, section)) {
            GElf_Shdr raw{};
            const GElf_Shdr* const info = gelf_getshdr(section, &raw);
            if (info == nullptr) {
                continue;
            }
            Elf_Data* const data = elf_getdata(section, nullptr);
            if (data == nullptr || info->sh_entsize == 0) {
                if (info->sh_type == SHT_GNU_verneed && data != nullptr) {
                    versions(*info, data);
                }
                continue;
            }
            if (info->sh_type == SHT_DYNAMIC) {
                dynamic(*info, data);
            } else if (info->sh_type == SHT_DYNSYM) {
                symbols(*info, data);
            } else if (info->sh_type == SHT_GNU_verneed) {
                versions(*info, data);
            }
        }
    }

private:
    void header() {
        GElf_Ehdr raw{};
        if (gelf_getehdr(elf_, &raw) == nullptr) {
            out_->error = elf_errmsg(-1);
            return;
        }
        out_->is_64_bit = gelf_getclass(elf_) == ELFCLASS64;
        out_->is_shared = raw.e_type == ET_DYN;
        out_->machine = raw.e_machine;
    }

    void segments() {
        std::size_t count = 0;
        (void)elf_getphdrnum(elf_, &count);
        bool stack_told = false;
        for (std::size_t i = 0; i < count; ++i) {
            GElf_Phdr raw{};
            if (gelf_getphdr(elf_, static_cast<int>(i), &raw) == nullptr) {
                continue;
            }
            if (raw.p_type == PT_GNU_STACK) {
                stack_told = true;
                out_->executable_stack = (raw.p_flags & PF_X) != 0;
            }
            out_->relro = out_->relro || raw.p_type == PT_GNU_RELRO;
        }
        // Without the segment the linker assumes the worst.
        out_->executable_stack = out_->executable_stack || !stack_told;
    }

    [[nodiscard]] std::string text(std::size_t table, std::size_t offset) const {
        const char* const found = elf_strptr(elf_, table, offset);
        return found == nullptr ? "" : found;
    }

    void dynamic(const GElf_Shdr& info, Elf_Data* data) {
        const auto count = static_cast<int>(info.sh_size / info.sh_entsize);
        for (int i = 0; i < count; ++i) {
            GElf_Dyn entry{};
            if (gelf_getdyn(data, i, &entry) == nullptr || entry.d_tag == DT_NULL) {
                break;
            }
            const auto value = static_cast<std::size_t>(entry.d_un.d_val);
            if (entry.d_tag == DT_NEEDED) {
                out_->needed.push_back(text(info.sh_link, value));
            } else if (entry.d_tag == DT_RPATH || entry.d_tag == DT_RUNPATH) {
                out_->run_path = text(info.sh_link, value);
            } else if (entry.d_tag == DT_TEXTREL || (entry.d_tag == DT_FLAGS && (value & DF_TEXTREL) != 0)) {
                out_->text_relocations = true;
            } else if (entry.d_tag == DT_FLAGS_1) {
                out_->no_delete = (value & DF_1_NODELETE) != 0;
            }
        }
    }

    void symbols(const GElf_Shdr& info, Elf_Data* data) {
        const auto count = static_cast<int>(info.sh_size / info.sh_entsize);
        for (int i = 1; i < count; ++i) {
            GElf_Sym symbol{};
            if (gelf_getsym(data, i, &symbol) == nullptr) {
                continue;
            }
            const auto bind = GELF_ST_BIND(symbol.st_info);
            const auto visibility = GELF_ST_VISIBILITY(symbol.st_other);
            const std::string name = text(info.sh_link, symbol.st_name);
            if (name.empty() || bind == STB_LOCAL) {
                continue;
            }
            if (symbol.st_shndx == SHN_UNDEF) {
                if (bind != STB_WEAK) {
                    out_->undefined.insert(name);
                }
            } else if (visibility == STV_DEFAULT || visibility == STV_PROTECTED) {
                out_->exported.insert(name);
                if (bind == STB_GNU_UNIQUE) {
                    out_->unique.insert(name);
                }
            }
        }
    }

    void versions(const GElf_Shdr& info, Elf_Data* data) {
        int offset = 0;
        for (GElf_Word i = 0; i < info.sh_info; ++i) {
            GElf_Verneed need{};
            if (gelf_getverneed(data, offset, &need) == nullptr) {
                return;
            }
            int inner = offset + static_cast<int>(need.vn_aux);
            for (int k = 0; k < need.vn_cnt; ++k) {
                GElf_Vernaux version{};
                if (gelf_getvernaux(data, inner, &version) == nullptr) {
                    return;
                }
                out_->versions.insert(text(info.sh_link, version.vna_name));
                inner += static_cast<int>(version.vna_next);
            }
            offset += static_cast<int>(need.vn_next);
        }
    }

    Elf* elf_;
    ElfFile* out_;
};

// Numbers in the text compare as numbers: 3.4.9 is before 3.4.30.
bool version_before(const std::string& a, const std::string& b) {
    return ::strverscmp(a.c_str(), b.c_str()) < 0;
}

std::filesystem::path find_library(const std::string& name) {
    static constexpr const char* k_folders[] = {
        "/lib/x86_64-linux-gnu",
        "/usr/lib/x86_64-linux-gnu",
        "/lib/aarch64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
        "/lib64",
        "/usr/lib64",
        "/lib",
        "/usr/lib",
        "/usr/local/lib"};
    for (const char* const folder : k_folders) {
        std::error_code ec;
        std::filesystem::path file = std::filesystem::path{folder} / name;
        if (std::filesystem::exists(file, ec)) {
            return file;
        }
    }
    return {};
}

}  // namespace

ElfFile read_elf(const std::filesystem::path& file) {
    ElfFile out;
#if defined(__x86_64__)
    out.own_machine = EM_X86_64;
#elif defined(__aarch64__)
    out.own_machine = EM_AARCH64;
#endif
    (void)elf_version(EV_CURRENT);
    const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        out.error = std::strerror(errno);
        return out;
    }
    {
        const ElfHandle elf{elf_begin(fd, ELF_C_READ, nullptr)};
        if (!elf || elf_kind(elf.get()) != ELF_K_ELF) {
            out.error = "not an ELF file";
        } else {
            Reader{elf.get(), out}.read();
        }
    }
    ::close(fd);
    return out;
}

std::string newest_version(const ElfFile& elf, const std::string& prefix) {
    std::string newest;
    for (const std::string& version : elf.versions) {
        if (version.starts_with(prefix) && (newest.empty() || version_before(newest, version))) {
            newest = version;
        }
    }
    return newest;
}

std::vector<std::string> unresolved(const ElfFile& elf) {
    std::set<std::string> missing = elf.undefined;
    std::set<std::string> seen;
    std::deque<std::string> left(elf.needed.begin(), elf.needed.end());
    while (!left.empty() && !missing.empty()) {
        const std::string name = left.front();
        left.pop_front();
        if (!seen.insert(name).second) {
            continue;
        }
        const std::filesystem::path file = find_library(name);
        if (file.empty()) {
            continue;
        }
        const ElfFile library = read_elf(file);
        for (const std::string& symbol : library.exported) {
            missing.erase(symbol);
        }
        left.insert(left.end(), library.needed.begin(), library.needed.end());
    }
    return {missing.begin(), missing.end()};
}

}  // namespace tenon::conformance
