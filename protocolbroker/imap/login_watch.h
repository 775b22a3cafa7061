#ifndef POSTERN_PROTOCOLBROKER_IMAP_LOGIN_WATCH_H_
#define POSTERN_PROTOCOLBROKER_IMAP_LOGIN_WATCH_H_

// Looks for the end of the login in what passes between a client and a backend that does it itself. It only moves a
// deadline: a client that misleads it (with a literal that looks like a line) misleads it about its own time.

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "protocolbroker/octet_relay.h"

namespace postern::protocolbroker::imap {

class LoginWatch final : public Watcher {
 public:
  void OnClient(absl::string_view octets) override;
  void OnBackend(absl::string_view octets) override;
  bool logged_in() const override { return logged_in_; }

 private:
  // The first two words of each line, in pieces of any size.
  class Lines {
   public:
    Lines();
    // Calls `on_words(first, second)` at the end of each line.
    template <typename OnWords>
    void Add(absl::string_view octets, OnWords on_words);

   private:
    std::string beginning_;
  };

  Lines client_, backend_;
  std::vector<std::string> tags_;  // of attempts to log in
  bool logged_in_ = false;
};

// Of a session whose login is over.
class LoggedIn final : public Watcher {
 public:
  void OnClient(absl::string_view) override {}
  void OnBackend(absl::string_view) override {}
  bool logged_in() const override { return true; }
};

}  // namespace postern::protocolbroker::imap

#endif  // POSTERN_PROTOCOLBROKER_IMAP_LOGIN_WATCH_H_
