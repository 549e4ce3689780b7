// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/engine/core/core.hpp"
