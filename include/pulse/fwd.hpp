// SPDX-License-Identifier: MIT
#pragma once

/// Declarations only: for headers that name Pulse's types without needing them.
namespace pulse::inline v0_1 {

struct EntryId;
struct EventId;
struct Error;
template <class T>
class Result;
class Verdict;
struct SystemClock;
class ManualClock;
class StopSource;
class StopToken;
class Readiness;
template <class Payload, class Text>
struct Envelope;

template <class Backend, class Dedup, class Metrics, class Controller, class Traits>
class Consumer;

}  // namespace pulse::inline v0_1
