# SPDX-License-Identifier: Apache-2.0
# What every target of the tree is compiled with.
add_library(tenon_options INTERFACE)
target_compile_features(tenon_options INTERFACE cxx_std_20)
target_compile_definitions(tenon_options INTERFACE
  BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED
  SPDLOG_COMPILED_LIB SPDLOG_FMT_EXTERNAL SPDLOG_SHARED_LIB)

add_library(tenon_warnings INTERFACE)
target_compile_options(tenon_warnings INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion
    -Wold-style-cast -Wnon-virtual-dtor -Woverloaded-virtual -Wcast-align -Wdouble-promotion
    -Wformat=2 -Wextra-semi>
  $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wduplicated-cond -Wduplicated-branches -Wlogical-op>
  # g++ 12 gives false alarms of these two in inlined std::string code at -O2
  $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-maybe-uninitialized -Wno-restrict>)

option(TENON_WERROR "Warnings are errors" OFF)
if(TENON_WERROR)
  target_compile_options(tenon_warnings INTERFACE -Werror)
endif()

option(TENON_LIBFUZZER "tests/fuzz is linked with libFuzzer (clang)" OFF)
set(TENON_SANITIZE "" CACHE STRING "address,undefined or thread")
if(TENON_SANITIZE)
  add_compile_options(-fsanitize=${TENON_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${TENON_SANITIZE})
endif()

find_program(TENON_CCACHE ccache)
if(TENON_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_C_COMPILER_LAUNCHER ${TENON_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${TENON_CCACHE})
endif()

# tenon_add_library(NAME SOURCES… [LINK…]): the logic of a folder, for its plugin and its tests.
function(tenon_add_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LINK")
  add_library(${name} STATIC ${arg_SOURCES})
  target_link_libraries(${name} PUBLIC Tenon::sdk ${arg_LINK} PRIVATE tenon_options tenon_warnings)
  target_include_directories(${name} PUBLIC "${PROJECT_SOURCE_DIR}")
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON
    CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
endfunction()

# tenon_add_test(NAME SOURCES… [LINK…] [ARGS…] [LABELS…] [TIMEOUT seconds]): a Catch2 program and its
# ctest entry.
function(tenon_add_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIMEOUT" "SOURCES;LINK;ARGS;LABELS")
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE tenon_test_main Tenon::sdk ${arg_LINK} tenon_options tenon_warnings)
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}")
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
  add_test(NAME ${name} COMMAND ${name} ${arg_ARGS})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT ${arg_TIMEOUT} LABELS "${arg_LABELS}"
    ENVIRONMENT "TENON_BUILD_DIR=${CMAKE_BINARY_DIR};TENON_SOURCE_DIR=${PROJECT_SOURCE_DIR}")
endfunction()

# tenon_add_campaign(NAME PROGRAM ENVIRONMENT… [ARGS…]): a test program again, for long; tools/test --long.
function(tenon_add_campaign name program)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "" "ENVIRONMENT;ARGS")
  if(arg_UNPARSED_ARGUMENTS) # without its length it would be the short test again
    message(FATAL_ERROR "tenon_add_campaign(${name}): ${arg_UNPARSED_ARGUMENTS} belongs to no keyword")
  endif()
  add_test(NAME ${name} COMMAND ${program} ${arg_ARGS})
  set_tests_properties(${name} PROPERTIES TIMEOUT 7200 LABELS long ENVIRONMENT
    "TENON_BUILD_DIR=${CMAKE_BINARY_DIR};TENON_SOURCE_DIR=${PROJECT_SOURCE_DIR};${arg_ENVIRONMENT}")
endfunction()
