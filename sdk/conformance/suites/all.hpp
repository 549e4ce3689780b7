// SPDX-License-Identifier: Apache-2.0
// One function for each interface that has a suite; all.cpp lists them.
#pragma once

#include "sdk/conformance/check.hpp"
