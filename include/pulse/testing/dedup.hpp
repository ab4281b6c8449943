// SPDX-License-Identifier: MIT
#pragma once

// The laws of Dedup, beside those of the other policies. IWYU pragma: export
#include "pulse/dedup/conformance.hpp"
