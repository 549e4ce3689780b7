# SPDX-License-Identifier: Apache-2.0
# Every C++ file is as .clang-format has it.
execute_process(COMMAND git -C "${SOURCE_DIR}" ls-files -co --exclude-standard "*.cpp" "*.hpp"
  OUTPUT_VARIABLE files COMMAND_ERROR_IS_FATAL ANY)
string(STRIP "${files}" files)
string(REPLACE "\n" ";" files "${files}")
execute_process(COMMAND ${CLANG_FORMAT} --dry-run -Werror ${files}
  WORKING_DIRECTORY "${SOURCE_DIR}" RESULT_VARIABLE result)
if(result)
  message(FATAL_ERROR "run clang-format -i on the files above")
endif()
