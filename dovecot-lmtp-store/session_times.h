// How long a session waits for what.
#pragma once

#include <chrono>

namespace vmail::store {

// Longer than Postfix waits for each of its steps (300 s), so that it is not us who cut a conversation.
inline constexpr auto kIdle = std::chrono::seconds(330);
inline constexpr auto kHandshake = std::chrono::seconds(30);
// The directory has a deadline of its own; this is for a disk that hangs.
inline constexpr auto kLookup = std::chrono::seconds(60);
// Well under the 600 s that Postfix waits behind the text: what it gives up on it sends again.
inline constexpr auto kStoring = std::chrono::seconds(300);

}  // namespace vmail::store
