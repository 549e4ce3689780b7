# SPDX-License-Identifier: Apache-2.0
# The reference plugin of each interface suite and its deliberately broken siblings: one library for
# each check of the suite, which must fail that check.
#
#   tenon_add_broken(SUITE FILE.cpp CHECKS CHECK… [LINK …])   with FILE.json; SUITE.CHECK fails
#
# The code is compiled once; a library is linked with one line that names its fault. The libraries go
# to ${TENON_BROKEN_OUTPUT_DIR}/SUITE.CHECK/, the reference to SUITE.none/.
set(TENON_BROKEN_OUTPUT_DIR "${CMAKE_BINARY_DIR}/conformance/broken")
add_custom_target(tenon_broken_suites)

function(tenon_add_broken suite source)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "" "CHECKS;LINK")
  set(folder "${CMAKE_CURRENT_FUNCTION_LIST_DIR}")
  string(REPLACE .cpp .json manifest "${folder}/${source}")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${manifest}")
  file(READ "${manifest}" json)
  string(JSON id GET "${json}" id)
  string(JSON version GET "${json}" version)
  set(code tenon_broken_${suite})
  add_library(${code} OBJECT "${folder}/${source}")
  target_link_libraries(${code} PRIVATE Tenon::sdk tenon_options tenon_warnings ${arg_LINK})
  target_include_directories(${code} PRIVATE "${PROJECT_SOURCE_DIR}")
  target_compile_definitions(${code} PRIVATE
    TENON_PLUGIN_ID="${id}" TENON_PLUGIN_VERSION="${version}")
  target_compile_options(${code} PRIVATE
    $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fno-gnu-unique>)
  set_target_properties(${code} PROPERTIES POSITION_INDEPENDENT_CODE ON
    CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  foreach(check none ${arg_CHECKS})
    set(name "${suite}.${check}")
    set(fault "${CMAKE_BINARY_DIR}/conformance/faults/${name}.c")
    file(CONFIGURE OUTPUT "${fault}" CONTENT
      "/* SPDX-License-Identifier: Apache-2.0 */\nextern const char* const tenon_conformance_fault;\nconst char* const tenon_conformance_fault = \"${name}\";\n")
    set(target broken-${suite}-${check})
    set(out "${TENON_BROKEN_OUTPUT_DIR}/${name}")
    add_library(${target} MODULE "${fault}" $<TARGET_OBJECTS:${code}>)
    target_link_libraries(${target} PRIVATE ${arg_LINK})
    target_link_options(${target} PRIVATE
      "-Wl,--version-script=${TENON_SDK_CMAKE_DIR}/tenon-plugin.map" -Wl,-z,defs -Wl,-z,nodelete
      -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
    set_target_properties(${target} PROPERTIES
      PREFIX "" OUTPUT_NAME "${name}" LIBRARY_OUTPUT_DIRECTORY "${out}" LINKER_LANGUAGE CXX BUILD_WITH_INSTALL_RPATH ON
      POSITION_INDEPENDENT_CODE ON C_VISIBILITY_PRESET hidden
      LINK_DEPENDS "${TENON_SDK_CMAKE_DIR}/tenon-plugin.map;${manifest}")
    add_custom_command(TARGET ${target} POST_BUILD VERBATIM
      COMMAND ${CMAKE_COMMAND} -DMANIFEST=${manifest} -DLIBRARY=$<TARGET_FILE:${target}>
              -DOUT=${out}/plugin.json -P ${TENON_SDK_CMAKE_DIR}/stamp-manifest.cmake)
    add_dependencies(tenon_broken_suites ${target})
  endforeach()
endfunction()

tenon_add_broken(venue venue.cpp CHECKS
  answers accepted-first quantity funds limit endings closed counterparty order-kinds
  unknown-instrument cancel cancel-in-call cancel-unknown deterministic replay snapshot snapshot-sink
  snapshot-garbage evidence-garbage exact)
tenon_add_broken(cache-tier cache_tier.cpp CHECKS
  round-trip empty-value keys overwrite erase ttl expiry-told bad-ttl key-limits value-limits sink
  miss clear stats bounded draining concurrent)
tenon_add_broken(throttle throttle.cpp CHECKS
  find stats burst rate full-rate retry-after together same-key invalid time-back deterministic
  no-clock keys refund state levels concurrent observe no-system-call no-allocation)
tenon_add_broken(storage storage.cpp LINK PkgConfig::sqlite3 CHECKS
  dialect commit failures-alone exclusive integers values empty-and-null columns prepared
  bindings-stay changes bulk constraints not-retryable bad-sql bad-parameters ordered snapshot
  read-only deadline lease explain stats reopen durable)
tenon_add_broken(feed feed.cpp CHECKS
  first chain levels trades times reactor unsubscribe unknown-handle serves)
tenon_add_broken(gateway gateway.cpp CHECKS
  mounts answers once well-formed bad-input nonblocking reactor many draining websocket)
tenon_add_broken(monitor monitor.cpp CHECKS passes deadline reason concurrent again)
tenon_add_broken(migrations migrations.cpp CHECKS
  report report-sink version ordered idempotent second-runner)
tenon_add_broken(backup backup.cpp CHECKS
  create list restore newest flipped cut missing folder-not-empty unknown-id stopped prune)
