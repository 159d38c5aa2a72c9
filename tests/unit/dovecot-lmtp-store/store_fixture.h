// A base folder of its own, a delivery into it over watched files, and messages to deliver.
#pragma once

#include <dirent.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "dovecot-lmtp-store/delivery.h"
#include "tests/support/catch.h"
#include "tests/support/manual_clock.h"
#include "tests/unit/dovecot-lmtp-store/recording_files.h"

namespace vmail::test {

namespace fs = std::filesystem;

inline std::string contents(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

struct StoreFixture {
  StoreFixture() {
    std::string name = fs::temp_directory_path() / "vmailkit-store.XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    base = name;
    restart();
  }
  ~StoreFixture() {
    delivery.reset();
    fs::remove_all(base);
  }
  // The process dies and another begins: what is on the disk stays. `settings`, `filing` and `together` are its.
  void restart() {
    delivery.reset();
    settings.base.folder = base;
    settings.hostname = "mail.test";
    commit = std::make_unique<store::CommitGroup>(files, clock, base, durability, together);
    delivery = std::make_unique<store::Delivery>(files, clock, *commit, quota, duplicates, settings, filing);
    files.reset();
  }
  store::Stored deliver(const store::Message& message, const std::string& to, const std::string& path) {
    store::Recipient recipient;
    recipient.address = to;
    recipient.path = path;
    return delivery->deliver(message, recipient);
  }

  static std::unique_ptr<store::Message> message(const std::string& text) {
    auto made = std::make_unique<store::Message>();
    made->id = "id.1";
    made->sender = "a@b";
    made->helo = "client";
    made->received = WallTime(std::chrono::seconds(1700000000));
    made->tail = text;
    made->sizes.add(text);
    return made;
  }
  std::vector<std::string> list(const std::string& folder) const {
    std::vector<std::string> names;
    if (!fs::exists(base / folder)) return names;
    for (const auto& entry : fs::directory_iterator(base / folder)) names.push_back(entry.path().filename());
    return names;
  }

  fs::path base;
  ManualClock clock;
  RecordingFiles files;
  maildir::Quota quota{files, clock};
  store::Duplicates duplicates{clock};
  store::DeliverySettings settings;
  store::Filing filing;
  store::Durability durability = store::Durability::Full;
  std::size_t together = store::CommitGroup::kTogether;
  std::unique_ptr<store::CommitGroup> commit;
  std::unique_ptr<store::Delivery> delivery;
};

}  // namespace vmail::test
