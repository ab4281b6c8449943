// SPDX-License-Identifier: MIT
// Stops on SIGINT or SIGTERM: the running handler finishes, what is done is acknowledged, the rest stays pending for the next start.
// Prints: stopped in order
#include <pthread.h>
#include <csignal>

#include <pulse/pulse.hpp>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <thread>

int main() {
  // Before any thread begins, so that none is interrupted: one thread waits for the signals, where it may do more than a signal handler may.
  sigset_t ending;
  sigemptyset(&ending);
  sigaddset(&ending, SIGINT);
  sigaddset(&ending, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &ending, nullptr);

  pulse::InMemoryBackend<pulse::Envelope<pulse::FeedbackEvent>> bus;
  std::atomic<int> handled{0};
  auto handle = pulse::handlers(pulse::on<pulse::FeedbackEvent>([&](const pulse::FeedbackEvent&) {
    std::this_thread::sleep_for(std::chrono::milliseconds{1});  // work
    ++handled;
  }));
  pulse::Consumer consumer{bus, pulse::FifoWindow{65536}, pulse::NoMetrics{}, handle};
  pulse::Publisher publisher{bus, pulse::stream_key(pulse::feedback_stream)};
  for (int i = 0; i < 100'000; ++i) {  // more than will be done
    (void)publisher.publish(pulse::FeedbackEvent{.coordinator_id = "bars", .queue_size = i, .capacity = 1'000'000});
  }

  pulse::StopSource stop;
  std::thread waiting{[&] {
    int signal = 0;
    sigwait(&ending, &signal);
    stop.request_stop();  // wakes the consumer
  }};
  std::puts("running");
  std::fflush(stdout);

  const pulse::Status ended = consumer.run(stop.token());  // returns within drain_deadline of the signal, and what is left of one handler
  if (!ended) {
    std::fprintf(stderr, "%s\n", ended.error().message.c_str());
    pthread_kill(waiting.native_handle(), SIGTERM);  // the consumer ended by itself
  }
  waiting.join();
  std::puts(ended ? "stopped in order" : "stopped by an error");
  return ended && handled < 100'000 ? 0 : 1;
}
