// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "pulse/core/describe.hpp"
#include "pulse/core/feedback.hpp"
#include "pulse/core/nullable.hpp"

namespace pulse::inline v0_1 {

/// The headers of an envelope: a flat list of name and value, in wire order, whose storage survives `clear()`.
/// Lookup is linear: headers are few (a codec bounds them, see `JsonLimits`).
template <class Text>
class BasicHeaders {
 public:
  using value_type = std::pair<Text, Text>;

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] const value_type* begin() const noexcept { return items_.data(); }
  [[nodiscard]] const value_type* end() const noexcept { return items_.data() + size_; }

  /// The value under `name`, or nullptr.
  [[nodiscard]] const Text* find(std::string_view name) const noexcept {
    for (const auto& [key, value] : *this) {
      if (key == name) {
        return &value;
      }
    }
    return nullptr;
  }

  void clear() noexcept { size_ = 0; }

  /// Appends a slot that holds what was last there: assign to both parts.
  value_type& append() {
    if (size_ == items_.size()) {
      items_.emplace_back();
    }
    return items_[size_++];
  }

  /// Sets `name` to `value`, in place if it is there.
  void set(std::string_view name, std::string_view value) {
    for (std::size_t i = 0; i < size_; ++i) {
      if (items_[i].first == name) {
        items_[i].second = value;
        return;
      }
    }
    if (size_ == items_.size()) {
      items_.push_back({Text(name), Text(value)});  // made before the items move: either may look into one of them
      ++size_;
      return;
    }
    value_type& slot = append();
    slot.first = name;
    slot.second = value;
  }

  friend bool operator==(const BasicHeaders& a, const BasicHeaders& b) {
    if (a.size_ != b.size_) {
      return false;
    }
    for (std::size_t i = 0; i < a.size_; ++i) {
      if (a.items_[i] != b.items_[i]) {
        return false;
      }
    }
    return true;
  }

 private:
  std::vector<value_type> items_;  // may be longer than size_: the rest is storage kept for reuse
  std::size_t size_ = 0;
};

using Headers = BasicHeaders<std::string>;

/// What an envelope says of its payload.
template <class Text>
struct BasicEventMeta {
  Text schema_id{};
  Track track = Track::v1;
  BasicHeaders<Text> headers{};
  Nullable<Text> hash{};  ///< the schema's hash as the producer's registry gave it

  friend bool operator==(const BasicEventMeta&, const BasicEventMeta&) = default;
};

using EventMeta = BasicEventMeta<std::string>;

namespace detail {
template <class Event>
struct text_of {
  using type = std::string;
};
template <template <class> class Basic>
struct text_of<Basic<std::string_view>> {
  using type = std::string_view;
};
}  // namespace detail

/// The text type (std::string or std::string_view) that goes with an event in its envelope: std::string_view for an event
/// that is `Basic<std::string_view>`, else std::string.
template <class Event>
using text_type_t = typename detail::text_of<Event>::type;

/// What travels with a payload: when, about what, of which schema.
template <class Text>
struct BasicEnvelopeHeader {
  using text_type = Text;

  Nullable<Text> id{};   ///< the producer's idempotency key; null means: the entry's id is the key
  double ts = 0;         ///< when it was published, in seconds since the Unix epoch
  Nullable<Text> key{};  ///< partition key, by convention the coordinator
  BasicEventMeta<Text> meta{};

  friend bool operator==(const BasicEnvelopeHeader&, const BasicEnvelopeHeader&) = default;
};

using EnvelopeHeader = BasicEnvelopeHeader<std::string>;

/// An event as it travels.
template <class Payload, class Text = text_type_t<Payload>>
struct Envelope : BasicEnvelopeHeader<Text> {
  using payload_type = Payload;

  Payload payload{};

  friend bool operator==(const Envelope&, const Envelope&) = default;
};

/// One of several events: the payload of an envelope on a stream that carries more than one type. Unlike std::variant it keeps the
/// storage of the alternatives that are not active, so that decoding alternately allocates nothing.
template <class... Events>
class OneOf {
 public:
  static constexpr std::size_t size = sizeof...(Events);

  OneOf() = default;
  template <class Event>
    requires((std::is_same_v<std::remove_cvref_t<Event>, Events> || ...))
  OneOf(Event&& event) {
    emplace<std::remove_cvref_t<Event>>() = std::forward<Event>(event);
  }

  [[nodiscard]] std::size_t index() const noexcept { return index_; }

  /// Makes Event the active one and returns it, holding what was last there: assign to it.
  template <class Event>
  Event& emplace() noexcept {
    index_ = index_of<Event>();
    return std::get<Event>(events_);
  }

  template <class Event>
  [[nodiscard]] const Event* get_if() const noexcept {
    return index_ == index_of<Event>() ? &std::get<Event>(events_) : nullptr;
  }

  /// Calls `f` with the active event.
  template <class F>
  constexpr decltype(auto) visit(F&& f) const {
    return visit_from<0>(std::forward<F>(f));
  }

  friend bool operator==(const OneOf& a, const OneOf& b) {
    return a.index_ == b.index_ && a.visit([&](const auto& event) { return event == *b.template get_if<std::remove_cvref_t<decltype(event)>>(); });
  }

 private:
  template <class Event>
  static constexpr std::size_t index_of() noexcept {
    std::size_t index = 0;
    const bool found = ((std::is_same_v<Event, Events> || (++index, false)) || ...);
    return found ? index : size;
  }

  template <std::size_t I, class F>
  constexpr decltype(auto) visit_from(F&& f) const {
    if constexpr (I + 1 == size) {
      return std::forward<F>(f)(std::get<I>(events_));
    } else {
      return index_ == I ? std::forward<F>(f)(std::get<I>(events_)) : visit_from<I + 1>(std::forward<F>(f));
    }
  }

  std::tuple<Events...> events_;
  std::size_t index_ = 0;
};

/// The events an envelope's payload may be: `Events<A>` for an A, `Events<A, B>` for a OneOf<A, B>.
template <class... E>
struct Events {
  static constexpr std::size_t size = sizeof...(E);
  using payload_type = OneOf<E...>;
};
/// One event: the payload is that event itself.
template <class E>
struct Events<E> {
  static constexpr std::size_t size = 1;
  using payload_type = E;
};

namespace detail {
template <class Payload>
struct events_of {
  using type = Events<Payload>;
};
template <class... E>
struct events_of<OneOf<E...>> {
  using type = Events<E...>;
};
}  // namespace detail

template <class Payload>
using events_of_t = typename detail::events_of<Payload>::type;

}  // namespace pulse::inline v0_1
