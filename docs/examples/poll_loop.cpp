// SPDX-License-Identifier: MIT
// A consumer in a loop that waits for other things, too: one thread, one poll(2) for commands on a pipe and for events on the bus.
// Prints: 3 events, then the command to quit
#include <poll.h>
#include <unistd.h>

#include <pulse/core/readiness.hpp>
#include <pulse/pulse.hpp>

#include <chrono>
#include <cstdio>
#include <thread>

int main() {
  pulse::InMemoryBackend<pulse::Envelope<pulse::FeedbackEvent>> bus;  // over Redis it is the same: the socket is waited for
  int events = 0;
  auto handle = pulse::handlers(pulse::on<pulse::FeedbackEvent>([&](const pulse::FeedbackEvent&) { ++events; }));
  pulse::Readiness ready;
  pulse::Consumer consumer{bus, pulse::FifoWindow{65536}, pulse::NoMetrics{}, handle};

  int commands[2];
  if (::pipe(commands) != 0 || !consumer.start()) {
    return 1;
  }
  std::thread elsewhere{[&] {  // the store, and later somebody who has had enough
    pulse::Publisher publisher{bus, pulse::stream_key(pulse::feedback_stream)};
    for (int i = 0; i < 3; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds{10});
      (void)publisher.publish(pulse::FeedbackEvent{.coordinator_id = "bars", .queue_size = i, .capacity = 1000});
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
    (void)!::write(commands[1], "q", 1);
  }};

  while (true) {
    const auto polled = consumer.poll();  // handles what is there, and waits for nothing
    if (!polled || polled->stopped) {
      break;
    }
    const auto within = consumer.arm(ready);  // ready is readable once another poll is worth while; within that time one is due anyhow
    if (!within) {
      break;
    }
    pollfd fds[] = {{ready.descriptor(), POLLIN, 0}, {commands[0], POLLIN, 0}};
    (void)::poll(fds, 2, static_cast<int>(within->count()));
    if (fds[1].revents != 0) {
      consumer.stop();  // the next poll drains, the one after says `stopped`
    }
  }
  elsewhere.join();
  std::printf("%d events, then the command to quit\n", events);
  return events == 3 ? 0 : 1;
}
