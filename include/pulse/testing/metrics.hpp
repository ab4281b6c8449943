// SPDX-License-Identifier: MIT
#pragma once

// The laws of Metrics, beside those of the other policies. IWYU pragma: export
#include "pulse/metrics/conformance.hpp"
