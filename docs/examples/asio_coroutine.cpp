// SPDX-License-Identifier: MIT
// A consumer as a coroutine of Boost.Asio, on the one thread of its io_context, beside a coroutine that does something else.
// Prints: 3 events beside 5 ticks of a timer
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <pulse/core/readiness.hpp>
#include <pulse/pulse.hpp>

#include <chrono>
#include <cstdio>

namespace asio = boost::asio;

/// Polls whenever it is worth while, until the consumer has stopped. Handlers run on the io_context's thread: they may touch what lives there.
template <class Consumer>
asio::awaitable<pulse::Status> consume(Consumer& consumer, pulse::Readiness& ready) {
  using namespace asio::experimental::awaitable_operators;
  const auto executor = co_await asio::this_coro::executor;
  asio::posix::stream_descriptor readable{executor, ready.descriptor()};
  asio::steady_timer due{executor};
  pulse::Status status;
  while (true) {
    auto polled = consumer.poll();
    if (!polled) {
      status = pulse::Error{polled.error()};
    }
    if (!polled || polled->stopped) {
      break;
    }
    const auto within = consumer.arm(ready);
    if (!within) {
      status = pulse::Error{within.error()};
      break;
    }
    due.expires_after(*within);
    co_await (readable.async_wait(asio::posix::stream_descriptor::wait_read, asio::use_awaitable) || due.async_wait(asio::use_awaitable));
  }
  readable.release();  // the descriptor is Readiness's to close
  co_return status;
}

int main() {
  asio::io_context context{1};
  pulse::InMemoryBackend<pulse::Envelope<pulse::FeedbackEvent>> bus;
  pulse::Publisher publisher{bus, pulse::stream_key(pulse::feedback_stream)};
  int events = 0;
  int ticks = 0;
  auto handle = pulse::handlers(pulse::on<pulse::FeedbackEvent>([&](const pulse::FeedbackEvent&) { ++events; }));
  pulse::Readiness ready;
  pulse::Consumer consumer{bus, pulse::FifoWindow{65536}, pulse::NoMetrics{}, handle};

  const auto timer = [&]() -> asio::awaitable<void> {
    asio::steady_timer next{context};
    for (; ticks < 5; ++ticks) {
      next.expires_after(std::chrono::milliseconds{10});
      co_await next.async_wait(asio::use_awaitable);
      if (ticks < 3) {
        (void)publisher.publish(pulse::FeedbackEvent{.coordinator_id = "bars", .queue_size = ticks, .capacity = 1000});
      }
    }
    consumer.stop();
    ready.ring();  // the coroutine may be waiting
  };
  asio::co_spawn(context, timer(), asio::detached);
  asio::co_spawn(context, consume(consumer, ready), asio::detached);
  context.run();
  std::printf("%d events beside %d ticks of a timer\n", events, ticks);
  return events == 3 ? 0 : 1;
}
