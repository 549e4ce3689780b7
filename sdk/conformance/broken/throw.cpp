// SPDX-License-Identifier: Apache-2.0
// What C cannot do: an exception, and a symbol that the linker makes unique in the process.
#include <stdexcept>

extern "C" void broken_throw() {
    throw std::runtime_error{"out of a plain C plugin"};
}

#if defined(BROKEN_static_unique)
template <class T>
struct __attribute__((visibility("default"))) Shared {
    static inline int value = 0;
};

extern "C" int* broken_unique() {
    return &Shared<int>::value;
}
#endif
