// SPDX-License-Identifier: MIT
//
// The C++ side of the interop test: interop consume URL STREAM NAME   writes each event that it handles as a line of JSON, until its input ends
//                                   interop publish URL STREAM COUNT  writes the id of each entry
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>
#include <thread>

#include "pulse/pulse.hpp"
#include "pulse/redis.hpp"

namespace {

int fails(const pulse::Error& error) {
  std::cerr << "interop: " << error.message << std::endl;
  return 1;
}

template <class Event>
void show(const Event& event, const pulse::DeliveryContext& context) {
  pulse::Envelope<Event> envelope;
  static_cast<pulse::EnvelopeHeader&>(envelope) = context.envelope();
  envelope.payload = event;
  std::string line;
  pulse::JsonCodec{}.encode(envelope, line);
  std::cout << context.delivery_count() << ' ' << line << std::endl;  // at once: the other side waits for it
}

int consume(pulse::RedisBackend<>& bus, const std::string& stream, const std::string& name) {
  pulse::ConsumerOptions options;
  options.subscribe.streams = {stream};
  options.subscribe.consumer = name;
  options.loop.wait = std::chrono::milliseconds{100};
  options.loop.claim_interval = std::chrono::milliseconds{50};
  auto handle = pulse::handlers(pulse::on<pulse::FeedbackEvent>(show<pulse::FeedbackEvent>), pulse::on<pulse::RateAdjustment>(show<pulse::RateAdjustment>));
  pulse::Consumer consumer{bus, pulse::LruWindow{65536}, pulse::NoMetrics{}, handle, options};
  if (pulse::Status started = consumer.start(); !started) {
    return fails(started.error());
  }
  std::cout << "ready" << std::endl;
  std::thread stopper{[&] {
    while (std::cin.get() != std::char_traits<char>::eof()) {
    }
    consumer.stop();
  }};
  const pulse::Status ended = consumer.run();
  if (!ended) {
    std::_Exit(fails(ended.error()));  // the other thread may wait for the end of the input for ever
  }
  stopper.join();
  return 0;
}

int publish(pulse::RedisBackend<>& bus, const std::string& stream, int count) {
  pulse::Publisher publisher{bus, stream};
  for (int i = 0; i < count; ++i) {
    const std::string id = "event-" + std::to_string(i);
    const std::string key = "key \"\xc3\xa9\" " + std::to_string(i);
    pulse::PublishOptions options;
    options.id = id;
    options.key = key;
    const auto published = i % 2 == 0 ? publisher.publish(pulse::FeedbackEvent{"store-1", i, 1000, pulse::BackpressureLevel::soft, "store", 1.7e9 + i}, options)
                                      : publisher.publish(pulse::RateAdjustment{"ibkr", 0.25, pulse::BackpressureLevel::hard, 1.7e9 + i}, options);
    if (!published) {
      return fails(published.error());
    }
    std::cout << pulse::to_string(*published) << '\n';
  }
  return 0;
}

}  // namespace

int main(int count, char** words) {
  const std::string_view mode = count == 5 ? words[1] : "";
  if (mode != "consume" && mode != "publish") {
    std::cerr << "usage: interop consume URL STREAM NAME | publish URL STREAM COUNT\n";
    return 2;
  }
  const auto url = pulse::RedisUrl::parse(words[2]);
  if (!url) {
    return fails(url.error());
  }
  pulse::RedisBackend<> bus{*url};
  return mode == "consume" ? consume(bus, words[3], words[4]) : publish(bus, words[3], std::atoi(words[4]));
}
