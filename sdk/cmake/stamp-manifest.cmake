# SPDX-License-Identifier: Apache-2.0
# Writes OUT: MANIFEST with the "library" block of LIBRARY.
file(READ "${MANIFEST}" json)
file(SHA256 "${LIBRARY}" hash)
get_filename_component(file "${LIBRARY}" NAME)
string(JSON json SET "${json}" library
  "{\"file\":\"${file}\",\"sha256\":\"${hash}\",\"platform\":\"linux-x86_64-glibc\"}")
file(WRITE "${OUT}" "${json}\n")
