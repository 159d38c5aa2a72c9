#include "shared/runtime/metrics.h"

#include <stdexcept>
#include <string>

#include "tests/support/catch.h"

using namespace vmail;
using metrics::Registry;
using metrics::Samples;

TEST_CASE("nothing counted is an empty text") {
  CHECK(Registry().text().empty());
}

TEST_CASE("counters, one a set of labels") {
  Registry registry;
  auto& found = registry.counter("lookups_total", "Lookups.", {{"result", "found"}});
  auto& missing = registry.counter("lookups_total", "Lookups.", {{"result", "not found"}});
  found.add();
  found.add(41);
  CHECK(&registry.counter("lookups_total", "Lookups.", {{"result", "found"}}) == &found);
  CHECK(&found != &missing);
  CHECK(registry.text() ==
        "# HELP lookups_total Lookups.\n"
        "# TYPE lookups_total counter\n"
        "lookups_total{result=\"found\"} 42\n"
        "lookups_total{result=\"not found\"} 0\n");
}

TEST_CASE("collectors are asked anew each time, and what they say stands in one order") {
  Registry registry;
  int asked = 0;
  registry.collect([&](Samples& samples) { samples.gauge("z_lag_seconds", "Lag.", 0.5 + asked++); });
  registry.collect([&](Samples& samples) {
    samples.counter("a_total", "A.", 1764000000123u, {{"host", "a\"b\\c\n"}});
  });
  registry.counter("m_total", "M.");
  CHECK(registry.text() ==
        "# HELP a_total A.\n"
        "# TYPE a_total counter\n"
        "a_total{host=\"a\\\"b\\\\c\\n\"} 1764000000123\n"
        "# HELP m_total M.\n"
        "# TYPE m_total counter\n"
        "m_total 0\n"
        "# HELP z_lag_seconds Lag.\n"
        "# TYPE z_lag_seconds gauge\n"
        "z_lag_seconds 0.5\n");
  CHECK(registry.text().find("z_lag_seconds 1.5\n") != std::string::npos);
}

TEST_CASE("a family is one, whoever has a part in it") {
  Registry registry;
  registry.counter("x_total", "X.", {{"by", "counter"}}).add(2);
  registry.collect([](Samples& samples) { samples.counter("x_total", "X.", 1, {{"by", "collector"}}); });
  CHECK(registry.text() ==
        "# HELP x_total X.\n"
        "# TYPE x_total counter\n"
        "x_total{by=\"collector\"} 1\n"
        "x_total{by=\"counter\"} 2\n");
}

TEST_CASE("histograms of durations") {
  Registry registry;
  auto& histogram = registry.histogram("took_seconds", "Took.", {{"source", "memory"}});
  histogram.observe(std::chrono::nanoseconds(0));
  histogram.observe(std::chrono::microseconds(10));  // a bound belongs to its bucket
  histogram.observe(std::chrono::nanoseconds(10001));
  histogram.observe(std::chrono::milliseconds(2500));
  histogram.observe(std::chrono::seconds(5));
  const std::string text = registry.text();
  CAPTURE(text);
  const auto has = [&](const std::string& line) { return text.find(line + "\n") != std::string::npos; };
  CHECK(has("# TYPE took_seconds histogram"));
  CHECK(has("took_seconds_count{source=\"memory\"} 5"));
  CHECK(has("took_seconds_bucket{source=\"memory\",le=\"1e-05\"} 2"));
  CHECK(has("took_seconds_bucket{source=\"memory\",le=\"2.5e-05\"} 3"));
  CHECK(has("took_seconds_bucket{source=\"memory\",le=\"1\"} 3"));
  CHECK(has("took_seconds_bucket{source=\"memory\",le=\"2.5\"} 4"));
  CHECK(has("took_seconds_bucket{source=\"memory\",le=\"+Inf\"} 5"));
  CHECK(text.find("took_seconds_sum{source=\"memory\"} 7.50002") != std::string::npos);
}

TEST_CASE("a name that Prometheus would not take") {
  Registry registry;
  CHECK_THROWS_AS(registry.counter("two words", ""), std::invalid_argument);
  CHECK_THROWS_AS(registry.histogram("0", ""), std::invalid_argument);
  CHECK_THROWS_AS(registry.counter("good", "", {{"bad-label", "x"}}), std::invalid_argument);
}
