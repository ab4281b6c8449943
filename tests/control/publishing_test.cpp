// SPDX-License-Identifier: MIT
#include "pulse/control/publishing.hpp"

#include <doctest/doctest.h>

#include <stdexcept>
#include <vector>

namespace {
struct Applied {
  int count = 0;
  void apply(const pulse::RateAdjustment&) { ++count; }
};

pulse::RateAdjustment adjust(const char* provider, double scale) {
  pulse::RateAdjustment adjustment;
  adjustment.provider = provider;
  adjustment.scale = scale;
  return adjustment;
}
}  // namespace

TEST_CASE("every adjustment is applied, only changes of a provider's scale are published") {
  Applied applied;
  std::vector<double> published;
  pulse::Publishing controller{applied, [&](const pulse::RateAdjustment& a) { published.push_back(a.scale); }};
  static_assert(pulse::RateController<decltype(controller)>);
  controller.apply(adjust("a", 1));
  controller.apply(adjust("a", 1));
  controller.apply(adjust("b", 1));
  controller.apply(adjust("a", 0.5));
  controller.apply(adjust("a", 1));
  CHECK(applied.count == 5);
  CHECK(published == std::vector<double>{1, 1, 0.5, 1});
}

TEST_CASE("a change whose publishing failed is published by the next delivery") {
  Applied applied;
  int calls = 0;
  pulse::Publishing controller{applied, [&](const pulse::RateAdjustment&) {
                                 if (++calls == 1) {
                                   throw std::runtime_error("down");
                                 }
                               }};
  CHECK_THROWS(controller.apply(adjust("a", 0.5)));
  controller.apply(adjust("a", 0.5));
  controller.apply(adjust("a", 0.5));
  CHECK(calls == 2);
  CHECK(applied.count == 3);
}

TEST_CASE("after a publishing whose fate is unknown, the way back is published too") {
  Applied applied;
  std::vector<double> arrived;
  bool lost = false;
  pulse::Publishing controller{applied, [&](const pulse::RateAdjustment& a) {
                                 arrived.push_back(a.scale);
                                 if (lost) {
                                   throw std::runtime_error("it arrived, the reply did not");
                                 }
                               }};
  controller.apply(adjust("a", 0.5));
  lost = true;
  CHECK_THROWS(controller.apply(adjust("a", 0)));
  lost = false;
  controller.apply(adjust("a", 0.5));  // as before, but not as was sent last
  CHECK(arrived == std::vector<double>{0.5, 0, 0.5});
}
