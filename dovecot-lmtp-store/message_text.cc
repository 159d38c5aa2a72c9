#include "dovecot-lmtp-store/message_text.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>

namespace vmail::store {
namespace {

constexpr std::size_t kBuffer = 256u << 10;

// Collects small pieces, so that a small message is one write.
class Writer {
 public:
  Writer(maildir::Files& files, int file) : files_(files), file_(file) {}

  // False when it failed; error() says of what.
  bool add(std::string_view bytes) {
    while (!bytes.empty() && error_ == 0) {
      const std::size_t room = std::min(kBuffer - buffer_.size(), bytes.size());
      buffer_ += bytes.substr(0, room);
      bytes.remove_prefix(room);
      if (buffer_.size() == kBuffer) flush();
    }
    return error_ == 0;
  }
  void flush() {
    if (error_ == 0) error_ = write_all(files_, file_, buffer_);
    buffer_.clear();
  }
  int error() const { return error_; }

 private:
  maildir::Files& files_;
  int file_;
  int error_ = 0;
  std::string buffer_;
};

}  // namespace

int write_all(maildir::Files& files, int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = files.write(file, bytes.data(), bytes.size());
    if (written == -EINTR) continue;
    if (written <= 0) return written < 0 ? static_cast<int>(-written) : EIO;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

int read_text(maildir::Files& files, const Message& message, const std::function<bool(std::string_view)>& take) {
  std::vector<char> buffer(std::min<std::uint64_t>(message.spool.size, kBuffer));
  for (std::uint64_t at = 0; at < message.spool.size;) {
    const ssize_t got =
        files.read_at(message.spool.file.get(), buffer.data(),
                      std::min<std::uint64_t>(buffer.size(), message.spool.size - at), static_cast<off_t>(at));
    if (got == -EINTR) continue;
    if (got <= 0) return got < 0 ? static_cast<int>(-got) : EIO;
    if (!take({buffer.data(), static_cast<std::size_t>(got)})) return 0;
    at += static_cast<std::uint64_t>(got);
  }
  take(message.tail);
  return 0;
}

int write_message(maildir::Files& files, int file, const Message& message, std::string_view headers) {
  Writer writer(files, file);
  writer.add(headers);
  const int unread = read_text(files, message, [&](std::string_view piece) { return writer.add(piece); });
  writer.flush();
  return writer.error() != 0 ? writer.error() : unread;
}

std::string digest_of(maildir::Files& files, const Message& message) {
  Lock lock(message.shared.mutex);
  if (!message.shared.digest) {
    const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    bool good = context && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1;
    const auto add = [&](std::string_view piece) {
      good = good && EVP_DigestUpdate(context.get(), piece.data(), piece.size()) == 1;
      return good;
    };
    good = good && read_text(files, message, add) == 0 && good;
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
    unsigned size = 0;
    good = good && EVP_DigestFinal_ex(context.get(), digest.data(), &size) == 1;
    message.shared.digest.emplace(reinterpret_cast<const char*>(digest.data()), good ? size : 0);
  }
  return *message.shared.digest;
}

bool is_spam(maildir::Files& files, const Message& message, const std::vector<lmtp::HeaderRule>& rules) {
  if (rules.empty()) return false;
  Lock lock(message.shared.mutex);
  if (!message.shared.spam) {
    lmtp::HeaderScanner scanner(rules);
    read_text(files, message, [&](std::string_view piece) { return !scanner.feed(piece); });
    message.shared.spam = scanner.finish();
  }
  return *message.shared.spam;
}

}  // namespace vmail::store
