// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pulse/core/entry_id.hpp"
#include "pulse/core/error.hpp"

/// The plain values that pass between a consumer and its backend.
namespace pulse::inline v0_1 {

/// Where a group that does not exist yet begins. A group that exists goes on where it was.
struct StartAt {
  EntryId after{};      ///< the last entry that counts as delivered
  bool newest = false;  ///< only what is published from now on: skips the backlog
  static constexpr StartAt beginning() noexcept { return {}; }
  static constexpr StartAt end() noexcept { return {EntryId{}, true}; }
};

/// What a backend knew of a stream at a moment, to tell later whether a stream of that name is still that one.
struct StreamMark {
  std::uint64_t added = 0;   ///< entries that it ever had; 0 where the backend does not tell
  std::uint64_t length = 0;  ///< of them, those that are there
  EntryId first{};           ///< the oldest that is there; 0-0 where there is none
  EntryId last{};            ///< the greatest id that it ever had
};

/// Whether `now` may be the stream that `before` was. A stream only grows: no count of what was added, of what has left it, and no id goes back, and its
/// first entry changes only as one leaves. False where one of them is not known. True does not prove it: a stream that was deleted and filled again
/// from the same first id on, or has lost as many entries since, looks the same once it is as long. Complexity: constant. Thread safety: pure.
[[nodiscard]] constexpr bool may_be_same(const StreamMark& before, const StreamMark& now) noexcept {
  if (before.added == 0 || now.added < before.added || now.last < before.last || before.length > before.added || now.length > now.added) {
    return false;
  }
  const std::uint64_t gone_before = before.added - before.length;
  const std::uint64_t gone = now.added - now.length;
  if (before.length == 0) {
    return gone >= gone_before && (now.length == 0 || now.first > before.last);
  }
  return now.length > 0 && now.first == before.first ? gone >= gone_before : gone > gone_before && (now.length == 0 || now.first > before.first);
}

/// What a consumer subscribes to.
struct SubscribeOptions {
  std::vector<std::string> streams;  ///< keys, at least one, all different
  std::string group = "pipeline";
  std::string consumer = "consumer-1";  ///< must differ between the members of a group, and should be the same after a restart
  StartAt start = StartAt::beginning();
  /// Empty, or for each stream the last entry that counts as delivered to a group that does not exist yet, instead of `start`. A stream that never
  /// had an id as great as that is another one than was meant, and is read from its beginning.
  std::vector<EntryId> resume_after{};
  /// Empty, or for each stream what was known of it when `resume_after` was: where it cannot be the same stream (`may_be_same`), that is read from its
  /// beginning. A backend whose streams are never replaced passes it over.
  std::vector<StreamMark> resume_marks{};
  /// Reads the next batch while this one is handled: hides the way to the server, for up to twice `batch` entries unacknowledged. A crash
  /// then redelivers more, and entries wait longer for their handler: the check of the budget counts it. Backends within the process ignore it.
  bool prefetch = false;
  /// Own pending entries from before come one at a time, each counted as one delivery more, and those before it are settled first: an entry whose
  /// handler always takes the process down is then dead-lettered by a group of one, too, after as many starts as deliveries are allowed. The price is
  /// a round trip for each of them at a start, and that a crash for another reason counts against the one entry that was being handled. The count
  /// rises where the backend reads the entry: a stop, or a lost reply, between that and the handler counts too. So let max_deliveries be generous.
  bool count_recoveries = false;
};

/// Errors: config, for no streams, one named twice, an empty group or consumer, or a `resume_after` or `resume_marks` that is not one for each stream.
[[nodiscard]] inline Status check(const SubscribeOptions& options) {
  if (options.streams.empty() || options.group.empty() || options.consumer.empty()) {
    return Error{ErrorCode::config, "SubscribeOptions: streams, group and consumer must not be empty"};
  }
  if (!options.resume_after.empty() && options.resume_after.size() != options.streams.size()) {
    return Error{ErrorCode::config, "SubscribeOptions: resume_after has " + std::to_string(options.resume_after.size()) + " ids for " +
                                        std::to_string(options.streams.size()) + " streams"};
  }
  if (!options.resume_marks.empty() && options.resume_marks.size() != options.streams.size()) {
    return Error{ErrorCode::config, "SubscribeOptions: resume_marks has " + std::to_string(options.resume_marks.size()) + " marks for " +
                                        std::to_string(options.streams.size()) + " streams"};
  }
  for (std::size_t i = 0; i < options.streams.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (options.streams[i] == options.streams[j]) {
        return Error{ErrorCode::config, "SubscribeOptions: the stream \"" + options.streams[i] + "\" is named twice"};
      }
    }
  }
  return {};
}

