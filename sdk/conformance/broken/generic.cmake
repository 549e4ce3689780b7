# SPDX-License-Identifier: Apache-2.0
# One plugin for each check that is for all plugins, broken so that this check fails; generic.none is
# the plugin as it should be. `tenon plugin check --self-test` runs them.
#
#   tenon_broken(CHECK [FAULT name] [DEFINES …] [LINK_OPTIONS …] [WITHOUT option…] [MANIFEST key json …]
#                [ALSO expression…] [CXX] [SCRIPT file|none])
#     FAULT     one of several faults of a check; the result's message must contain it
#     WITHOUT   options of the usual link that are left out
#     MANIFEST  keys of plugin.json that are set to other JSON
#     ALSO      checks that cannot but fail, too
set(TENON_BROKEN_OUTPUT_DIR "${CMAKE_BINARY_DIR}/conformance/broken")
set(TENON_BROKEN_DIR "${CMAKE_CURRENT_LIST_DIR}")
add_custom_target(tenon_broken_generic)

function(tenon_broken check)
  cmake_parse_arguments(PARSE_ARGV 1 arg "CXX" "FAULT;SCRIPT" "DEFINES;LINK_OPTIONS;WITHOUT;MANIFEST;ALSO")
  set(name "${check}")
  if(arg_FAULT)
    set(name "${check}@${arg_FAULT}")
  endif()
  string(MAKE_C_IDENTIFIER "${check}" identifier)
  string(REPLACE "@" "-" target "broken-${name}")
  set(out "${TENON_BROKEN_OUTPUT_DIR}/${name}")
  file(READ "${TENON_BROKEN_DIR}/generic.json" json)
  while(arg_MANIFEST)
    list(POP_FRONT arg_MANIFEST key value)
    string(JSON json SET "${json}" ${key} "${value}")
  endwhile()
  if(arg_ALSO)
    list(JOIN arg_ALSO "\",\"" also)
    string(REPLACE "\\" "\\\\" also "${also}")
    string(JSON json SET "${json}" x-also "[\"${also}\"]")
  endif()
  set(manifest "${CMAKE_BINARY_DIR}/conformance/manifests/${name}.json")
  file(CONFIGURE OUTPUT "${manifest}" CONTENT "${json}\n" @ONLY)
  string(JSON id GET "${json}" id)
  string(JSON version ERROR_VARIABLE ignored GET "${json}" version)
  set(sources "${TENON_BROKEN_DIR}/generic.c")
  if(arg_CXX)
    list(APPEND sources "${TENON_BROKEN_DIR}/throw.cpp")
  endif()
  add_library(${target} MODULE ${sources})
  target_link_libraries(${target} PRIVATE Tenon::sdk)
  target_compile_definitions(${target} PRIVATE BROKEN_${identifier} ${arg_DEFINES}
    TENON_PLUGIN_ID="${id}" TENON_PLUGIN_VERSION="${version}")
  set(options -Wl,-z,defs -Wl,-z,nodelete -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
  list(REMOVE_ITEM options ${arg_WITHOUT})
  if(NOT arg_SCRIPT)
    set(arg_SCRIPT "${TENON_SDK_CMAKE_DIR}/tenon-plugin.map")
  endif()
  if(NOT arg_SCRIPT STREQUAL none)
    list(APPEND options "-Wl,--version-script=${arg_SCRIPT}")
  endif()
  target_link_options(${target} PRIVATE ${options} ${arg_LINK_OPTIONS})
  set_target_properties(${target} PROPERTIES PREFIX "" SUFFIX .so OUTPUT_NAME "${name}"
    LIBRARY_OUTPUT_DIRECTORY "${out}" POSITION_INDEPENDENT_CODE ON C_STANDARD 11 C_EXTENSIONS ON
    C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden BUILD_WITH_INSTALL_RPATH ON
    LINK_DEPENDS "${manifest}")
  add_custom_command(TARGET ${target} POST_BUILD VERBATIM
    COMMAND ${CMAKE_COMMAND} -DMANIFEST=${manifest} -DLIBRARY=$<TARGET_FILE:${target}>
            -DOUT=${out}/plugin.json -P ${TENON_SDK_CMAKE_DIR}/stamp-manifest.cmake)
  add_dependencies(tenon_broken_generic ${target})
endfunction()

tenon_broken(generic.none)

# The manifest.
tenon_broken(static.manifest FAULT M01 MANIFEST colour "\"red\"")
tenon_broken(static.manifest FAULT M02 MANIFEST name 5 ALSO load\\.identity)
tenon_broken(static.manifest FAULT M03 MANIFEST id "\"Broken\"")
tenon_broken(static.manifest FAULT M04 MANIFEST version "\"one\"")
tenon_broken(static.manifest FAULT M05 MANIFEST manifest_version 2)
tenon_broken(static.manifest FAULT M06 MANIFEST abi "{\"entry\":1,\"min\":\"9.0\"}")
tenon_broken(static.manifest FAULT M17 MANIFEST config_schema
  "{\"type\":\"object\",\"properties\":{\"level\":{\"type\":\"integer\",\"default\":\"x\",\"description\":\"x\"}}}")
tenon_broken(static.manifest FAULT M19 MANIFEST config_schema
  "{\"type\":\"object\",\"properties\":{\"level\":{\"type\":\"integer\",\"multipleOf\":2,\"description\":\"x\"}}}")
tenon_broken(static.descriptions MANIFEST config_schema
  "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"level\":{\"type\":\"integer\",\"default\":1}}}")

# The file, after it was stamped.
tenon_broken(static.manifest FAULT M07)
add_custom_command(TARGET broken-static.manifest-M07 POST_BUILD VERBATIM
  COMMAND sed -i "s/linux-[^\"]*/plan9-mips/" "${TENON_BROKEN_OUTPUT_DIR}/static.manifest@M07/plugin.json")
tenon_broken(static.library FAULT M08)
add_custom_command(TARGET broken-static.library-M08 POST_BUILD VERBATIM
  COMMAND sed -i "s/\\(\"sha256\" : \"\\)..../\\10000/" "${TENON_BROKEN_OUTPUT_DIR}/static.library@M08/plugin.json")
tenon_broken(static.library FAULT M09)
add_custom_command(TARGET broken-static.library-M09 POST_BUILD VERBATIM
  COMMAND chmod go+w "$<TARGET_FILE:broken-static.library-M09>")
tenon_broken(static.elf ALSO load\\.opens static\\.library)
add_custom_command(TARGET broken-static.elf POST_BUILD VERBATIM
  COMMAND ${CMAKE_COMMAND} -E copy "${TENON_BROKEN_DIR}/generic.json" "$<TARGET_FILE:broken-static.elf>")
tenon_broken(static.exports SCRIPT none)
tenon_broken(static.foreign SCRIPT none)
tenon_broken(static.unique CXX SCRIPT "${TENON_BROKEN_DIR}/unique.map")
tenon_broken(static.undefined WITHOUT -Wl,-z,defs ALSO load\\.opens)
tenon_broken(static.textrel LINK_OPTIONS -Wl,-z,notext)
tenon_broken(static.stack WITHOUT -Wl,-z,noexecstack LINK_OPTIONS -Wl,-z,execstack)
tenon_broken(static.relro WITHOUT -Wl,-z,relro -Wl,-z,now LINK_OPTIONS -Wl,-z,norelro)
tenon_broken(static.rpath LINK_OPTIONS -Wl,-rpath,/opt/elsewhere)
tenon_broken(static.nodelete WITHOUT -Wl,-z,nodelete)
tenon_broken(load.opens WITHOUT -Wl,-z,defs ALSO static\\.undefined)
tenon_broken(load.symbol SCRIPT "${TENON_BROKEN_DIR}/nothing.map")
tenon_broken(load.entry FAULT L03 DEFINES BROKEN_MAGIC=1)
tenon_broken(load.entry FAULT L04 DEFINES BROKEN_MAJOR=9)
tenon_broken(load.identity DEFINES BROKEN_ID="test.kit.other")

# The code.
foreach(check
    load.stable load.fast load.threads load.fds load.silent load.settings load.copy
    lifecycle.create lifecycle.configure lifecycle.start lifecycle.refused-configure
    lifecycle.refused-start lifecycle.two lifecycle.cycles lifecycle.in-flight lifecycle.drain
    lifecycle.done lifecycle.threads lifecycle.fds lifecycle.registrations lifecycle.exit
    query.unknown query.empty query.stable query.threads
    skew.older-host skew.newer-host skew.flags skew.services skew.short-error skew.no-error
    config.empty config.missing config.types config.bounds config.unknown-key config.long-text
    config.nesting config.duplicates config.not-json config.dry-run
    errors.messages errors.memory
    memory.bounds memory.borrowed memory.null memory.sink
    host.threads host.arguments host.metrics
    fuzz.config fuzz.query fuzz.lifecycle)
  tenon_broken(${check})
endforeach()
tenon_broken(lifecycle.unused ALSO lifecycle\\.create)
tenon_broken(lifecycle.configured ALSO query\\. memory\\. lifecycle\\.)
tenon_broken(lifecycle.restart ALSO lifecycle\\.cycles)
tenon_broken(lifecycle.live MANIFEST config_schema
  "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"level\":{\"type\":\"integer\",\"default\":1,\"description\":\"x\",\"x-reload\":\"live\"}}}")
tenon_broken(config.secret MANIFEST config_schema
  "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"password\":{\"type\":\"string\",\"default\":\"env:X\",\"description\":\"x\",\"x-secret\":true}}}")
tenon_broken(config.beyond)
tenon_broken(config.utf8)
tenon_broken(query.similar)
tenon_broken(query.provides MANIFEST provides "[{\"interface\":\"test.kit/1\"},{\"interface\":\"test.kit/2\"}]")
tenon_broken(query.size MANIFEST provides "[{\"interface\":\"tenon.instruments/1\"}]")
tenon_broken(query.slots MANIFEST provides "[{\"interface\":\"tenon.instruments/1\"}]")
tenon_broken(host.states ALSO config\\.dry-run)  # its post may still wait
tenon_broken(errors.host ALSO lifecycle\\.refused-start)
tenon_broken(errors.throw CXX)
