// SPDX-License-Identifier: MIT
#pragma once

// The laws of Backend, beside those of the other policies. IWYU pragma: export
#include "pulse/backend/conformance.hpp"