/// Deliver entry `index` of the batch again, no earlier than after `delay`. `counts`: whether its delivery count rises then; not where nobody
/// tried to handle it, or waiting would use up what is meant for failures.
struct RetryItem {
  std::uint32_t index = 0;
  std::chrono::milliseconds delay{0};  ///< 0 to `longest`; see `later`
  bool counts = true;

  static constexpr std::chrono::milliseconds longest = std::chrono::hours{365 * 24};
  /// The delay within its bounds: any longer one may be no time at all when it is added to a clock's.
  [[nodiscard]] static constexpr std::chrono::milliseconds bounded(std::chrono::milliseconds delay) noexcept {
    return std::clamp(delay, std::chrono::milliseconds{0}, longest);
  }
  [[nodiscard]] constexpr std::chrono::milliseconds later() const noexcept { return bounded(delay); }
};

/// Copy entry `index` of the batch to the DLQ with this reason, then acknowledge it.
struct DeadLetterItem {
  std::uint32_t index = 0;
  std::string_view reason;
};

/// What is settled of a batch in one go. Indexes are positions in the batch that `receive` or `claim_stale` returned last;
/// each is named at most once over all settlements of that batch. What is named nowhere stays pending.
struct Settlement {
  std::span<const std::uint32_t> acks;
  std::span<const RetryItem> retries;
  std::span<const DeadLetterItem> dead_letters;

  [[nodiscard]] bool empty() const noexcept { return acks.empty() && retries.empty() && dead_letters.empty(); }
};

/// Entries of one stream that were pending and that nobody is given.
struct Missed {
  std::size_t vanished = 0;   ///< their data is gone
  std::size_t too_large = 0;  ///< no reply can hold them
};

/// A batch: deliveries that stay valid until the next `receive` or `claim_stale` on the same subscription.
template <class Delivery>
struct Batch {
  std::span<const Delivery> deliveries;
  std::size_t vanished = 0;          ///< pending entries met whose data is gone (trimmed, deleted): the backend acknowledged them
  bool more = false;                 ///< claim_stale: the cursor has not come round yet
  std::size_t too_large = 0;         ///< pending entries met that this client cannot read: the backend dead-lettered them
  std::span<const Missed> missed{};  ///< both for each stream of the subscription, by its index; or empty: it is not known, or there are none
};

/// A dead letter as an operator sees it.
struct DeadLetter {
  EntryId id;           ///< of the entry in the DLQ
  EntryId original_id;  ///< of the entry that failed
  std::string reason;
  std::string data;  ///< the entry's bytes; for typed payloads what the backend's encoder makes of them, or empty
  std::string group;
  std::string consumer;
  std::uint64_t deliveries = 0;
  double failed_at = 0;  ///< seconds since the Unix epoch
  /// Bytes of it that are not here, `data` among them, because the client can read no reply that holds all of it. It can be brought back and purged.
  std::uint64_t left_out = 0;
};

/// The state of one stream in one group.
struct GroupState {
  std::uint64_t length = 0;   ///< entries in the stream
  std::uint64_t pending = 0;  ///< delivered to the group and not acknowledged
  std::uint64_t lag = 0;      ///< entries not yet delivered to the group
  bool lag_known = true;
  std::uint64_t dead_letters = 0;
  /// Entries that were trimmed before the group had read them, and so are lost to it: those that lie between what it reads now and what it
  /// read before. 0 again once it has caught up.
  std::uint64_t trimmed_unread = 0;
  /// Every entry up to this id was delivered to the group and is settled, whoever had it: a group that is made anew after it misses nothing.
  EntryId acked_up_to{};
  StreamMark mark{};
};

/// Whether the transport works. `ready` is false while it cannot take or give entries.
struct BackendHealth {
  bool ready = true;
  bool degraded = false;         ///< not the transport that was configured
  std::string detail;            ///< why not, in a line
  std::uint64_t reconnects = 0;  ///< connections made anew after a failure, so far
  /// Acks, so far, of entries that were not pending any more: another member had claimed and finished them, the stream is gone, or the ack
  /// was said twice because its reply was lost.
  std::uint64_t unmatched_acks = 0;
};

/// What a backend has counted and told nobody yet, see the optional `untold` of Backend. The members are those of BackendHealth.
struct BackendCounts {
  std::uint64_t reconnects = 0;
  std::uint64_t unmatched_acks = 0;
};

/// What a backend can do, known at compile time.
struct Capabilities {
  bool typed = false;        ///< deliveries carry envelopes, not bytes: no codec is needed
  bool durable = false;      ///< entries outlive the process
  bool shared = false;       ///< other processes may be members of the group
  bool fenced_acks = false;  ///< an ack by a former owner is refused
};

}  // namespace pulse::inline v0_1
