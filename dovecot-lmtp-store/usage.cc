#include "dovecot-lmtp-store/usage.h"

#include <cerrno>

#include "dovecot-lmtp-store/delivery.h"

namespace vmail::store {
namespace {

using nlohmann::json;

constexpr auto kIdle = std::chrono::minutes(10);

// Throws json::exception for what is no such request.
std::vector<Address> mailboxes_of(const json& request) {
  std::vector<Address> mailboxes;
  for (const auto& mailbox : request.at("mailboxes").get_ref<const json::array_t&>()) {
    mailboxes.push_back({mailbox.at("local").get<std::string>(), mailbox.at("domain").get<std::string>()});
  }
  return mailboxes;
}

}  // namespace

Usages::Usages(Loop& loop, WorkerPool& disk, maildir::UsageReader& reader, std::string base, maildir::Layout layout)
    : loop_(loop), disk_(disk), reader_(reader), base_(std::move(base)), layout_(std::move(layout)) {}

void Usages::answer(const json& request, Done done) {
  const auto shared = std::make_shared<Done>(std::move(done));
  const auto refuse = [&](const char* why) { loop_.post([shared, why] { (*shared)({{"error", why}}); }); };
  std::vector<std::optional<std::string>> paths;
  try {
    for (const auto& address : mailboxes_of(request)) paths.push_back(layout_.path(address));
  } catch (const json::exception&) {
    return refuse("the request is not {\"mailboxes\": [{\"local\": ..., \"domain\": ...}, ...]}");
  }
  if (paths.size() > kMostMailboxes) return refuse("more than 1000 mailboxes in one request");

  const bool taken = disk_.submit([this, paths = std::move(paths), shared](std::size_t) {
    std::vector<Read> results;
    for (const auto& path : paths) results.push_back(read(reader_, base_, path));
    loop_.post([this, shared, results = std::move(results)] { (*shared)(reply(results)); });
  });
  if (!taken) refuse("too much waits for the disk: find out what holds it up, or raise store.disk_threads");
}

Usages::Read Usages::read(maildir::UsageReader& reader, const std::string& base,
                          const std::optional<std::string>& path) {
  if (!path) return {{}, "no mailbox can have that address"};
  maildir::Fault fault;
  if (const auto usage = reader.read(base, *path, fault)) return {*usage, {}};
  if (fault.error == EFBIG) {
    return {{},
            base + '/' + fault.where + ": too much to count: let Dovecot keep a maildirsize file (quota = maildir)"};
  }
  return {{}, explain(base, {fault.error, fault.where, {}})};
}

json Usages::reply(const std::vector<Read>& results) {
  json mailboxes = json::array();
  for (const auto& result : results) {
    if (result.error.empty()) {
      mailboxes.push_back({{"bytes", result.usage.bytes}, {"messages", result.usage.messages}});
      continue;
    }
    mailboxes.push_back({{"error", result.error}});
    std::size_t suppressed = 0;
    if (log_.allow(suppressed)) {
      log::warning("usage unknown: {}; suppressed={}", result.error, suppressed);
    }
  }
  return {{"mailboxes", std::move(mailboxes)}};
}

UsageSession::UsageSession(Channel& channel, Usages& usages) : channel_(channel), usages_(usages) {
  channel_.set_deadline(kIdle, "usage: nothing was asked for ten minutes");
}

void UsageSession::on_bytes(std::string_view bytes) {
  decoder_.feed(bytes);
  if (!busy_) go_on();
}

void UsageSession::go_on() {
  json request;
  std::string why;
  switch (decoder_.next(request, why)) {
    case control::Decoder::State::NeedMore:
      busy_ = false;
      channel_.set_deadline(kIdle, "usage: nothing was asked for ten minutes");
      if (ending_) return channel_.close();
      return channel_.resume();
    case control::Decoder::State::Malformed:
      log::warning("usage: {} sent {}; closed", channel_.peer().address, why);
      return channel_.close();
    case control::Decoder::State::Message:
      break;
  }
  busy_ = true;
  channel_.pause();
  channel_.clear_deadline();
  usages_.answer(request, [weak = weak_from_this()](json reply) {
    const auto self = std::static_pointer_cast<UsageSession>(weak.lock());
    if (!self || !self->channel_.is_open()) return;
    self->channel_.send(control::encode(reply));
    self->go_on();
  });
}

// What is being answered is answered first.
void UsageSession::end() {
  ending_ = true;
  if (!busy_) channel_.close();
}

}  // namespace vmail::store
