# SPDX-License-Identifier: Apache-2.0
# What `cmake --install … --component server` gives: the programs, the plugins (each by
# tenon_add_plugin), and what deployments refer to by relative paths. The SDK (component sdk) has its
# rules in sdk/CMakeLists.txt; the `tenon` tool belongs to both.
install(TARGETS tenond tenon tenon-plugin-check RUNTIME DESTINATION bin COMPONENT server)
install(TARGETS tenon tenon-plugin-check RUNTIME DESTINATION bin COMPONENT sdk OPTIONAL)
install(DIRECTORY etc/deployments etc/imports etc/market-data DESTINATION share/tenon/etc COMPONENT server)
install(FILES etc/instruments.json DESTINATION share/tenon/etc COMPONENT server)
install(DIRECTORY migrations DESTINATION share/tenon COMPONENT server)
install(FILES LICENSE DESTINATION share/tenon COMPONENT server)
