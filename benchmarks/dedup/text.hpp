// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "measure.hpp"
#include "peers.hpp"
#include "results.hpp"
#include "sections.hpp"
#include "subject.hpp"

namespace bench::dedup {

/// Ids that come as text, as a producer writes them: read into 16 bytes and kept so, against sets of the texts themselves.
class Texts {
 public:
  Texts(bool uuid, std::size_t window) : uuid_(uuid), window_(window) {}

  void run(Results& out, const Effort& effort) {
    for (const Contestant& one : {strategy("FifoWindow", [](std::size_t size) { return pulse::FifoWindow{size}; }),
                                  strategy("LruWindow", [](std::size_t size) { return pulse::LruWindow{size}; })}) {
      std::shared_ptr<Subject> subject = one.make(window_);
      add(
          one.name, Way::back_to_back, [subject](const std::vector<std::string>& texts, std::uint8_t* known) { subject->one_by_one(read(texts), known); },
          subject->bytes());
      add(one.name, Way::batched, [subject](const std::vector<std::string>& texts, std::uint8_t* known) { subject->batched(read(texts), known); });
      add(one.name, Way::one_at_a_time, [subject](const std::vector<std::string>& texts, std::uint8_t* known) {
        for (std::size_t i = 0; i < texts.size(); ++i) {
          const EventId id = EventId::from_text(texts[i]);
          subject->one_at_a_time(std::span{&id, 1}, known + i);
        }
      });
    }
    const std::size_t ours = lanes_.size();
#ifdef PULSE_BENCH_FLAT_SET
    add_peer<boost::unordered_flat_set<std::string_view>>("boost::unordered_flat_set of string_view + ring of strings");
#endif
    add_peer<std::unordered_set<std::string_view>>("std::unordered_set of string_view + ring of strings");
    for (int round = -1; round < effort.rounds; ++round) {
      for (Lane& lane : lanes_) {
        if (lane.way == Way::back_to_back) {  // the first of its window, which the caches are to hold
          lane.times(effort.ids, uuid_);
        }
        const double ns = lane.times(effort.ids, uuid_) / static_cast<double>(effort.ids);
        if (round >= 0) {
          lane.rounds.push_back(ns);
        }
      }
    }
    for (std::size_t i = 0; i < lanes_.size(); ++i) {
      const double ns = median(lanes_[i].rounds);
      put(out, lanes_[i].name, "time per id", ns, "ns");
      if (lanes_[i].bytes != 0) {
        put(out, lanes_[i].name, "memory per id", lanes_[i].bytes, "bytes");
      }
      for (std::size_t j = ours; i < ours && j < lanes_.size(); ++j) {
        if (lanes_[i].way == lanes_[j].way || lanes_[i].way == Way::batched) {
          put(out, lanes_[i].name, "ratio", ns, "ns", lanes_[j].name, median(lanes_[j].rounds) / ns);
        }
        if (lanes_[i].bytes != 0 && lanes_[j].bytes != 0) {
          put(out, lanes_[i].name, "memory ratio", lanes_[i].bytes, "bytes", lanes_[j].name, lanes_[j].bytes / lanes_[i].bytes);
        }
      }
    }
  }

 private:
  using Ask = std::function<void(const std::vector<std::string>&, std::uint8_t*)>;
  struct Lane {
    std::string name;
    Way way;
    Ask ask;
    std::shared_ptr<std::uint64_t> next;
    double bytes;
    std::vector<double> rounds{};

    double times(std::size_t ids, bool uuid) {
      std::vector<std::string> texts(chunk);
      std::array<std::uint8_t, chunk> known;
      double sum = 0;
      for (std::size_t done = 0; done < ids; done += chunk) {
        for (std::string& text : texts) {
          text_of(uuid, (*next)++, text);
        }
        const double start = processor_ns();
        ask(texts, known.data());
        sum += processor_ns() - start;
        for (const std::uint8_t one : known) {
          if (one != 0) {
            std::fprintf(stderr, "dedup: wrong answers of %s: a new text taken for a known one\n", name.c_str());
            std::exit(1);
          }
        }
      }
      return sum;
    }
  };

  static const std::vector<EventId>& read(const std::vector<std::string>& texts) {
    static std::vector<EventId> ids(chunk);
    for (std::size_t i = 0; i < chunk; ++i) {
      ids[i] = EventId::from_text(texts[i]);
    }
    return ids;
  }

  /// The ways to ask one window follow each other, the first with its bytes.
  void add(const std::string& name, Way way, Ask ask, std::size_t bytes = 0) {
    const bool first = bytes != 0;
    lanes_.push_back({name + suffix(way), way, std::move(ask), first ? std::make_shared<std::uint64_t>(0) : lanes_.back().next,
                      static_cast<double>(bytes) / static_cast<double>(window_)});
    if (first) {
      lanes_.back().times(window_ + window_ / 8, uuid_);
    }
  }
  template <class Set>
  void add_peer(const std::string& name) {
    const std::size_t before = heap();
    auto peer = std::make_shared<TextWindow<Set>>(window_);
    add(
        name, Way::back_to_back,
        [peer](const std::vector<std::string>& texts, std::uint8_t* known) {
          for (std::size_t i = 0; i < texts.size(); ++i) {
            known[i] = peer->seen(texts[i]);
          }
        },
        1);
    lanes_.back().bytes = static_cast<double>(heap() - before) / static_cast<double>(window_);
    add(name, Way::one_at_a_time, [peer](const std::vector<std::string>& texts, std::uint8_t* known) {
      for (std::size_t i = 0; i < texts.size(); ++i) {
        known[i] = peer->seen(texts[i]);
        complete();
      }
    });
  }
  void put(Results& out, const std::string& subject, const char* metric, double value, const char* unit, const std::string& vs = "", double ratio = 0) const {
    out.push_back({"text", subject, uuid_ ? "UUIDs as text" : "other text", window_, metric, value, unit, vs, ratio});
  }

  bool uuid_;
  std::size_t window_;
  std::vector<Lane> lanes_;
};

}  // namespace bench::dedup
