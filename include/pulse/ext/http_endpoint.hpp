// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pulse/ext/detail/http_server.hpp"
#include "pulse/health.hpp"
#include "pulse/metrics/prometheus_text.hpp"

namespace pulse::inline v0_1 {

/// Serves what an operator and his tools ask a service for:
///
/// | path | answer |
/// |---|---|
/// | `/metrics` | the metrics, and the health of each component, in the Prometheus text format |
/// | `/health/live` | 200 while no component is stuck, else 503: for who restarts it |
/// | `/health/ready` | 200 while every component does its work, else 503: for who sends it work |
/// | `/health` | the whole status as JSON; 503 where it is unhealthy |
/// | `/` | the paths that there are, one a line |
///
///     pulse::Health health{"bars-pipeline", "2.3.1"};
///     health.watch("consumer", consumer);
///     pulse::HttpEndpoint endpoint{{.port = 9464}};
///     endpoint.metrics(metrics).health(health);
///     if (pulse::Status started = endpoint.start(); !started) ...
///
/// One thread of its own serves all connections; a page is made on it, so what a page asks must not block. It needs Boost.Beast (headers).
/// Everything is bounded, see HttpOptions. What is served must outlive it.
///
/// Thread safety: what is served is named before start; start, stop and the destructor are one thread's, and not that of a page.
class HttpEndpoint {
 public:
  explicit HttpEndpoint(HttpOptions options = {}) : options_(std::move(options)) {}
  HttpEndpoint(const HttpEndpoint&) = delete;
  HttpEndpoint& operator=(const HttpEndpoint&) = delete;
  ~HttpEndpoint() = default;

  HttpEndpoint& metrics(const PrometheusMetrics& metrics) {
    metrics_ = &metrics;
    return *this;
  }
  HttpEndpoint& health(const Health& health) {
    health_ = &health;
    return *this;
  }
  /// A page of one's own. `path` is compared as it is, without what follows a question mark.
  HttpEndpoint& page(std::string path, std::function<HttpPage()> make) {
    pages_.emplace_back(std::move(path), std::move(make));
    return *this;
  }

  /// Listens, and serves from when it returns. Errors: config, for an option out of bounds or an address that is none; unavailable, with the
  /// system's word, where it cannot listen or its thread cannot be started.
  Status start() {
    if (server_) {
      return Error{ErrorCode::config, "the endpoint is started already"};
    }
    auto server = std::make_unique<detail::HttpServer>(options_, [this](std::string_view path) { return answer(path); });
    if (Status started = server->start(); !started) {
      return started;
    }
    server_ = std::move(server);
    return {};
  }

  /// Closes the port and every connection. Returns when the page that is being made is done; what is being sent is cut off.
  void stop() { server_.reset(); }

  /// The port it listens on; 0 while it does not.
  [[nodiscard]] std::uint16_t port() const noexcept { return server_ ? server_->port() : std::uint16_t{0}; }

 private:
  [[nodiscard]] HttpPage answer(std::string_view path) const {
    for (const auto& [name, make] : pages_) {
      if (name == path) {
        return make();
      }
    }
    HttpPage page;
    if (path == "/") {
      for (const auto& [name, make] : pages_) {
        page.body += name + '\n';
      }
      page.body += metrics_ != nullptr || health_ != nullptr ? "/metrics\n" : "";
      page.body += health_ != nullptr ? "/health\n/health/live\n/health/ready\n" : "";
      return page;
    }
    if (path == "/metrics" && (metrics_ != nullptr || health_ != nullptr)) {
      page.type = prometheus_content_type;
      if (metrics_ != nullptr) {
        append_prometheus_text(*metrics_, page.body);
      }
      if (health_ != nullptr) {
        append_health_text(health_->status(), page.body);
      }
      return page;
    }
    if (health_ != nullptr && path == "/health") {
      const HealthStatus status = health_->status();
      page.status = status.state() == HealthState::unhealthy ? 503 : 200;
      page.type = "application/json";
      append_health_json(status, page.body);
      return page;
    }
    if (health_ != nullptr && (path == "/health/live" || path == "/health/ready")) {
      const HealthStatus status = health_->status();
      const bool live = path == "/health/live";
      const bool well = live ? status.live() : status.ready();
      page.status = well ? 200 : 503;
      page.body = std::string(well ? "" : "not ") + (live ? "live\n" : "ready\n");
      return page;
    }
    return {404, HttpPage::plain, "no such page\n"};
  }

  HttpOptions options_;
  const PrometheusMetrics* metrics_ = nullptr;
  const Health* health_ = nullptr;
  std::vector<std::pair<std::string, std::function<HttpPage()>>> pages_;
  std::unique_ptr<detail::HttpServer> server_;
};

}  // namespace pulse::inline v0_1
