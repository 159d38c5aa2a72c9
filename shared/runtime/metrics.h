// What a daemon counts, for Prometheus. A counter or histogram is asked for once, with its labels, and is then an
// increment of plain memory; what is counted elsewhere already is read when somebody looks, by a collector. Loop thread
// only.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "shared/base/clock.h"

namespace vmail::metrics {

using Labels = std::vector<std::pair<std::string, std::string>>;

class Counter {
 public:
  void add(std::uint64_t more = 1) { value_ += more; }
  std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 0;
};

// Of durations, in buckets from 10 microseconds to 2.5 seconds.
class Histogram {
 public:
  static constexpr std::array<Duration, 12> kBounds = {
      std::chrono::microseconds(10),  std::chrono::microseconds(25),   std::chrono::microseconds(100),
      std::chrono::microseconds(250), std::chrono::milliseconds(1),    std::chrono::microseconds(2500),
      std::chrono::milliseconds(10),  std::chrono::milliseconds(25),   std::chrono::milliseconds(100),
      std::chrono::milliseconds(250), std::chrono::milliseconds(1000), std::chrono::milliseconds(2500)};

  void observe(Duration value) {
    std::size_t bucket = 0;
    while (bucket < kBounds.size() && value > kBounds[bucket]) ++bucket;
    ++counts_[bucket];
    sum_ += value;
  }
  // How many fell between the bound before and this one; the last: above all bounds.
  const std::array<std::uint64_t, kBounds.size() + 1>& counts() const { return counts_; }
  Duration sum() const { return sum_; }

 private:
  std::array<std::uint64_t, kBounds.size() + 1> counts_{};
  Duration sum_{};
};

// What a collector says of the present moment.
class Samples {
 public:
  // A counter's name ends in "_total", and all with one name have one help.
  void counter(const std::string& name, const std::string& help, std::uint64_t value, const Labels& labels = {});
  void gauge(const std::string& name, const std::string& help, double value, const Labels& labels = {});

 private:
  friend class Registry;
  struct Families;
  explicit Samples(Families& families) : families_(families) {}
  Families& families_;
};

class Registry {
 public:
  Registry();
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  // One and the same for equal name and labels; good as long as the registry. Throws std::invalid_argument for a name
  // that Prometheus would not take.
  Counter& counter(const std::string& name, const std::string& help, const Labels& labels = {});
  Histogram& histogram(const std::string& name, const std::string& help, const Labels& labels = {});
  // Called at each text(), in the order of registration; what it captured must live while text() may be called.
  void collect(std::function<void(Samples&)> collector);

  // Prometheus's text format, version 0.0.4.
  std::string text() const;

 private:
  template <class Instrument>
  struct Family {
    std::string help;
    std::map<Labels, std::unique_ptr<Instrument>> series;
  };
  template <class Instrument>
  using Families = std::map<std::string, Family<Instrument>>;

  Families<Counter> counters_;
  Families<Histogram> histograms_;
  std::vector<std::function<void(Samples&)>> collectors_;
};

}  // namespace vmail::metrics
