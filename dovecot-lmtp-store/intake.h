// The text of one message on its way from its client into memory, by DATA or by BDAT. No effects but on the message.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "dovecot-lmtp-store/lmtp/data_decoder.h"
#include "dovecot-lmtp-store/lmtp/reply.h"
#include "dovecot-lmtp-store/message.h"

namespace vmail::store {

class Intake {
 public:
  enum class Event {
    NeedMore,  // all input was taken
    Full,      // Message::tail is to be spooled before the next take()
    ChunkEnd,  // a chunk that is not the last has ended
    End,       // the message has
  };
  // Of a message's text; what is more goes to the spool.
  static constexpr std::size_t kInMemory = 256u << 10;

  // `message` outlives it. `limit` is the largest text taken, in bytes; `bare_lf` whether a LF without CR is content.
  Intake(Message& message, std::uint64_t limit, bool bare_lf) : message_(message), limit_(limit), bare_lf_(bare_lf) {}

  void begin_data() { way_ = Way::Data; }
  void begin_chunk(std::uint64_t octets, bool last);
  bool is_begun() const { return way_ != Way::None; }
  bool is_chunked() const { return way_ == Way::Chunks; }

  // Takes bytes off the front of `input`. To be called once for a chunk of no octets, too. A message that is refused is
  // read to its end and kept nowhere.
  Event take(std::string_view& input);
  bool is_full() const { return message_.tail.size() >= kInMemory; }
  // No chunk is open, and the last has not come.
  bool is_between_chunks() const { return between_chunks_; }

  // Of the whole message, without an address; the first reason stays.
  void refuse(lmtp::Reply reply);
  const std::optional<lmtp::Reply>& refusal() const { return refusal_; }

 private:
  enum class Way : unsigned char { None, Data, Chunks };

  Message& message_;
  const std::uint64_t limit_;
  const bool bare_lf_;
  Way way_ = Way::None;
  bool between_chunks_ = false;
  lmtp::DataDecoder data_;
  lmtp::ChunkDecoder chunks_;
  std::optional<lmtp::Reply> refusal_;
};

}  // namespace vmail::store
