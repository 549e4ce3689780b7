# SPDX-License-Identifier: Apache-2.0
# `cpack --config BUILD/CPackConfig.cmake` makes two Debian packages: tenon (the component server, its
# unit, user, manual pages, completion) and tenon-dev (the SDK).
install(FILES etc/systemd/tenon.service DESTINATION lib/systemd/system COMPONENT server)
install(FILES etc/systemd/tenon.sysusers DESTINATION lib/sysusers.d RENAME tenon.conf COMPONENT server)
install(FILES etc/systemd/tenon.tmpfiles DESTINATION lib/tmpfiles.d RENAME tenon.conf COMPONENT server)
install(FILES etc/completion/tenon.bash DESTINATION share/bash-completion/completions RENAME tenon
  COMPONENT server)
install(FILES LICENSE DESTINATION share/doc/tenon RENAME copyright COMPONENT server)
install(FILES LICENSE DESTINATION share/doc/tenon-dev RENAME copyright COMPONENT sdk)
find_program(TENON_GZIP gzip REQUIRED)
foreach(page tenon.1 tenon-plugin-check.1 tenond.8)
  string(REGEX REPLACE ".*\\." "" section "${page}")
  set(packed "${CMAKE_BINARY_DIR}/man/${page}.gz")
  add_custom_command(OUTPUT "${packed}" DEPENDS "docs/man/${page}" VERBATIM
    COMMAND ${CMAKE_COMMAND} -E make_directory "${CMAKE_BINARY_DIR}/man"
    COMMAND ${TENON_GZIP} -9nc "${PROJECT_SOURCE_DIR}/docs/man/${page}" > "${packed}")
  list(APPEND manual_pages "${packed}")
  install(FILES "${packed}" DESTINATION share/man/man${section} COMPONENT server)
endforeach()
add_custom_target(tenon_manual ALL DEPENDS ${manual_pages})
# Outside the prefix: where the unit looks.
install(FILES etc/systemd/tenon.default DESTINATION /etc/default RENAME tenon COMPONENT settings)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_VENDOR "Tenon")
set(CPACK_PACKAGE_CONTACT "The Tenon developers <tenon@localhost>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGE_DIRECTORY "${CMAKE_BINARY_DIR}/packages")
set(CPACK_COMPONENTS_ALL server settings sdk)
set(CPACK_COMPONENT_SERVER_GROUP tenon)
set(CPACK_COMPONENT_SETTINGS_GROUP tenon)
set(CPACK_COMPONENT_SDK_GROUP tenon-dev)
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_PRE_BUILD_SCRIPTS "${PROJECT_SOURCE_DIR}/cmake/package_stage.cmake")

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_TENON_PACKAGE_NAME tenon)
set(CPACK_DEBIAN_TENON_DESCRIPTION "self-hosted trading platform server
 Stands between trading strategies and exchanges: one journal, one exchange
 budget and one live book for every bot behind it, over an API that clients of
 Binance Spot speak. A small kernel loads what a deployment names: storage,
 caches, throttles, venues, gateways, monitoring, a web console.")
set(CPACK_DEBIAN_TENON_PACKAGE_DEPENDS "init-system-helpers, systemd")
set(CPACK_DEBIAN_TENON_PACKAGE_SUGGESTS "postgresql, redis-server, prometheus")
set(CPACK_DEBIAN_TENON_PACKAGE_CONTROL_EXTRA
  "${PROJECT_SOURCE_DIR}/etc/debian/postinst;${PROJECT_SOURCE_DIR}/etc/debian/prerm;${PROJECT_SOURCE_DIR}/etc/debian/postrm;${PROJECT_SOURCE_DIR}/etc/debian/conffiles")
set(CPACK_DEBIAN_TENON-DEV_PACKAGE_NAME tenon-dev)
set(CPACK_DEBIAN_TENON-DEV_PACKAGE_SECTION devel)
set(CPACK_DEBIAN_TENON-DEV_PACKAGE_SHLIBDEPS OFF)
set(CPACK_DEBIAN_TENON-DEV_PACKAGE_DEPENDS "tenon (= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_TENON-DEV_DESCRIPTION "SDK for plugins of the Tenon trading server
 Headers of the C ABI and its C++20 wrappers, the CMake package, pkg-config
 file, guide, templates and examples. `tenon plugin check` runs the conformance
 checks on a plugin.")
include(CPack)
cpack_add_component_group(tenon)
cpack_add_component_group(tenon-dev)
