// SPDX-License-Identifier: Apache-2.0
// malloc and its kin of tenon-plugin-check, over glibc's own. An executable's definitions come
// before those of every library. Not compiled into builds with a sanitizer, which has definitions
// itself.
#include "sdk/conformance/allocation.hpp"

#include <cerrno>
#include <cstddef>

extern "C" {

void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* block, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);
void __libc_free(void* block);

void* malloc(std::size_t size) {
    if (tenon::conformance::note_allocation()) {
        errno = ENOMEM;
        return nullptr;
    }
    return __libc_malloc(size);
}

void* calloc(std::size_t count, std::size_t size) {
    if (tenon::conformance::note_allocation()) {
        errno = ENOMEM;
        return nullptr;
    }
    return __libc_calloc(count, size);
}

void* realloc(void* block, std::size_t size) {
    if (tenon::conformance::note_allocation()) {
        errno = ENOMEM;
        return nullptr;
    }
    return __libc_realloc(block, size);
}

void* aligned_alloc(std::size_t alignment, std::size_t size) {
    if (tenon::conformance::note_allocation()) {
        errno = ENOMEM;
        return nullptr;
    }
    return __libc_memalign(alignment, size);
}

void* memalign(std::size_t alignment, std::size_t size) {
    return aligned_alloc(alignment, size);
}

int posix_memalign(void** out, std::size_t alignment, std::size_t size) {
    void* const block = aligned_alloc(alignment, size);
    if (block == nullptr) {
        return ENOMEM;
    }
    *out = block;
    return 0;
}

void free(void* block) {
    __libc_free(block);
}

}  // extern "C"

namespace {

[[gnu::constructor]] void announce() {
    tenon::conformance::set_allocation_hook();
}

}  // namespace
