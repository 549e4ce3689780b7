# SPDX-License-Identifier: Apache-2.0
# The interface suites over their reference plugin, its broken siblings and the plugins of the tree.
find_program(TENON_PYTHON python3 REQUIRED)

# tenon_add_suite_test(SUITE [PLUGINS target[=settings]…] [OPTIONS …])
function(tenon_add_suite_test suite)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "PLUGINS;OPTIONS")
  set(plugins "")
  foreach(plugin ${arg_PLUGINS})
    string(REGEX MATCH "^[^=]+" target "${plugin}")
    string(REPLACE "${target}" "" settings "${plugin}")
    list(APPEND plugins --plugin "$<TARGET_FILE:${target}>${settings}")
    add_dependencies(tenon_broken_suites ${target})
  endforeach()
  add_test(NAME conformance_suite_${suite} COMMAND ${TENON_PYTHON}
    "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/suites_test.py" $<TARGET_FILE:tenon-plugin-check> ${suite}
    "${TENON_BROKEN_OUTPUT_DIR}" ${plugins} --plugin-path "${TENON_PLUGIN_OUTPUT_DIR}" ${arg_OPTIONS})
  set_tests_properties(conformance_suite_${suite} PROPERTIES TIMEOUT 600 LABELS integration)
endfunction()

set(TENON_BROKEN_OUTPUT_DIR "${CMAKE_BINARY_DIR}/conformance/broken")
tenon_add_suite_test(cache-tier PLUGINS cache-memory)
tenon_add_suite_test(throttle PLUGINS throttle-token-bucket)
tenon_add_suite_test(venue PLUGINS venue-internal venue-paper)
tenon_add_suite_test(feed PLUGINS venue-internal venue-replay
  OPTIONS --deployment-dir "${PROJECT_SOURCE_DIR}/etc/deployments")
tenon_add_suite_test(storage PLUGINS storage-sqlite)
tenon_add_suite_test(gateway PLUGINS gateway-binance console monitor-metrics monitor-health)
tenon_add_suite_test(monitor PLUGINS storage-sqlite)
tenon_add_suite_test(migrations PLUGINS migrations-sql
  OPTIONS --deployment-dir "${PROJECT_SOURCE_DIR}/etc/deployments")
tenon_add_suite_test(backup)
