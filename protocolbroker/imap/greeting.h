#ifndef POSTERN_PROTOCOLBROKER_IMAP_GREETING_H_
#define POSTERN_PROTOCOLBROKER_IMAP_GREETING_H_

// The greeting of a program that was started for a user who has logged in (RFC 3501 §7.1.4), made into the answer that
// his client waits for. Pure.

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace postern::protocolbroker::imap {

// What a message to the tlsworker holds. A greeting that is longer goes without its list of capabilities.
inline constexpr size_t kReplyOctetsMax = 500;

enum class Greeting {
  kReady,    // the program goes on by itself
  kMore,     // an untagged line before the greeting, which the client gets as it is
  kRefused,  // the program has given up, or speaks something else
};

// `line` has lost its line end. `reply` is what the client is to be told, without a line end.
Greeting ReadGreeting(absl::string_view line, absl::string_view tag, std::string* reply);

}  // namespace postern::protocolbroker::imap

#endif  // POSTERN_PROTOCOLBROKER_IMAP_GREETING_H_
