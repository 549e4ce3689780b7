# SPDX-License-Identifier: Apache-2.0
# `cmake --install --component sdk` gives tools and licence along; as packages they are tenon's, which tenon-dev
# depends on.
file(REMOVE_RECURSE "${CPACK_TEMPORARY_DIRECTORY}/tenon-dev/usr/bin"
  "${CPACK_TEMPORARY_DIRECTORY}/tenon-dev/usr/share/tenon/LICENSE")
