# SPDX-License-Identifier: Apache-2.0
# tenon_add_plugin(NAME SOURCES… [LINK…] [MANIFEST file] [STATIC_RUNTIME]): a plugin beside its
# manifest. The same file serves the tree and the installed SDK (find_package(Tenon)).
#
#   NAME            the library is NAME.so; for plugins of the tree kind-name, as in storage-sqlite
#   SOURCES         C or C++
#   LINK            targets or libraries, private
#   MANIFEST        plugin.json in the current folder when not given
#   STATIC_RUNTIME  the C++ runtime of the compiler in use (libstdc++ or libc++) is linked into the
#                   plugin and stays hidden in it: no runtime has to be on the server. Flags that
#                   choose the library (-stdlib=libc++) belong into CMAKE_CXX_FLAGS.
#
# Id and version of the manifest are compiled in (TENON_PLUGIN_ID, TENON_PLUGIN_VERSION), and a copy
# with the library's file, SHA-256, platform and C++ runtime goes beside the library, into
# ${TENON_PLUGIN_OUTPUT_DIR}/NAME: that folder is what a deployment's plugin_path needs. With
# TENON_PLUGIN_INSTALL_DIR set, both are installed into ${TENON_PLUGIN_INSTALL_DIR}/NAME.
#
# The library exports its entry alone, has no undefined symbol, is bound when it is loaded, has no
# executable stack and is never unloaded.
set(TENON_SDK_CMAKE_DIR "${CMAKE_CURRENT_LIST_DIR}")

function(tenon_add_plugin name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "STATIC_RUNTIME" "MANIFEST" "SOURCES;LINK")
  if(arg_UNPARSED_ARGUMENTS OR NOT arg_SOURCES)
    message(FATAL_ERROR "tenon_add_plugin(${name}): expected SOURCES, found: ${arg_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT arg_MANIFEST)
    set(arg_MANIFEST plugin.json)
  endif()
  get_filename_component(manifest "${arg_MANIFEST}" ABSOLUTE BASE_DIR "${CMAKE_CURRENT_SOURCE_DIR}")
  if(NOT EXISTS "${manifest}")
    message(FATAL_ERROR "tenon_add_plugin(${name}): there is no manifest ${manifest}")
  endif()
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${manifest}")
  file(READ "${manifest}" json)
  string(JSON id GET "${json}" id)
  string(JSON version GET "${json}" version)
  set(out "${TENON_PLUGIN_OUTPUT_DIR}")
  if(NOT out)
    set(out "${CMAKE_BINARY_DIR}/plugins")
  endif()
  set(out "${out}/${name}")
  add_library(${name} MODULE ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE Tenon::sdk ${arg_LINK})
  target_compile_definitions(${name} PRIVATE
    TENON_PLUGIN_ID="${id}" TENON_PLUGIN_VERSION="${version}")
  target_compile_options(${name} PRIVATE $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fno-gnu-unique>)
  target_link_options(${name} PRIVATE
    "-Wl,--version-script=${TENON_SDK_CMAKE_DIR}/tenon-plugin.map" -Wl,-z,defs -Wl,-z,nodelete
    -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
  set(runtime "")
  if(arg_STATIC_RUNTIME)
    tenon_link_static_runtime(${name} runtime)
  endif()
  # The link line of the build is the one of the installed plugin: no path of this machine in it.
  set_target_properties(${name} PROPERTIES
    PREFIX "" SUFFIX ".so" LIBRARY_OUTPUT_DIRECTORY "${out}" POSITION_INDEPENDENT_CODE ON
    CXX_VISIBILITY_PRESET hidden C_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
    BUILD_WITH_INSTALL_RPATH ON
    LINK_DEPENDS "${TENON_SDK_CMAKE_DIR}/tenon-plugin.map;${manifest}")
  add_custom_command(TARGET ${name} POST_BUILD VERBATIM
    COMMAND ${CMAKE_COMMAND} -DMANIFEST=${manifest} -DLIBRARY=$<TARGET_FILE:${name}>
            -DOUT=${out}/plugin.json -DCXX_RUNTIME=${runtime}
            -P ${TENON_SDK_CMAKE_DIR}/stamp-manifest.cmake)
  if(TENON_PLUGIN_INSTALL_DIR)
    install(FILES $<TARGET_FILE:${name}> "${out}/plugin.json"
      DESTINATION "${TENON_PLUGIN_INSTALL_DIR}/${name}" COMPONENT server)
  endif()
  set_property(GLOBAL APPEND PROPERTY TENON_PLUGINS ${name})
endfunction()

# Links the C++ runtime in use into the target and gives its name for the manifest.
function(tenon_link_static_runtime name result)
  target_link_options(${name} PRIVATE -static-libgcc)
  if(NOT CMAKE_CXX_COMPILER_LOADED)
    return()
  endif()
  include(CheckCXXSourceCompiles)
  check_cxx_source_compiles("#include <cstddef>
    #ifndef _LIBCPP_VERSION
    #error another library
    #endif
    int main() { return 0; }" TENON_CXX_IS_LIBCXX)
  if(TENON_CXX_IS_LIBCXX)
    target_link_options(${name} PRIVATE -nostdlib++)
    target_link_libraries(${name} PRIVATE -l:libc++.a -l:libc++abi.a)
    set(${result} "libc++-static" PARENT_SCOPE)
  else()
    target_link_options(${name} PRIVATE -static-libstdc++)
    set(${result} "libstdc++-static" PARENT_SCOPE)
  endif()
endfunction()
