# SPDX-License-Identifier: Apache-2.0
# The suites of interfaces, one file each.
set(TENON_CONFORMANCE_SUITES suites/all.cpp)
