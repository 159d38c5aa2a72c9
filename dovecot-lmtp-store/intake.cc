#include "dovecot-lmtp-store/intake.h"

#include <string>
#include <utility>

namespace vmail::store {

void Intake::begin_chunk(std::uint64_t octets, bool last) {
  way_ = Way::Chunks;
  between_chunks_ = false;
  chunks_.begin(octets, last);
}

Intake::Event Intake::take(std::string_view& input) {
  const bool chunked = is_chunked();
  const std::size_t before = message_.tail.size();
  const bool ended = chunked ? chunks_.decode(input, message_.tail) : data_.decode(input, message_.tail);
  message_.sizes.add(std::string_view(message_.tail).substr(before));
  if (message_.sizes.size() > limit_) refuse({552, "5.3.4", "Message is too large"});
  if (!bare_lf_ && (chunked ? chunks_.bare_lf() : data_.bare_lf())) {
    refuse({550, "5.5.2", "A line of the message ends with LF alone"});
  }
  if (refusal_) std::string().swap(message_.tail);
  if (!ended) return is_full() ? Event::Full : Event::NeedMore;
  between_chunks_ = chunked && !chunks_.last();
  return between_chunks_ ? Event::ChunkEnd : Event::End;
}

void Intake::refuse(lmtp::Reply reply) {
  if (!refusal_) refusal_ = std::move(reply);
}

}  // namespace vmail::store
