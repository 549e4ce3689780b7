# SPDX-License-Identifier: Apache-2.0
# Debian 12's packages, as imported targets.
find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS json)
find_package(spdlog REQUIRED)
find_package(fmt REQUIRED)
find_package(Catch2 2 REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(ZLIB REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(sodium REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(sqlite3 REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(libelf REQUIRED IMPORTED_TARGET libelf)
pkg_check_modules(libpq REQUIRED IMPORTED_TARGET libpq)
pkg_check_modules(zstd REQUIRED IMPORTED_TARGET libzstd)

# SOCI ships no CMake configuration.
find_path(SOCI_INCLUDE_DIR soci/soci.h REQUIRED)
find_library(SOCI_CORE_LIBRARY soci_core REQUIRED)
find_library(SOCI_SQLITE3_LIBRARY soci_sqlite3 REQUIRED)
find_library(SOCI_POSTGRESQL_LIBRARY soci_postgresql REQUIRED)
add_library(tenon_soci INTERFACE)
target_include_directories(tenon_soci SYSTEM INTERFACE "${SOCI_INCLUDE_DIR}")
target_link_libraries(tenon_soci INTERFACE
  "${SOCI_POSTGRESQL_LIBRARY}" "${SOCI_SQLITE3_LIBRARY}" "${SOCI_CORE_LIBRARY}")

# Asio and Beast, compiled once.
add_library(tenon_beast STATIC cmake/beast.cpp)
target_link_libraries(tenon_beast PUBLIC Boost::headers Threads::Threads OpenSSL::Crypto
  PRIVATE tenon_options)
set_target_properties(tenon_beast PROPERTIES POSITION_INDEPENDENT_CODE ON
  CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)

# Catch2's main, compiled once.
add_library(tenon_test_main STATIC cmake/catch_main.cpp)
target_link_libraries(tenon_test_main PUBLIC Catch2::Catch2 PRIVATE tenon_options)
