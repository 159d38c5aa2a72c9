// The maps that Postfix may ask, by name; what they answer is directory_maps.h's business. Each look-up is counted and,
// at the level debug, logged:
//   lookup map=aliases key=u@d.org result=OK source=cache ms=0.012 data=v@d.org
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "postfix-maps/socketmap/session.h"
#include "shared/base/clock.h"
#include "shared/base/outcome.h"
#include "shared/runtime/log.h"
#include "shared/runtime/metrics.h"
#include "shared/socketmap/codec.h"

namespace vmail::maps {

// Loop thread only.
class Maps final : public socketmap::Answerer {
 public:
  struct Answered {
    socketmap::Reply reply;
    Source source = Source::Memory;
  };
  using Later = MoveOnlyFunction<void(Answered)>;
  // A key is as Postfix sent it: not folded, perhaps no address at all. As in socketmap::Answerer.
  struct Map {
    std::function<std::optional<Answered>(std::string_view key, Instant now)> recall;
    std::function<std::optional<Answered>(std::string_view key, Later later)> ask;
  };

  // `clock` outlives this.
  explicit Maps(const Clock& clock) : clock_(clock) {}

  void add(const std::string& name, Map map);
  bool has(std::string_view name) const { return find(name) != nullptr; }
  // Counts there from now on; for the maps that have been added. The registry outlives this.
  void metrics(metrics::Registry& registry);

  // An unknown map is PERM, with the names that are known; a key too long to name anything is NOTFOUND.
  std::optional<socketmap::Reply> recall(const socketmap::Request& request) override;
  std::optional<socketmap::Reply> ask(const socketmap::Request& request, socketmap::Later later) override;

 private:
  static constexpr std::size_t kSources = 3, kKinds = 4;
  struct Named {
    std::string name;
    Map map;
    std::array<std::array<metrics::Counter*, kKinds>, kSources> answers{};
    std::array<metrics::Histogram*, kSources> times{};
  };
  Named* find(std::string_view name) const;
  socketmap::Reply unknown(std::string_view name) const;
  // Counts and logs; a warning for what an administrator must mend, held back when it comes in floods.
  void note(Named* named, std::string_view map, std::string_view key, const Answered& answer, Instant arrival);

  const Clock& clock_;
  std::vector<std::unique_ptr<Named>> maps_;
  log::Throttle throttle_;
};

}  // namespace vmail::maps
