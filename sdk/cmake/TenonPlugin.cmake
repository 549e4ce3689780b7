# SPDX-License-Identifier: Apache-2.0
# tenon_add_plugin(NAME SOURCES… [LINK…]): a plugin beside its manifest.
#
#   NAME     kind-name, as in storage-sqlite; the library is NAME.so
#   SOURCES  plugin.cpp and whatever it needs
#   LINK     targets or libraries, private
#
# The manifest is plugin.json in the current folder. Its id and version are compiled in, and a copy
# with the library's file, platform and SHA-256 goes beside the library, into
# ${TENON_PLUGIN_OUTPUT_DIR}/NAME.
set(TENON_SDK_CMAKE_DIR "${CMAKE_CURRENT_LIST_DIR}")

function(tenon_add_plugin name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LINK")
  set(manifest "${CMAKE_CURRENT_SOURCE_DIR}/plugin.json")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${manifest}")
  file(READ "${manifest}" json)
  string(JSON id GET "${json}" id)
  string(JSON version GET "${json}" version)
  set(out "${TENON_PLUGIN_OUTPUT_DIR}/${name}")
  add_library(${name} MODULE ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE Tenon::sdk ${arg_LINK})
  target_compile_definitions(${name} PRIVATE
    TENON_PLUGIN_ID="${id}" TENON_PLUGIN_VERSION="${version}")
  target_compile_options(${name} PRIVATE
    $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fno-gnu-unique>)
  target_link_options(${name} PRIVATE
    "-Wl,--version-script=${TENON_SDK_CMAKE_DIR}/tenon-plugin.map" -Wl,-z,defs -Wl,-z,nodelete)
  set_target_properties(${name} PROPERTIES
    PREFIX "" LIBRARY_OUTPUT_DIRECTORY "${out}" POSITION_INDEPENDENT_CODE ON
    CXX_VISIBILITY_PRESET hidden C_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
    LINK_DEPENDS "${TENON_SDK_CMAKE_DIR}/tenon-plugin.map;${manifest}")
  add_custom_command(TARGET ${name} POST_BUILD VERBATIM
    COMMAND ${CMAKE_COMMAND} -DMANIFEST=${manifest} -DLIBRARY=$<TARGET_FILE:${name}>
            -DOUT=${out}/plugin.json -P ${TENON_SDK_CMAKE_DIR}/stamp-manifest.cmake)
  set_property(GLOBAL APPEND PROPERTY TENON_PLUGINS ${name})
endfunction()
