// A list of addresses in one piece of memory, in their order: what an alias leads to. Assigning one to another
// allocates nothing when the memory suffices, so that an answer from memory costs no allocation.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <string>
#include <string_view>

namespace vmail {

class AddressList {
 public:
  AddressList() = default;
  AddressList(std::initializer_list<std::string_view> addresses) {
    for (const auto address : addresses) add(address);
  }
  // What text() gave.
  static AddressList from_text(std::string_view text) {
    AddressList list;
    list.assign_text(text);
    return list;
  }
  void assign_text(std::string_view text) { text_.assign(text); }

  // An address holds no line break: that is what separates them.
  void add(std::string_view address) {
    text_.append(address);
    text_ += '\n';
  }
  // One address, from its parts.
  void add(std::initializer_list<std::string_view> parts) {
    for (const auto part : parts) text_.append(part);
    text_ += '\n';
  }
  bool contains(std::string_view address) const {
    for (const auto each : *this) {
      if (each == address) return true;
    }
    return false;
  }
  void clear() { text_.clear(); }
  bool empty() const { return text_.empty(); }
  std::size_t size() const { return static_cast<std::size_t>(std::distance(begin(), end())); }
  // The addresses, each with a line break behind it.
  const std::string& text() const { return text_; }

  class Iterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = std::string_view;
    using difference_type = std::ptrdiff_t;
    using pointer = const std::string_view*;
    using reference = std::string_view;

    Iterator() = default;
    explicit Iterator(std::string_view rest) : rest_(rest) {}
    std::string_view operator*() const { return rest_.substr(0, rest_.find('\n')); }
    Iterator& operator++() {
      rest_.remove_prefix(rest_.find('\n') + 1);
      return *this;
    }
    Iterator operator++(int) {
      Iterator before = *this;
      ++*this;
      return before;
    }
    bool operator==(const Iterator& other) const { return rest_.size() == other.rest_.size(); }

   private:
    std::string_view rest_;
  };
  Iterator begin() const { return Iterator(text_); }
  Iterator end() const { return Iterator(std::string_view(text_).substr(text_.size())); }

  bool operator==(const AddressList&) const = default;

 private:
  std::string text_;
};

}  // namespace vmail
