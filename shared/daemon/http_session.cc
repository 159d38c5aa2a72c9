#include "shared/daemon/http_session.h"

namespace vmail::http {

HttpSession::HttpSession(Channel& channel, Decoder decoder, const char* late, Answer answer)
    : channel_(channel), decoder_(std::move(decoder)), answer_(std::move(answer)) {
  channel_.set_deadline(std::chrono::seconds(10), late);
}

void HttpSession::on_bytes(std::string_view bytes) {
  switch (decoder_.feed(bytes)) {
    case Decoder::Event::NeedMore:
      return;
    case Decoder::Event::Refused:
      channel_.send(response(decoder_.status(), kPlainText, std::string(decoder_.why()) + '\n'));
      break;
    case Decoder::Event::Request: {
      std::string answer = answer_(decoder_.request());
      // The same without its content (RFC 9110 section 9.3.2).
      if (decoder_.request().method == "HEAD") answer.resize(answer.find("\r\n\r\n") + 4);
      channel_.send(answer);
      break;
    }
  }
  channel_.close();
}

}  // namespace vmail::http
