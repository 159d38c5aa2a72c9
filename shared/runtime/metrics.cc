#include "shared/runtime/metrics.h"

#include <prometheus/check_names.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <limits>
#include <sstream>
#include <stdexcept>

namespace vmail::metrics {
namespace {

double seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

void check(const std::string& name, const Labels& labels) {
  if (!prometheus::CheckMetricName(name)) throw std::invalid_argument("\"" + name + "\" cannot be a metric's name");
  for (const auto& [label, value] : labels) {
    if (!prometheus::CheckLabelName(label)) throw std::invalid_argument("\"" + label + "\" cannot be a label's name");
  }
}

}  // namespace

// By name, so that the text always has one order.
struct Samples::Families {
  std::map<std::string, prometheus::MetricFamily> by_name;

  prometheus::ClientMetric& add(const std::string& name, const std::string& help, prometheus::MetricType type,
                                const Labels& labels) {
    auto& family = by_name[name];
    if (family.name.empty()) {
      family.name = name;
      family.help = help;
      family.type = type;
    }
    auto& metric = family.metric.emplace_back();
    for (const auto& [label, value] : labels) metric.label.push_back({label, value});
    return metric;
  }
};

void Samples::counter(const std::string& name, const std::string& help, std::uint64_t value, const Labels& labels) {
  families_.add(name, help, prometheus::MetricType::Counter, labels).counter.value = static_cast<double>(value);
}

void Samples::gauge(const std::string& name, const std::string& help, double value, const Labels& labels) {
  families_.add(name, help, prometheus::MetricType::Gauge, labels).gauge.value = value;
}

Registry::Registry() = default;
Registry::~Registry() = default;

Counter& Registry::counter(const std::string& name, const std::string& help, const Labels& labels) {
  check(name, labels);
  auto& family = counters_[name];
  family.help = help;
  auto& place = family.series[labels];
  if (!place) place = std::make_unique<Counter>();
  return *place;
}

Histogram& Registry::histogram(const std::string& name, const std::string& help, const Labels& labels) {
  check(name, labels);
  auto& family = histograms_[name];
  family.help = help;
  auto& place = family.series[labels];
  if (!place) place = std::make_unique<Histogram>();
  return *place;
}

void Registry::collect(std::function<void(Samples&)> collector) {
  collectors_.push_back(std::move(collector));
}

std::string Registry::text() const {
  Samples::Families families;
  Samples samples(families);
  for (const auto& collector : collectors_) collector(samples);
  for (const auto& [name, family] : counters_) {
    for (const auto& [labels, counter] : family.series) samples.counter(name, family.help, counter->value(), labels);
  }
  for (const auto& [name, family] : histograms_) {
    for (const auto& [labels, histogram] : family.series) {
      auto& into = families.add(name, family.help, prometheus::MetricType::Histogram, labels).histogram;
      // Prometheus's buckets hold all below their bound.
      for (std::size_t i = 0; i <= Histogram::kBounds.size(); ++i) {
        into.sample_count += histogram->counts()[i];
        const bool last = i == Histogram::kBounds.size();
        into.bucket.push_back(
            {into.sample_count, last ? std::numeric_limits<double>::infinity() : seconds(Histogram::kBounds[i])});
      }
      into.sample_sum = seconds(histogram->sum());
    }
  }
  std::vector<prometheus::MetricFamily> list;
  for (auto& [name, family] : families.by_name) list.push_back(std::move(family));
  std::ostringstream text;
  prometheus::TextSerializer().Serialize(text, list);
  return text.str();
}

}  // namespace vmail::metrics
